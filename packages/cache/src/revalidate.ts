import { discard } from '@sluice/core'
import type { CacheRequest, Fetcher } from './cache-request.js'
import type { Engine } from './engine.js'
import { Flight, type Leader } from './flight.js'
import { isOwnError } from './is-own-error.js'
import type { Plan } from './plan.js'
import type { EntryHead } from './store.js'

/**
 * Fetches again what was served stale (RFC 5861 section 3). Nobody waits for it, and for each entry there is one at a time. After one
 * that has failed there is none for a second, unless what failed was the request that it was made for.
 * @param head of what was served
 */
export function revalidate<T>(
  engine: Engine,
  { entryKey, key, vary }: Pick<Plan, 'key' | 'entryKey' | 'vary'>,
  head: EntryHead,
  request: CacheRequest,
  fetcher: Fetcher<T>,
  arg: T,
): void {
  const now = engine.now()
  const hash = engine.flights.hash(entryKey)
  const before = engine.flights.find(entryKey, hash)
  if (before?.isJoinable(now) === true || engine.failing.has(entryKey, now)) return
  const { part } = head
  const plan: Plan = {
    key,
    entryKey,
    vary,
    // A part is asked for again as it is: what validators say of the whole doesn't bring the bytes of it.
    stale: part === undefined ? head : undefined,
    range: part && `bytes=${part.first}-${part.last}`,
    inform: false,
    // Among all who share the store there is one, too.
    lease: true,
  }
  const flight = new Flight(entryKey, hash, plan, engine)
  engine.flights.add(flight)
  void flight.fly(request, fetcher, arg, background)
}

const background: Leader<void> = {
  landed({ engine, key, reply }, landing) {
    if (landing.kind === 'stored') return landing.fill.start()
    // Who asks for its own rejection again and again shall not keep what is stale.
    if (landing.kind === 'failed' && !isOwnError(landing.error))
      engine.failing.note(key, 'failed', engine.now())
    if (reply !== undefined) discard(reply)
  },
}
