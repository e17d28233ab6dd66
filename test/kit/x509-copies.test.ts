import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { expect, it } from 'vitest'
import { x509Root } from './x509.js'
import { x509Copies } from './x509-copies.js'

it('copies are certificates of their names and keys, which their issuer has signed', async () => {
  const issuer = await (await x509Root({ keyType: 'rsa' })).intermediate({ keyType: 'rsa' })
  const by = new X509Certificate(issuer.cert)
  const seen = new Set<string>()
  for await (const { name, chain, key } of x509Copies(issuer, 12)) {
    const cert = new X509Certificate(chain)
    expect(cert.verify(by.publicKey)).toBe(true)
    expect(cert.subject).toBe(`CN=${name}`)
    expect(cert.subjectAltName).toBe(`DNS:${name}, DNS:www.${name}`)
    // Throws where a key is of another certificate.
    createSecureContext({ cert: chain, key })
    expect(chain).toContain(issuer.cert.trim())
    seen.add(`${cert.serialNumber} ${name} ${key}`)
  }
  expect(seen.size).toBe(12)
})
