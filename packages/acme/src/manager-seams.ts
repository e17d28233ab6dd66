import { performance } from 'node:perf_hooks'
import type { AcmeClient } from './acme-client.js'
import type { AcmeClientOptions } from './acme-client-options.js'
import { type AcmeSeams, seamsOf } from './acme-seams.js'

/** What of a client the manager uses. */
export type OrderingClient = Pick<
  AcmeClient,
  | 'newOrder'
  | 'order'
  | 'authorization'
  | 'keyAuthorization'
  | 'dnsValue'
  | 'begin'
  | 'settledAuthorization'
  | 'finalize'
  | 'certificate'
  | 'renewalInfo'
  | 'revoke'
  | 'rollover'
  | 'close'
>

/** What {@link acme} takes from outside, to be replaced in tests. */
export interface ManagerSeams extends AcmeSeams {
  /** Numbers in [0, 1). Default `Math.random`. */
  readonly random: () => number
  /** Monotonic milliseconds. Default `performance.now`. */
  readonly elapsed: () => number
  /** Makes the client of an account. Default an `AcmeClient`, with time as it is but for `now`. */
  readonly client: ((options: AcmeClientOptions) => OrderingClient) | undefined
  /** For how long an order's lock is taken each time, in ms. Default 60 s. */
  readonly lease: number
}

/** Chance and time as they are, but for what is given. */
export function managerSeams({
  random = Math.random,
  elapsed = () => performance.now(),
  client,
  lease = 60_000,
  ...rest
}: Partial<ManagerSeams>): ManagerSeams {
  return { ...seamsOf(rest), random, elapsed, client, lease }
}
