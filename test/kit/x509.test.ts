import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { lockedKey, type X509KeyType, x509Root, x509SelfSigned } from './x509.js'

describe('x509Root()', () => {
  it.each<X509KeyType>(['ecdsa', 'p384', 'rsa', 'rsa-1024', 'ed25519'])(
    'issues with a key of kind %s',
    async (keyType) => {
      const root = await x509Root({ keyType })
      const middle = await root.intermediate({ keyType })
      const names = ['a.test', '*.a.test', '127.0.0.1', '::1']
      const leaf = await middle.issue({
        keyType,
        names,
        mustStaple: true,
        ocsp: 'http://o.test/',
        crl: 'http://c.test/',
      })
      const [own, above, top] = [leaf.cert, middle.cert, root.cert].map(
        (pem) => new X509Certificate(pem),
      ) as [X509Certificate, X509Certificate, X509Certificate]
      expect(own.checkPrivateKey(createPrivateKey(leaf.key))).toBe(true)
      expect([
        own.ca,
        above.ca,
        own.verify(above.publicKey),
        own.checkIssued(above),
        above.checkIssued(top),
      ]).toEqual([false, true, true, true, true])
      expect(own.subjectAltName).toBe(
        'DNS:a.test, DNS:*.a.test, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
      )
      expect(own.infoAccess).toBe('OCSP - URI:http://o.test/')
      expect([leaf.chain, middle.chain, root.chain]).toEqual([
        leaf.cert + middle.cert,
        middle.cert,
        root.cert,
      ])
      expect(own.serialNumber.toLowerCase()).toBe(leaf.serialNumber)
      expect(createPrivateKey({ key: lockedKey(leaf.key, 'p'), passphrase: 'p' }).type).toBe('private')
    },
  )
  it('takes dates, and no subject', async () => {
    const { cert } = await x509SelfSigned({ commonName: '', notBefore: 0, notAfter: 1000, names: ['a.test'] })
    const own = new X509Certificate(cert)
    expect([Date.parse(own.validFrom), Date.parse(own.validTo)]).toEqual([0, 1000])
  })
})
