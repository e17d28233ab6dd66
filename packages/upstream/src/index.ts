export { createTarget, leaseOn, onRetire, retire } from './create-target.js'
export type { Lease, LeasePhase, LeaseResult, Selected, Tried } from './lease.js'
export { isNetworkError, isOwnFault } from './network-error.js'
export type { Target, TargetInit, TargetState } from './target.js'
export type { TargetTls } from './target-tls.js'
export { pinFault, tlsOptions } from './tls-options.js'
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
