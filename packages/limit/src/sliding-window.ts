import { type Duration, integer, parse, v } from '@sluice/options'
import { KeyTable } from './key-table.js'
import { limitCost, limitKey } from './limit-key.js'
import type { LimitPolicy, MemoryLimiter, Verdict } from './limiter.js'
import { type MemoryLimiterOptions, memoryLimiterOptions, windowDuration } from './limiter-options.js'
import { PlaceArray } from './place-array.js'

/** Options of {@link slidingWindow}. */
export interface SlidingWindowOptions extends MemoryLimiterOptions {
  /** Units in any window, wherever it begins. */
  limit: number
  /** How long that is: `'1m'`. */
  window: Duration
}

/** Entries of a key. */
const entries = 8

const slidingWindowOptions = v.strictObject({
  limit: integer(1, 2 ** 32 - 1),
  window: windowDuration(),
  ...memoryLimiterOptions,
})

/**
 * Never more than `limit` in any window, wherever it begins. Each key has a log of eight entries, a time and units. Up to a limit of eight that is
 * exact; with more, what is used within a seventh of a window shares an entry, and counts until the last of it has left the window: so a unit counts for
 * a window, and up to a seventh longer. Costs are rounded up to whole units.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function slidingWindow(options: SlidingWindowOptions, path = 'slidingWindow'): MemoryLimiter {
  const { limit, window, keys, clock } = parse(slidingWindowOptions, options, path)
  return new SlidingWindow(limit, window, keys, clock)
}

/**
 * The log of a key: when its newest entry was last added to, and for each entry, the oldest first, how long before that it was, and its units. Times are
 * whole milliseconds, rounded up, so nothing leaves the window too early.
 */
class SlidingWindow implements MemoryLimiter {
  readonly policy: LimitPolicy
  private readonly limit: number
  private readonly window: number
  /** Milliseconds that share an entry. */
  private readonly grain: number
  private readonly clock: () => number
  private readonly keys: KeyTable
  private readonly newest = new PlaceArray(1, (length) => new Float64Array(length))
  private readonly ages = new PlaceArray(entries, (length) => new Uint32Array(length))
  /** 0 behind the last entry. */
  private readonly units: PlaceArray<Uint16Array | Uint32Array>

  constructor(limit: number, window: number, keys: number, clock: () => number) {
    this.limit = limit
    this.window = window
    this.grain = limit <= entries ? 0 : window / (entries - 1)
    this.units =
      limit < 2 ** 16
        ? new PlaceArray(entries, (length) => new Uint16Array(length))
        : new PlaceArray(entries, (length) => new Uint32Array(length))
    const seconds = Math.ceil(window / 1_000)
    this.policy = { window: seconds, quota: Math.floor((limit * seconds * 1_000) / window) }
    this.clock = clock
    this.keys = new KeyTable(keys, this)
  }

  get size(): number {
    return this.keys.size
  }

  take(key: string, cost = 1): Verdict {
    const whole = Math.ceil(limitCost(cost))
    const { limit } = this
    const now = this.clock()
    const place = this.keys.place(limitKey(key), now)
    const used = this.used(place, now)
    if (used + whole > limit) {
      const resetMs = this.untilFree(place, used, now)
      const refused = { ok: false, limit, remaining: limit - used, resetMs }
      if (whole > limit) return refused
      return { ...refused, retryAfterMs: this.untilFree(place, used + whole - limit, now) }
    }
    if (whole > 0) this.add(place, whole, Math.ceil(now))
    const resetMs = this.untilFree(place, used + whole, now)
    return { ok: true, limit, remaining: limit - used - whole, resetMs }
  }

  clear(place: number): void {
    const start = this.units.start(place)
    this.units.piece(place).fill(0, start, start + entries)
    this.newest.piece(place)[this.newest.start(place)] = Number.NEGATIVE_INFINITY
  }

  isHeavy(place: number, now: number): boolean {
    return this.used(place, now) * 2 >= this.limit
  }

  /** Units in the window, after what has left it is forgotten. */
  private used(place: number, now: number): number {
    const newest = this.newestOf(place, now)
    const ages = this.ages.piece(place)
    const units = this.units.piece(place)
    const start = this.units.start(place)
    const end = start + entries
    let from = start
    while (from < end && units[from] !== 0 && now - newest + (ages[from] as number) >= this.window) from++
    let used = 0
    let to = start
    for (; from < end && units[from] !== 0; from++, to++) {
      ages[to] = ages[from] as number
      units[to] = units[from] as number
      used += units[to] as number
    }
    units.fill(0, to, end)
    return used
  }

  /** When the newest entry was added to. After a clock that was set back all of the log is as old as it was, from now on. */
  private newestOf(place: number, now: number): number {
    const piece = this.newest.piece(place)
    const at = this.newest.start(place)
    const newest = Math.min(piece[at] as number, Math.ceil(now))
    piece[at] = newest
    return newest
  }

  /** Adds units to the log, at a whole millisecond. */
  private add(place: number, cost: number, time: number): void {
    const piece = this.newest.piece(place)
    const newest = piece[this.newest.start(place)] as number
    piece[this.newest.start(place)] = time
    const ages = this.ages.piece(place)
    const units = this.units.piece(place)
    const start = this.units.start(place)
    let at = start
    for (; at < start + entries && units[at] !== 0; at++) ages[at] = (ages[at] as number) + time - newest
    // Where there are as many entries as places it joins the newest, which then counts for longer.
    if (at > start && (at === start + entries || this.together(newest, time))) at--
    ages[at] = 0
    units[at] = (units[at] as number) + cost
  }

  private together(one: number, other: number): boolean {
    if (this.grain === 0) return one === other
    return Math.floor(one / this.grain) === Math.floor(other / this.grain)
  }

  /** Milliseconds until so many units have left the window. */
  private untilFree(place: number, wanted: number, now: number): number {
    const newest = this.newest.piece(place)[this.newest.start(place)] as number
    const ages = this.ages.piece(place)
    const units = this.units.piece(place)
    const start = this.units.start(place)
    let free = 0
    for (let at = start; at < start + entries && units[at] !== 0; at++) {
      free += units[at] as number
      if (free >= wanted) return Math.ceil(newest - (ages[at] as number) + this.window - now)
    }
    return 0
  }
}
