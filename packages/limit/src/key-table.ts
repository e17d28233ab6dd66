import { LRUCache } from 'lru-cache'
import { ownText } from './limit-key.js'

/** What holds the state of keys, each in a place that has a number. */
export interface KeyStates {
  /** Makes the state of a place that of a key which has used nothing. */
  clear(place: number): void
  /** Whether that key has half of its limit or more used up now. */
  isHeavy(place: number, now: number): boolean
}

/** Keys in a row that may stay at the expense of the next. */
const spared = 8
/** Keys that a table has room for at first. */
const fewAtFirst = 1_024

/**
 * Keys with the numbers of their places, so many at most. When it is full, the key goes that was asked for longest ago, and has all of its limit again
 * when it comes back. But one that has used half of its limit stays, as if it had been asked for just now, unless that would be the ninth in a
 * row: so nobody gets rid of a used up limit by asking for many other keys, unless nearly all of these are used up as well.
 *
 * An `LRUCache` takes the memory for all of its keys when it is made. So it is a small one until that is full: each route may have a limit, and most limits
 * see few keys.
 */
export class KeyTable {
  private places: LRUCache<string, number>
  private readonly max: number
  private readonly states: KeyStates

  constructor(max: number, states: KeyStates) {
    this.places = new LRUCache({ max: Math.min(max, fewAtFirst) })
    this.max = max
    this.states = states
  }

  get size(): number {
    return this.places.size
  }

  /** The place of a key. */
  place(key: string, now: number): number {
    const known = this.places.get(key)
    if (known !== undefined) return known
    if (this.places.size === this.places.max && this.places.max < this.max) this.grow()
    const place = this.places.size < this.max ? this.places.size : this.letGo(now)
    this.places.set(ownText(key), place)
    this.states.clear(place)
    return place
  }

  /** Makes room for all keys, in the order that they have. */
  private grow(): void {
    const few = this.places
    this.places = new LRUCache({ max: this.max })
    for (const key of few.rkeys()) this.places.set(key as string, few.peek(key as string) as number)
  }

  /** Lets a key go. Gives its place. */
  private letGo(now: number): number {
    const { places, states } = this
    for (let heavy = 0; ; heavy++) {
      const oldest = places.rkeys().next().value as string
      const place = places.peek(oldest) as number
      if (heavy < spared && states.isHeavy(place, now)) places.get(oldest)
      else {
        places.delete(oldest)
        return place
      }
    }
  }
}
