import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto'
import {
  BasicOCSPResponse,
  type CertID,
  id_kp_OCSPSigning,
  id_pkix_ocsp_basic,
  OCSPResponse,
  OCSPResponseStatus,
  type ResponderID,
  type SingleResponse,
} from '@peculiar/asn1-ocsp'
import { AsnConvert } from '@peculiar/asn1-schema'
import { Certificate, ExtendedKeyUsage, id_ce_extKeyUsage } from '@peculiar/asn1-x509'
import { isSignedBy } from './ocsp-signature.js'
import { type OcspSubject, sha1 } from './ocsp-subject.js'

/** How far the clocks of a responder and this machine may be apart, in ms. */
const skew = 300_000
/** How long an answer counts that doesn't say so, in ms: as Firefox has it. RFC 5019 section 2.2.4 has all say so. */
const unsaid = 86_400_000

/** What a responder says of a certificate, by an answer that is its own and counts now. Times are ms since 1970. */
export interface OcspAnswer {
  readonly status: 'good' | 'revoked'
  /** As of when. */
  readonly thisUpdate: number
  /** Until when. */
  readonly nextUpdate: number
  /** Since when and why, for `revoked`. */
  readonly revoked?: string
}

/**
 * Reads and checks what a responder has answered (RFC 6960 section 3.2): that it is about this certificate, that the issuer or one whom the issuer has
 * named for it has signed it, and that it counts now.
 * @param now ms since 1970
 * @throws Error that says what is wrong with it; also for the status `unknown`
 */
export function ocspAnswer(response: Uint8Array, subject: OcspSubject, now: number): OcspAnswer {
  const basic = basicOf(response)
  const { tbsResponseData: data, tbsResponseDataRaw: raw, signature, signatureAlgorithm } = basic
  const single = data.responses.find(({ certID }) => isSame(certID, subject.id))
  if (single === undefined) throw new Error('it is about another certificate')
  const signer = signerOf(basic, subject.issuer, now)
  const signed = Buffer.from(raw as ArrayBuffer)
  if (!isSignedBy(signer, signatureAlgorithm.algorithm, signed, Buffer.from(signature)))
    throw new Error('its signature is wrong')
  return { ...statusOf(single), ...timesOf(single, now) }
}

function basicOf(response: Uint8Array): BasicOCSPResponse {
  // It goes to clients as it is, and the parser overlooks what stands behind its end.
  if (!isOneValue(response)) throw new Error('it is no OCSP response')
  const { responseStatus, responseBytes } = read(() => AsnConvert.parse(response, OCSPResponse))
  if (responseStatus !== OCSPResponseStatus.successful)
    throw new Error(`the responder says ${OCSPResponseStatus[responseStatus] ?? `status ${responseStatus}`}`)
  if (responseBytes?.responseType !== id_pkix_ocsp_basic) throw new Error('it is of a type that is not known')
  return read(() => AsnConvert.parse(responseBytes.response, BasicOCSPResponse))
}

function isOneValue(bytes: Uint8Array): boolean {
  const first = bytes[1] ?? 0
  let length = first
  if (first >= 0x80) {
    length = 0
    for (let i = 2; i < first - 0x80 + 2; i++) length = length * 256 + (bytes[i] ?? 0)
    length += first - 0x80
  }
  return bytes.length === length + 2
}

/** Parsers throw all kinds of errors, one of a stack that is full among them. */
function read<T>(parse: () => T): T {
  try {
    return parse()
  } catch {
    throw new Error('it is no OCSP response')
  }
}

function isSame(one: CertID, other: CertID): boolean {
  return (
    one.hashAlgorithm.algorithm === other.hashAlgorithm.algorithm &&
    isEqual(one.issuerNameHash.buffer, other.issuerNameHash.buffer) &&
    isEqual(one.issuerKeyHash.buffer, other.issuerKeyHash.buffer) &&
    isEqual(one.serialNumber, other.serialNumber)
  )
}

function isEqual(one: ArrayBuffer, other: ArrayBuffer): boolean {
  return Buffer.from(one).equals(Buffer.from(other))
}

/**
 * Whose signature it has to be: the issuer's, or that of a certificate along with it that the issuer itself has issued for that (RFC 6960 section
 * 4.2.2.2), by `id-kp-OCSPSigning`. Without that usage any certificate of the authority, a neighbour's, could speak for all.
 */
function signerOf(basic: BasicOCSPResponse, issuer: X509Certificate, now: number): KeyObject {
  const { responderID } = basic.tbsResponseData
  if (isNamed(responderID, AsnConvert.parse(issuer.raw, Certificate))) return issuer.publicKey
  const signer = basic.certs?.find((each) => isNamed(responderID, each))
  if (signer === undefined) throw new Error('its signer is neither the issuer nor along with it')
  if (!isIssuedBy(signer, issuer.publicKey)) throw new Error('its signer has another issuer')
  const { extensions = [], validity, subjectPublicKeyInfo } = signer.tbsCertificate
  const usage = extensions.find(({ extnID }) => extnID === id_ce_extKeyUsage)
  if (usage === undefined || !AsnConvert.parse(usage.extnValue, ExtendedKeyUsage).includes(id_kp_OCSPSigning))
    throw new Error('its signer is not meant for that: its certificate lacks id-kp-OCSPSigning')
  if (now < validity.notBefore.getTime().getTime() - skew || now > validity.notAfter.getTime().getTime())
    throw new Error("its signer's certificate does not count now")
  return createPublicKey({ key: encoded(subjectPublicKeyInfo), format: 'der', type: 'spki' })
}

function isIssuedBy(one: Certificate, key: KeyObject): boolean {
  const { tbsCertificateRaw: raw, signatureAlgorithm, signatureValue } = one
  const signed = Buffer.from(raw as ArrayBuffer)
  return isSignedBy(key, signatureAlgorithm.algorithm, signed, Buffer.from(signatureValue))
}

function isNamed({ byName, byKey }: ResponderID, { tbsCertificate }: Certificate): boolean {
  if (byKey !== undefined)
    return sha1(tbsCertificate.subjectPublicKeyInfo.subjectPublicKey).equals(Buffer.from(byKey.buffer))
  return byName !== undefined && encoded(byName).equals(encoded(tbsCertificate.subject))
}

function encoded(value: unknown): Buffer {
  return Buffer.from(AsnConvert.serialize(value))
}

function statusOf({ certStatus }: SingleResponse): Pick<OcspAnswer, 'status' | 'revoked'> {
  const { revoked } = certStatus
  if (revoked !== undefined) {
    const why = revoked.revocationReason?.toString() ?? 'no reason'
    return { status: 'revoked', revoked: `${revoked.revocationTime.toISOString()}, ${why}` }
  }
  if (certStatus.good === undefined) throw new Error('the responder does not know the certificate')
  return { status: 'good' }
}

function timesOf(single: SingleResponse, now: number): Pick<OcspAnswer, 'thisUpdate' | 'nextUpdate'> {
  const thisUpdate = single.thisUpdate.getTime()
  const nextUpdate = single.nextUpdate?.getTime() ?? thisUpdate + unsaid
  if (!(thisUpdate <= now + skew)) throw new Error('it is of the future: either clock is wrong')
  if (!(nextUpdate > now)) throw new Error('it counts no longer')
  return { thisUpdate, nextUpdate }
}
