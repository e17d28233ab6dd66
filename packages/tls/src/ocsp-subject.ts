import { createHash, X509Certificate } from 'node:crypto'
import { CertID } from '@peculiar/asn1-ocsp'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AuthorityInfoAccessSyntax,
  Certificate,
  id_ad_ocsp,
  id_pe_authorityInfoAccess,
} from '@peculiar/asn1-x509'

const idSha1 = '1.3.14.3.2.26'

/** A certificate whose status is asked for. */
export interface OcspSubject {
  /** By what responders know it. */
  readonly id: CertID
  /** Who has issued it, and answers for it, or names who does. */
  readonly issuer: X509Certificate
  /** The responder that it names. */
  readonly url: URL
}

/**
 * Reads what to ask of a certificate, and whom.
 * @param certificate in DER
 * @param issuer in DER
 * @throws Error that says why nothing can be asked: it names no responder, it isn't this one's issuer, it can't be read
 */
export function ocspSubject(certificate: Uint8Array, issuer: Uint8Array): OcspSubject {
  const by = new X509Certificate(issuer)
  if (!new X509Certificate(certificate).checkIssued(by))
    throw new Error('the next certificate of the chain is not its issuer')
  const { tbsCertificate } = AsnConvert.parse(certificate, Certificate)
  const url = responderOf(tbsCertificate.extensions)
  if (url === undefined) throw new Error('the certificate names no responder over http or https')
  const name = AsnConvert.serialize(tbsCertificate.issuer)
  // The hash is over the name's very bytes, which a parser may have read and not be able to write.
  if (!Buffer.from(certificate).includes(Buffer.from(name)))
    throw new Error("the issuer's name has a form that can't be asked for")
  const { subjectPublicKeyInfo } = AsnConvert.parse(issuer, Certificate).tbsCertificate
  const id = new CertID({
    // RFC 5019 section 2.1.1 asks for SHA-1, and responders know nothing else: it finds the certificate, and secures nothing.
    hashAlgorithm: new AlgorithmIdentifier({ algorithm: idSha1, parameters: null }),
    issuerNameHash: new OctetString(sha1(name)),
    issuerKeyHash: new OctetString(sha1(subjectPublicKeyInfo.subjectPublicKey)),
    serialNumber: tbsCertificate.serialNumber,
  })
  return { id, issuer: by, url }
}

function responderOf(
  extensions: readonly { extnID: string; extnValue: OctetString }[] = [],
): URL | undefined {
  const access = extensions.find(({ extnID }) => extnID === id_pe_authorityInfoAccess)
  if (access === undefined) return undefined
  for (const { accessMethod, accessLocation } of AsnConvert.parse(
    access.extnValue,
    AuthorityInfoAccessSyntax,
  )) {
    const text = accessMethod === id_ad_ocsp ? accessLocation.uniformResourceIdentifier : undefined
    if (text !== undefined && /^https?:\/\//i.test(text) && URL.canParse(text)) return new URL(text)
  }
  return undefined
}

/** The SHA-1 that OCSP knows names and keys by. */
export function sha1(bytes: ArrayBuffer): Buffer {
  return createHash('sha1').update(Buffer.from(bytes)).digest()
}
