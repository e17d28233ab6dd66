import type { Flights } from './flights.js'
import type { Store } from './store.js'

/** The fetches of all caches of this process, by the store that they are for. */
const known = new WeakMap<Store, Set<Flights>>()

/**
 * The fetches of all caches over a store, with those of one more: what is purged in a store, and what an unsafe request has changed, must
 * not come back by a fetch of another cache.
 */
export function flightsOver(store: Store, flights: Flights): Set<Flights> {
  const all = known.get(store) ?? new Set()
  known.set(store, all)
  return all.add(flights)
}
