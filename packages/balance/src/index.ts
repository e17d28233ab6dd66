export {
  type Affinity,
  type Balancer,
  type PolicyParts,
  partsOf,
  type RandomOptions,
  withParts,
} from './balancer.js'
export { boundedLoad } from './bounded-load.js'
export { byCount } from './by-count.js'
export { cookieValues } from './cookie-values.js'
export { first } from './first.js'
export type { Key } from './keyed.js'
export { leastRequests } from './least-requests.js'
export { type MaglevOptions, maglev } from './maglev.js'
export {
  type BalanceOptions,
  balance,
  overflowOption,
  type TargetFromOptions,
  targetFrom,
} from './middleware.js'
export { type ObservingBalancer, type PeakEwmaOptions, peakEwma } from './peak-ewma.js'
export { powerOfTwo } from './power-of-two.js'
export { type PreferZoneOptions, preferZone, preferZoneOptions, zoneName } from './prefer-zone.js'
export { random } from './random.js'
export { rendezvous } from './rendezvous.js'
export { type RingOptions, ring } from './ring.js'
export { roundRobin } from './round-robin.js'
export { type SlowStartOptions, slowStart, slowStartOptions } from './slow-start.js'
export { sticky, type WithFields } from './sticky.js'
export { type StickyOptions, stickyOptions } from './sticky-options.js'
export { type SubsetOptions, subset, subsetOptions } from './subset.js'
export { weightedRandom } from './weighted-random.js'
export { weightedRoundRobin } from './weighted-round-robin.js'
