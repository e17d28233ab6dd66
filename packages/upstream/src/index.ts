export type { ClientIdentity, ClientPair } from './client-identity.js'
export { createTarget, leaseOn, retire } from './create-target.js'
export type { Lease, LeasePhase, LeaseResult, Selected, Tried } from './lease.js'
export { hasLeftLine, leftLine } from './left-line.js'
export { isNetworkError, isOwnFault } from './network-error.js'
export { onRetire } from './on-retire.js'
export { hasOther, isWithdrawn } from './other-targets.js'
export { ownLimits } from './own-limits.js'
export type { SecuredOptions } from './secured-options.js'
export type { Target, TargetInit, TargetState } from './target.js'
export type { TargetTls } from './target-tls.js'
export { connectionKey, pinFault, tlsOptions } from './tls-options.js'
export {
  type AnswerListener,
  createUpstream,
  type Discovery,
  needUpstream,
  type ResultListener,
  type StateChange,
  type Upstream,
  type UpstreamSettings,
} from './upstream.js'
