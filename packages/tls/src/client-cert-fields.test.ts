import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { type X509Issuer, x509Root } from '../../../test/kit/x509.js'
import { clientCert, clientCertChain, issuerChain, parseClientCert } from './index.js'

let root: X509Issuer
let intermediate: X509Issuer
let leaf: X509Certificate
const read = ({ cert }: { cert: string }): X509Certificate => new X509Certificate(cert)

beforeAll(async () => {
  root = await x509Root()
  intermediate = await root.intermediate()
  leaf = read(await intermediate.issue({ names: ['a.example'] }))
})

describe('Client-Cert', () => {
  it('is the DER in a byte sequence, and is read again', () => {
    const value = clientCert(leaf)
    expect(value).toBe(`:${leaf.raw.toString('base64')}:`)
    expect(parseClientCert(value)?.raw).toEqual(leaf.raw)
    expect(parseClientCert(` ${value}\t`)?.raw).toEqual(leaf.raw)
  })

  it('reads the example of RFC 9440', () => {
    const found = parseClientCert(
      ':MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:',
    )
    expect(found?.subject).toBe('CN=BC')
  })

  it('is nothing else', () => {
    const value = clientCert(leaf)
    const bare = value.slice(1, -1)
    const wrong = [
      '',
      '::',
      bare,
      `:${bare}`,
      `${value};a`,
      `${value}, ${value}`,
      `:${bare} :`,
      `:${bare}=:`,
      `:${bare.replaceAll('+', '-').replaceAll('/', '_')}_:`,
      `:${Buffer.concat([leaf.raw, Buffer.from('x')]).toString('base64')}:`,
      `:${leaf.raw.subarray(0, -1).toString('base64')}:`,
      `:${Buffer.from(leaf.toString()).toString('base64')}:`,
      `:${'A'.repeat(20_000)}:`,
    ]
    for (const each of wrong) expect([each, parseClientCert(each)]).toEqual([each, undefined])
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array(), (text, bytes) => {
        expect(parseClientCert(text)).toBeUndefined()
        expect(parseClientCert(`:${Buffer.from(bytes).toString('base64')}:`)).toBeUndefined()
      }),
    )
  })

  it('has a chain without itself', () => {
    const [a, b] = [read(intermediate), read(root)]
    expect(clientCertChain([a, b])).toBe(`${clientCert(a)}, ${clientCert(b)}`)
  })
})

describe('issuerChain', () => {
  it('goes up to the root, whatever the order, and leaves out whoever has issued nothing', async () => {
    const other = read(await x509Root())
    const [a, b] = [read(intermediate), read(root)]
    const subjects = (list: readonly X509Certificate[]) => list.map(({ fingerprint256 }) => fingerprint256)
    expect(subjects(issuerChain(leaf, [other, b, a]))).toEqual(subjects([a, b]))
    expect(subjects(issuerChain(leaf, [a]))).toEqual(subjects([a]))
    // Of the same name, and another key.
    expect(issuerChain(leaf, [b, other])).toEqual([])
    expect(issuerChain(b, [b, a])).toEqual([])
  })
})
