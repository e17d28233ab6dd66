import type { Flight } from './flight.js'
import type { EntryHead, PurgeKey } from './store.js'

/** A fetch that a purge may overtake. */
export interface Doomable {
  readonly url: string
  /** The head of what it brings, once there is one. */
  readonly head: EntryHead | undefined
  /** What it has brought, or will, is of before a purge. */
  doom(): void
}

/** The fetches that are on their way, by what they fetch. */
export class Flights {
  readonly #byKey = new Map<string, Flight>()
  /** All of them: one that was doomed, or got too old, has lost its place to another but isn't over. */
  readonly #all = new Set<Doomable>()
  readonly #byPrimary = new Map<string, Set<Flight>>()

  /**
   * When what was fetched for a resource, and is whole, can be found in the store, where that isn't yet: to look again then is better than
   * to ask the target again.
   */
  settling(primary: string): Promise<void> | undefined {
    const flights = this.#byPrimary.get(primary)
    if (flights === undefined) return undefined
    for (const { settling } of flights) if (settling !== undefined) return settling
    return undefined
  }

  /** One that others may still wait for. */
  find(key: string): Flight | undefined {
    return this.#byKey.get(key)
  }

  add(flight: Flight): void {
    flight.before = this.#byKey.get(flight.key)
    this.#byKey.set(flight.key, flight)
    this.#all.add(flight)
    const { primary } = flight.plan.key
    const others = this.#byPrimary.get(primary)
    if (others === undefined) this.#byPrimary.set(primary, new Set([flight]))
    else others.add(flight)
  }

  remove(flight: Flight): void {
    this.#all.delete(flight)
    this.#forget(flight)
    const { primary } = flight.plan.key
    const flights = this.#byPrimary.get(primary)
    if (flights?.delete(flight) === true && flights.size === 0) this.#byPrimary.delete(primary)
  }

  /** A request that nobody else waits for, and whose answer changes what is stored. */
  watch(alone: Doomable): void {
    this.#all.add(alone)
  }

  unwatch(alone: Doomable): void {
    this.#all.delete(alone)
  }

  /** A purge wins over what was asked for before it: that is neither stored nor shared with anybody who comes now. */
  doom(what: PurgeKey): void {
    for (const one of this.#all) if (matches(what, one.url, one.head)) one.doom()
    for (const flight of this.#byKey.values()) if (flight.doomed) this.#forget(flight)
  }

  #forget(flight: Flight): void {
    if (this.#byKey.get(flight.key) === flight) this.#byKey.delete(flight.key)
  }
}

/** What has no head yet may carry any tag. */
function matches({ url, tag, prefix }: PurgeKey, at: string, head: EntryHead | undefined): boolean {
  if (url !== undefined) return at === url
  if (prefix !== undefined) return at.startsWith(prefix)
  return head === undefined || head.tags.includes(tag as string)
}

/** The request of one client, on which a purge may come: an answer that is older than a purge renews nothing. */
export class Alone implements Doomable {
  readonly head = undefined
  doomed = false

  constructor(readonly url: string) {}

  doom(): void {
    this.doomed = true
  }
}
