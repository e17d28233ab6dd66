import { randomInt } from 'node:crypto'
import { type Linked, LinkedList } from '@sluice/core'
import type { Flight } from './flight.js'
import { keyHash } from './key-hash.js'
import { purgeMatches } from './purge-matches.js'
import type { EntryHead, PurgeKey } from './store.js'

/** A fetch that a purge may overtake. */
export interface Doomable extends Linked<Doomable> {
  readonly url: string
  /** The head of what it brings, once there is one. */
  readonly head: EntryHead | undefined
  /** What it has brought, or will, is of before a purge. */
  doom(): void
}

/** More than are on their way at most times: then few share one. A power of two. */
const buckets = 1024

/** The fetches that are on their way, by what they fetch. */
export class Flights {
  /** By the hash of the key. One that was doomed, or has got too old, stays there until it is over, behind the one that has taken its place. */
  readonly #byKey: LinkedList<Doomable>[] = Array.from({ length: buckets }, () => new LinkedList())
  readonly #alone = new LinkedList<Doomable>()
  /** Those of a range alone, by the resource that it is of. */
  readonly #ofParts = new Map<string, Set<Flight>>()
  readonly #seed = randomInt(2 ** 32)

  /** What a key is found by here: to be made once for each request. */
  hash(key: string): number {
    return keyHash(key, this.#seed)
  }

  /** The newest that others may still wait for. */
  find(key: string, hash: number = this.hash(key)): Flight | undefined {
    let one = this.#bucket(hash).first as Flight | undefined
    while (one !== undefined && (one.key !== key || one.doomed)) one = one.next as Flight | undefined
    return one
  }

  add(flight: Flight): void {
    flight.before = this.find(flight.key, flight.hash)
    this.#bucket(flight.hash).add(flight)
    if (!flight.isOfPart) return
    const { primary } = flight.plan.key
    const others = this.#ofParts.get(primary)
    if (others === undefined) this.#ofParts.set(primary, new Set([flight]))
    else others.add(flight)
  }

  remove(flight: Flight): void {
    this.#bucket(flight.hash).remove(flight)
    if (!flight.isOfPart) return
    const { primary } = flight.plan.key
    const others = this.#ofParts.get(primary)
    others?.delete(flight)
    if (others?.size === 0) this.#ofParts.delete(primary)
  }

  /**
   * A whole has come: a part that was asked for before must not take its place.
   * @param key of the variant that it is
   */
  overtakeParts({ plan, startedAt }: Flight, key: string): void {
    if (this.#ofParts.size === 0) return
    for (const one of this.#ofParts.get(plan.key.primary) ?? [])
      if (one.startedAt <= startedAt) one.overtaken(key)
  }

  /** A request that nobody else waits for, and whose answer changes what is stored. */
  watch(alone: Doomable): void {
    this.#alone.add(alone)
  }

  unwatch(alone: Doomable): void {
    this.#alone.remove(alone)
  }

  /** A purge wins over what was asked for before it: that is neither stored nor shared with anybody who comes now. */
  doom(what: PurgeKey): void {
    this.#alone.forEach(doomIf, what)
    for (const bucket of this.#byKey) bucket.forEach(doomIf, what)
  }

  #bucket(hash: number): LinkedList<Doomable> {
    return this.#byKey[hash & (buckets - 1)] as LinkedList<Doomable>
  }
}

/** What has no head yet may carry any tag. */
function doomIf(one: Doomable, what: PurgeKey): void {
  const { head, url } = one
  const unknown = head === undefined && what.tag !== undefined
  if (unknown || purgeMatches(what, { url, tags: head === undefined ? [] : head.tags })) one.doom()
}

/** The request of one client, on which a purge may come: an answer that is older than a purge renews nothing. */
export class Alone implements Doomable {
  readonly head = undefined
  doomed = false
  next: Doomable | undefined = undefined
  previous: Doomable | undefined = undefined

  constructor(readonly url: string) {}

  doom(): void {
    this.doomed = true
  }
}
