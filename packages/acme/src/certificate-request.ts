import type { KeyObject } from 'node:crypto'
import { generalName, signingWith, x509 } from './x509.js'

/**
 * A request for a certificate (PKCS #10, RFC 2986), in DER: for these names and addresses, which stand in the extension alone.
 * @param key private: RSA, P-256 or P-384. It signs the request, which holds the public half
 * @throws TypeError for another key
 */
export async function certificateRequest(names: readonly string[], key: KeyObject): Promise<Buffer> {
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } = await x509()
  const request = await Pkcs10CertificateRequestGenerator.create({
    ...(await signingWith(key)),
    extensions: [new SubjectAlternativeNameExtension(names.map(generalName))],
  })
  return Buffer.from(request.rawData)
}
