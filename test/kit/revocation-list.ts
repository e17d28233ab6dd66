import type { webcrypto } from 'node:crypto'
import type { X509Issuer } from './x509.js'

/** Seconds matter to nobody here. */
const hour = 3_600_000

/**
 * A list (PEM) of the certificates that an authority has revoked.
 * @param nextUpdate until when it is good, in ms since 1970. Default for two days
 */
export async function revocationList(
  issuer: X509Issuer,
  revoked: readonly string[] = [],
  nextUpdate = Date.now() + 48 * hour,
): Promise<string> {
  // After x509.ts, which readies the library.
  const { PemConverter, X509Certificate, X509CrlGenerator } = await import('@peculiar/x509')
  const crl = await X509CrlGenerator.create({
    issuer: new X509Certificate(issuer.der).subjectName.toJSON(),
    thisUpdate: new Date(Date.now() - 2 * hour),
    nextUpdate: new Date(nextUpdate),
    entries: revoked.map((serialNumber) => ({ serialNumber, revocationDate: new Date(Date.now() - hour) })),
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: { ...issuer.keys.privateKey.algorithm, hash: 'SHA-256' } as webcrypto.EcdsaParams,
  })
  // The library's own label isn't the one that OpenSSL reads.
  return `${PemConverter.encode(crl.rawData, 'X509 CRL')}\n`
}
