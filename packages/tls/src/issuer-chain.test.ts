import { beforeAll, describe, expect, it } from 'vitest'
import { type X509Issuer, x509Root } from '../../../test/kit/x509.js'
import { readAuthorities } from './issuer-chain.js'

describe('readAuthorities', () => {
  let root: X509Issuer
  beforeAll(async () => {
    root = await x509Root()
  })

  it('takes several in one text, with whatever stands around them', () => {
    const text = `Comment\n${root.cert.replaceAll('\n', '\r\n')}\n  ${root.cert}`
    const found = readAuthorities([text, Buffer.from(root.cert)], 'chain')
    expect(found.map(({ raw }) => raw.equals(root.der))).toEqual([true, true, true])
  })

  it('takes no longer for blocks without an end', () => {
    const text = '-----BEGIN CERTIFICATE-----\n'.repeat(100_000)
    expect(() => readAuthorities(text, 'chain')).toThrow(/^chain: got no certificate, takes/)
  })

  it('names what can’t be read', () => {
    const text = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'
    expect(() => readAuthorities(text, 'chain')).toThrow(
      /^chain: got a certificate that can't be read, takes/,
    )
  })
})
