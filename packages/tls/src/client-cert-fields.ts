import { X509Certificate } from 'node:crypto'

/** Characters of base64 in a `Client-Cert` that is read: OpenSSL takes chains of 100 KB in a handshake, no server such fields. */
const longest = 16 * 1024

/** A certificate as RFC 9440 section 2.1 has it: its DER in a byte sequence of structured fields (RFC 8941 section 3.3.5). */
export function clientCert(certificate: X509Certificate): string {
  return `:${certificate.raw.toString('base64')}:`
}

/** `Client-Cert-Chain` (RFC 9440 section 2.3): who issued the certificate, each one's issuer next, without the certificate itself. */
export function clientCertChain(issuers: readonly X509Certificate[]): string {
  return issuers.map(clientCert).join(', ')
}

/**
 * The certificate of a `Client-Cert`; `undefined` for what is none: no byte sequence, parameters, a list, no DER of a certificate and nothing
 * else. Each certificate has one form here, since what two servers read in two ways would be two clients.
 */
export function parseClientCert(value: string): X509Certificate | undefined {
  const [, base64] = /^:([A-Za-z\d+/]+={0,2}):$/.exec(value.trim()) ?? []
  if (base64 === undefined || base64.length > longest) return undefined
  const der = Buffer.from(base64, 'base64')
  if (der.toString('base64') !== base64) return undefined
  try {
    // PEM would be taken too, and bytes behind the certificate's end.
    const certificate = new X509Certificate(der)
    return certificate.raw.equals(der) ? certificate : undefined
  } catch {
    return undefined
  }
}
