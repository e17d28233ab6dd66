import fc from 'fast-check'
import { expect, it } from 'vitest'
import { x509Root, x509SelfSigned } from '../../../test/kit/x509.js'
import { chainFault, issuedBy, readChain } from './certificate-chain.js'

const root = await x509Root({ commonName: 'Root of Ours' })
const intermediate = await root.intermediate({ commonName: 'Intermediate' })
const leaf = await intermediate.issue({ names: ['a.test', '*.b.test', '::1'] })

function chainOf(pem: string) {
  const chain = readChain(pem)
  if (typeof chain === 'string') throw new Error(chain)
  return chain
}

it('reads certificates, and nothing of any other text', () => {
  expect(readChain(leaf.chain)).toHaveLength(2)
  expect(readChain(leaf.chain.replace(/\n/g, '\r\n'))).toHaveLength(2)
  expect(readChain(leaf.cert + leaf.key)).toBe('it holds something other than certificates')
  expect(readChain(leaf.key)).toBe('it holds something other than certificates')
  const parts = fc.constantFrom(
    '-----BEGIN CERTIFICATE-----',
    '-----END CERTIFICATE-----',
    '\n',
    'AAAA',
    leaf.cert.slice(30, 200),
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(parts, fc.string()), { maxLength: 20 }), (texts) => {
      expect(readChain(texts.join(''))).toBeTypeOf('string')
    }),
  )
})

it('takes no longer for text that is almost a certificate', () => {
  expect(readChain('-----BEGIN CERTIFICATE-----\n'.repeat(40_000))).toBe('it holds 40000 certificates')
  expect(readChain(`-----BEGIN CERTIFICATE-----${' '.repeat(1_000_000)}`)).toBe(
    "it holds a certificate that can't be read",
  )
})

it.each<[readonly string[], string | undefined]>([
  [['a.test'], undefined],
  [['A.test', '*.b.test', '::1'], undefined],
  [['x.b.test'], undefined],
  [['*.a.test'], 'the certificate is not for *.a.test'],
  [['b.test', 'x.y.b.test', '127.0.0.1'], 'the certificate is not for b.test, x.y.b.test, 127.0.0.1'],
])('says whether it is for %s', (names, fault) => {
  expect(chainFault(chainOf(leaf.chain), { names, now: Date.now() })).toBe(fault)
})

it('wants each certificate valid, and signed by the next', async () => {
  const purpose = { names: ['a.test'], now: Date.now() }
  expect(chainFault([], purpose)).toBe('it holds no certificate')
  expect(chainFault(chainOf(leaf.chain + root.cert), purpose)).toBeUndefined()
  expect(chainFault(chainOf(leaf.cert + root.cert), purpose)).toBe(
    "certificate 1 isn't signed by the one after it",
  )
  // Of the same name, and another key.
  const twin = await x509Root({ commonName: 'Root of Ours', keyType: 'rsa' })
  expect(chainFault(chainOf(leaf.chain + twin.cert), purpose)).toBe(
    "certificate 2 isn't signed by the one after it",
  )
  const old = await root.intermediate({ notBefore: 0, notAfter: 1_000 })
  const below = await old.issue({ names: ['a.test'] })
  expect(chainFault(chainOf(below.chain), purpose)).toMatch(
    /^certificate 2 has expired on Jan {2}1 00:00:01 1970/,
  )
  const soon = await x509SelfSigned({ names: ['a.test'], notBefore: purpose.now + 1_800_000 })
  expect(chainFault(chainOf(soon.cert), purpose)).toBeUndefined()
})

it('knows who has issued a part of it', () => {
  const chain = chainOf(leaf.chain)
  expect(issuedBy(chain, 'Root of Ours')).toBe(true)
  expect(issuedBy(chain, 'Intermediate')).toBe(true)
  expect(issuedBy(chain, 'Root')).toBe(false)
})
