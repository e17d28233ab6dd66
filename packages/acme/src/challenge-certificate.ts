import { createHash } from 'node:crypto'
import { generateKey } from './generate-key.js'
import { generalName, signingWith, x509 } from './x509.js'

/** id-pe-acmeIdentifier. */
const acmeIdentifier = '1.3.6.1.5.5.7.1.31'
const hour = 3_600_000

/**
 * The certificate that answers TLS-ALPN-01 (RFC 8737 section 3): signed by itself, for this name alone, with the digest of the key
 * authorization. It is shown to whoever offers `acme-tls/1` and to nobody else. Both are PEM.
 */
export async function challengeCertificate(
  name: string,
  keyAuthorization: string,
): Promise<{ readonly cert: string; readonly key: string }> {
  const { Extension, SubjectAlternativeNameExtension, X509CertificateGenerator } = await x509()
  const key = await generateKey('ecdsa')
  const digest = createHash('sha256').update(keyAuthorization).digest()
  // An OCTET STRING of 32 bytes.
  const value = Buffer.concat([Buffer.of(0x04, digest.length), digest])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=ACME challenge',
    // Servers are told not to look at these times (section 3); some do.
    notBefore: new Date(Date.now() - hour),
    notAfter: new Date(Date.now() + 7 * 24 * hour),
    ...(await signingWith(key)),
    extensions: [
      new SubjectAlternativeNameExtension([generalName(name)]),
      new Extension(acmeIdentifier, true, value),
    ],
  })
  return {
    cert: `${certificate.toString('pem')}\n`,
    key: key.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}
