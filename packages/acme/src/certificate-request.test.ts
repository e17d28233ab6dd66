import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import type { Extension, SubjectAlternativeNameExtension } from '@peculiar/x509'
import { expect, it } from 'vitest'
import { certificateRequest, challengeCertificate, generateKey } from './index.js'
import { x509 } from './x509.js'

const { Pkcs10CertificateRequest, X509Certificate: Parsed } = await x509()

it.each<[string, () => Promise<KeyObject>]>([
  ['ecdsa', () => generateKey('ecdsa')],
  ['rsa', () => generateKey('rsa')],
  ['P-384', async () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
])('asks for names and addresses, with a key of %s', async (_, make) => {
  const key = await make()
  const names = ['a.test', '*.a.test', 'xn--mller-kva.test', '10.0.0.1', '2001:db8::1']
  const request = new Pkcs10CertificateRequest(await certificateRequest(names, key))
  expect(await request.verify()).toBe(true)
  expect(request.subject).toBe('')
  const held = (request.getExtension('2.5.29.17') as SubjectAlternativeNameExtension).names.toJSON()
  expect(held.map(({ type }) => type)).toEqual(['dns', 'dns', 'dns', 'ip', 'ip'])
  expect(held.map(({ value }) => value)).toEqual(names)
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  expect(Buffer.from(request.publicKey.rawData)).toEqual(spki)
})

it.each(['ed25519', 'x25519'] as const)('takes no key of %s', async (kind) => {
  const { privateKey } = generateKeyPairSync(kind as 'ed25519')
  await expect(certificateRequest(['a.test'], privateKey)).rejects.toThrow(/RSA, P-256 or P-384/)
})

it.each([
  ['a.test', 'DNS:a.test'],
  ['10.0.0.1', 'IP Address:10.0.0.1'],
])('answers TLS-ALPN-01 for %s by a certificate for it alone', async (name, shown) => {
  const { cert, key } = await challengeCertificate(name, 'token.thumbprint')
  const certificate = new X509Certificate(cert)
  expect(certificate.subjectAltName).toBe(shown)
  expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true)
  const extension = new Parsed(cert).getExtension<Extension>('1.3.6.1.5.5.7.1.31')
  const digest = createHash('sha256').update('token.thumbprint').digest('hex')
  expect(extension?.critical).toBe(true)
  expect(Buffer.from(extension?.value ?? new ArrayBuffer(0)).toString('hex')).toBe(`0420${digest}`)
})
