import { type CertID, OCSPRequest, Request, TBSRequest } from '@peculiar/asn1-ocsp'
import { AsnConvert } from '@peculiar/asn1-schema'

/**
 * The question for one certificate's status, in DER: one certificate, no extension, no signature, as RFC 5019 section 2.1 has it. There is no nonce,
 * since most responders answer with what they signed beforehand; what is old is told by its times.
 */
export function ocspRequest(id: CertID): Buffer {
  const tbsRequest = new TBSRequest({ requestList: [new Request({ reqCert: id })] })
  return Buffer.from(AsnConvert.serialize(new OCSPRequest({ tbsRequest })))
}
