import { type OcspAnswer, ocspAnswer } from './ocsp-answer.js'
import { ocspRequest } from './ocsp-request.js'
import { ocspSubject } from './ocsp-subject.js'

/** What to ask of a certificate, whom, and how to read the answer. */
export interface OcspExchange {
  readonly url: URL
  readonly question: Buffer
  /** @throws Error that says what is wrong with the answer */
  read(response: Uint8Array, now: number): OcspAnswer
}

/** Everything of a question that needs an ASN.1 parser. A text says why nothing can be asked of this certificate. */
export function ocspExchange(certificate: Uint8Array, issuer: Uint8Array): OcspExchange | string {
  try {
    const subject = ocspSubject(certificate, issuer)
    return {
      url: subject.url,
      question: ocspRequest(subject.id),
      read: (response, now) => ocspAnswer(response, subject, now),
    }
  } catch (error) {
    return (error as Error).message
  }
}
