import { v } from '@sluice/options'
import { time } from './documents.js'
import { x509 } from './x509.js'

/** When a server wants a certificate renewed (RFC 9773 section 4.2). */
export const renewalInfoSchema = v.object({
  suggestedWindow: v.pipe(
    v.object({ start: time, end: time }),
    v.check(({ start, end }) => end > start, 'an end after the start'),
  ),
  explanationURL: v.optional(v.string()),
})

/** When a server wants a certificate renewed: at a moment between `start` and `end`, both ms since 1970. */
export interface RenewalInfo {
  readonly start: number
  readonly end: number
  /** A page that says why; safe to show. */
  readonly explanation?: string
  /** How long this holds, in ms; ask again then. */
  readonly retryAfterMs?: number
}

/**
 * What a server knows a certificate by (RFC 9773 section 4.1): the identifier of its authority's key, and its serial number. `undefined`
 * for a certificate that doesn't name the former.
 */
export async function renewalId(certificatePem: string): Promise<string | undefined> {
  const { AuthorityKeyIdentifierExtension, X509Certificate } = await x509()
  const certificate = new X509Certificate(certificatePem)
  const keyId = certificate.getExtension(AuthorityKeyIdentifierExtension)?.keyId
  if (keyId === undefined) return undefined
  const serial = certificate.serialNumber
  // As in DER: a first bit of 1 would be a minus sign.
  const even = serial.length % 2 === 0 ? serial : `0${serial}`
  const bytes = Buffer.from(/^[89a-f]/i.test(even) ? `00${even}` : even, 'hex')
  return `${Buffer.from(keyId, 'hex').toString('base64url')}.${bytes.toString('base64url')}`
}
