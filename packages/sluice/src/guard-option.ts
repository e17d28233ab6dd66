import type {
  AnonymityOptions,
  IpFilterOptions,
  ServerGuardOptions,
  ShedOptions,
  SlowOptions,
  ValidateOptions,
} from '@sluice/guard'
import type { ConcurrencyLimitOptions, RateLimitOptions } from '@sluice/limit'
import type { Size } from '@sluice/options'

/** How much a client may ask for: of the whole proxy, or of one route. */
export interface LimitOptions {
  /** Bytes that the body of a request may have. Default none; 0: no limit. */
  bodyLimit?: Size
  /**
   * Bytes of the body of a request that are waited for before a target is asked: of slow clients it then learns when there is something to
   * do. Default none; 0: nothing is waited for. A route's stands for the one of the proxy.
   */
  bodyBuffer?: Size
  /** How often a client may ask. Several count together: the strictest decides. Default none. */
  rateLimit?: RateLimitOptions | readonly RateLimitOptions[]
  /** How many requests of a client may be in flight at once. Default none. */
  concurrency?: ConcurrencyLimitOptions
}

/** What keeps attackers and overload out, and identities in. */
export interface GuardOptions extends LimitOptions {
  /** Refuses what is malformed, ambiguous or too large in a request's head. Default `true`; options say how strictly. */
  validate?: boolean | ValidateOptions
  /**
   * What only a server can limit, for the servers of `listen`: time for a head, connections, floods of HTTP/2. Default on; `false` leaves
   * Node's own, and turns `slow` off too. A server of one's own is given the same by `harden(server)` of `@sluice/guard`.
   */
  server?: false | ServerGuardOptions
  /** Cuts clients that send or read too slowly, at the servers of `listen`. Default on. */
  slow?: false | SlowOptions
  /** Addresses that may come, or may not. Default all may. */
  ip?: IpFilterOptions
  /** Turns requests away while the process has more to do than it can, the least important first. Default `false`. */
  shed?: boolean | ShedOptions
  /** Hides who serves: fields, URLs and error pages that tell of targets never reach a client. `origins` are hidden beside the targets of now. Default `false`. */
  anonymity?: boolean | AnonymityOptions
}
