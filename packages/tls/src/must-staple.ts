/** id-pe-tlsfeature, 1.3.6.1.5.5.7.1.24, as it stands in a certificate. */
const tlsFeature = Buffer.from('06082b06010505070118', 'hex')
/** status_request, the feature of RFC 6066 section 8. */
const statusRequest = 5

/** A certificate that must be stapled, and who has issued it, in DER: what `preload` of a stapler takes. */
export interface MustStaple {
  readonly certificate: Buffer
  readonly issuer: Buffer
}

/**
 * Whether a certificate says that its server staples (RFC 7633): clients that know that refuse it without a staple.
 *
 * It is read from its bytes: to load a whole ASN.1 parser takes 80 ms, and Node tells nothing of this extension. Whoever puts these bytes elsewhere
 * into a certificate of theirs has their handshakes wait a little.
 * @param certificate in DER
 */
export function mustStaple(certificate: Uint8Array): boolean {
  const bytes = Buffer.from(certificate.buffer, certificate.byteOffset, certificate.byteLength)
  const found = bytes.indexOf(tlsFeature)
  if (found < 0) return false
  let at = found + tlsFeature.length
  // critical BOOLEAN TRUE, which may be left out.
  if (bytes[at] === 0x01) at += 3
  // An OCTET STRING around a SEQUENCE OF INTEGER. Both are shorter than 128 bytes, so that a length is one byte.
  if (bytes[at] !== 0x04 || bytes[at + 2] !== 0x30) return false
  const end = Math.min(bytes.length, at + 4 + (bytes[at + 3] as number))
  for (at += 4; at + 2 < end && bytes[at] === 0x02; at += 2 + (bytes[at + 1] as number))
    if (bytes[at + 1] === 1 && bytes[at + 2] === statusRequest) return true
  return false
}
