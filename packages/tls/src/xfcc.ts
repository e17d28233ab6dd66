import type { X509Certificate } from 'node:crypto'
import { alternativeNames } from './alternative-names.js'

/** What an element of `X-Forwarded-Client-Cert` can say beside `Hash`, by Envoy's names. */
export type XfccField = 'Cert' | 'Chain' | 'Subject' | 'URI' | 'DNS'

/** {@link XfccField}s in the order in which Envoy writes them. */
export const xfccFields: readonly XfccField[] = ['Cert', 'Chain', 'Subject', 'URI', 'DNS']

/**
 * One element of Envoy's `X-Forwarded-Client-Cert`: `Hash` always, and the fields that are asked for, as Envoy writes them. What a client
 * may have had written into its certificate can't end a value: in a subject quotes and backslashes stand as `\22` and `\5C`
 * (RFC 4514 section 2.4), where Envoy has `\"`, which simple readers take for the end.
 * @param chain who issued it, each one's issuer next
 */
export function xfccElement(
  certificate: X509Certificate,
  chain: readonly X509Certificate[],
  fields: readonly XfccField[],
): string {
  const parts = [`Hash=${certificate.fingerprint256.replaceAll(':', '').toLowerCase()}`]
  const names = alternativeNames(certificate.subjectAltName)
  for (const field of xfccFields) {
    if (!fields.includes(field)) continue
    if (field === 'Cert') parts.push(`Cert="${encodedPem([certificate])}"`)
    else if (field === 'Chain') parts.push(`Chain="${encodedPem([certificate, ...chain])}"`)
    else if (field === 'Subject') parts.push(`Subject="${subjectOf(certificate)}"`)
    else for (const { kind, value } of names) if (kind === field) parts.push(`${field}=${plain(value)}`)
  }
  return parts.join(';')
}

function encodedPem(certificates: readonly X509Certificate[]): string {
  return encodeURIComponent(certificates.map((each) => each.toString()).join(''))
}

/**
 * The subject as RFC 4514 has it: the last name first, on one line. Node gives each on a line of its own, with what is special escaped and
 * line breaks as `\0A`.
 */
function subjectOf({ subject }: X509Certificate): string {
  return (subject ?? '')
    .split('\n')
    .reverse()
    .map((name) => name.replaceAll(' + ', '+').replace(/\\(["\\])|[^\x20-\x7e]/gu, escaped))
    .join(',')
}

/** A quote or a backslash by its number, and each byte of a character beyond ASCII. */
function escaped(found: string, special: string | undefined): string {
  return [...Buffer.from(special ?? found)]
    .map((byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('')
}

/** In quotes where Envoy asks for them; percent-encoded what is part of no URI and no name. */
function plain(value: string): string {
  const clean = value.replace(/[^\x21-\x7e]|["\\]/gu, (found) =>
    [...Buffer.from(found)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
  return /[,;=]/.test(clean) ? `"${clean}"` : clean
}
