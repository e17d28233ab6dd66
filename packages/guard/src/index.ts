export type { After } from './after.js'
export { anonymity } from './anonymity.js'
export {
  type AnonymityOptions,
  anonymityOptions,
  type ClientIdentity,
  type RewritableBody,
} from './anonymity-options.js'
export { bodyBuffer } from './body-buffer.js'
export { bodyLimit } from './body-limit.js'
export {
  type HardenableServer,
  type Hardened,
  type HardenOptions,
  harden,
  hardenOptions,
  isHardened,
} from './harden.js'
export { type IpFilterOptions, ipFilter, ipFilterOptions } from './ip-filter.js'
export { type IpList, type IpListSeams, ipList } from './ip-list.js'
export type { IpFile, IpLoad, IpSource } from './ip-source.js'
export { type IpSet, ipTrie } from './ip-trie.js'
export {
  expectNoLeak,
  type Leak,
  LeakError,
  type Listener,
  type Mountable,
  type NoLeakOptions,
} from './leaks/expect-no-leak.js'
export { type DelaySink, LoopSampler } from './loop-sampler.js'
export { originsOf, type WithTargets } from './origins-of.js'
export type { Refusal } from './refusals.js'
export { type JudgedRequest, type RequestJudgement, requestJudge } from './request-judge.js'
export { type RequestRule, requestRules } from './request-rules.js'
export { type BudgetOptions, type ServerGuardOptions, serverGuardOptions } from './server-guard-options.js'
export { type NodeServerOptions, openWindow, serverOptions } from './server-options.js'
export { type ShedSeams, shed } from './shed.js'
export { type Priority, type ShedOptions, shedOptions } from './shed-options.js'
export { type Rank, ranks, Shedder, type ShedderSettings, type ShedReason } from './shedder.js'
export { type SlowOptions, slowOptions } from './slow-options.js'
export { type FieldsRule, tellTales } from './tell-tales.js'
export { withoutUnderscored } from './underscored-names.js'
export { validate } from './validate.js'
export { type ValidateOptions, validateOptions } from './validate-options.js'
export { warnUnhardened } from './warn-unhardened.js'
