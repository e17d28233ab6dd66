export { type Acme, type AcmeCertificate, acme } from './acme.js'
export type { Account } from './acme-account.js'
export { AcmeClient } from './acme-client.js'
export type { AcmeClientOptions } from './acme-client-options.js'
export { AcmeError, type AcmeErrorCode, type AcmePhase } from './acme-error.js'
export type { AcmeEvent } from './acme-event.js'
export {
  type AcmeOptions,
  type AnsweredChallenge,
  acmeOptions,
  type DnsOptions,
  type OnDemandLimits,
  type OnDemandOptions,
} from './acme-options.js'
export { AcmeProblem, type AcmeSubproblem } from './acme-problem.js'
export type { AcmeSeams } from './acme-seams.js'
export type { AcmeLock, AcmeStorage } from './acme-storage.js'
export type { Authorization, Challenge } from './authorization.js'
export { certificateRequest } from './certificate-request.js'
export { challengeCertificate } from './challenge-certificate.js'
export { fileStorage } from './file-storage.js'
export { generateKey, type KeyType } from './generate-key.js'
export type { IssuedPair } from './issued-pair.js'
export type { ManagerSeams } from './manager-seams.js'
export { answerHttp01 } from './middleware.js'
export type { Order } from './order.js'
export { type RenewalInfo, renewalId } from './renewal-info.js'
