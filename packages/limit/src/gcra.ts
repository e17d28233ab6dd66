import { type Duration, integer, parse, v } from '@sluice/options'
import { KeyTable } from './key-table.js'
import { limitCost, limitKey } from './limit-key.js'
import type { LimitPolicy, MemoryLimiter, Verdict } from './limiter.js'
import { type MemoryLimiterOptions, memoryLimiterOptions, windowDuration } from './limiter-options.js'
import { PlaceArray } from './place-array.js'

/** Options of {@link gcra}. */
export interface GcraOptions extends MemoryLimiterOptions {
  /** Units in each window, in the long run. */
  limit: number
  /** How long that is: `'1m'`. */
  window: Duration
  /** Units at once. Default `limit`. */
  burst?: number
}

/** What GCRA goes by. */
export interface GcraRate {
  /** Milliseconds in which one unit comes back. */
  readonly interval: number
  /** Units at once. */
  readonly burst: number
}

/** Below this, in ms, a difference is one of rounding: times since 1970 are exact to a quarter of it. */
const finest = 0.001

/** What counts as rounding, in ms, and never as much as is asked for: at a million units a second it would be another unit each time. */
function roundingOf(interval: number, cost = 1): number {
  return Math.min(finest, (Math.min(cost, 1) * interval) / 2)
}

/** The entries of a schema for {@link GcraOptions}, without those of a limiter in memory. */
export const gcraEntries = {
  limit: integer(1),
  window: windowDuration(),
  burst: v.optional(integer(1)),
}

const gcraOptions = v.strictObject({ ...gcraEntries, ...memoryLimiterOptions })

/**
 * The generic cell rate algorithm (ITU-T I.371): a key has `burst` units, and one comes back every `window / limit`. So it is never more than
 * `burst` at once, and never more than `burst + limit` in a window. One number for each key.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function gcra(options: GcraOptions, path = 'gcra'): MemoryLimiter {
  const { limit, window, burst = limit, keys, clock } = parse(gcraOptions, options, path)
  return new GcraLimiter({ interval: window / limit, burst }, keys, clock)
}

/**
 * What GCRA says of a request.
 * @param debt milliseconds until all units of the key are back
 */
export function gcraVerdict({ interval, burst }: GcraRate, debt: number, cost: number): Verdict {
  const room = burst * interval
  const after = debt + cost * interval
  const rounding = roundingOf(interval, cost)
  if (after <= room + rounding)
    return {
      ok: true,
      limit: burst,
      remaining: unitsIn(room - after, interval),
      resetMs: wholeMs(after, interval),
    }
  const refused = {
    ok: false,
    limit: burst,
    remaining: unitsIn(room - debt, interval),
    resetMs: wholeMs(debt, interval),
  }
  return cost > burst ? refused : { ...refused, retryAfterMs: Math.ceil(after - room - rounding) }
}

/** What the rate comes to in whole seconds: at least as long as all units take to come back, so that no more are left than its quota. */
export function gcraPolicy({ interval, burst }: GcraRate): LimitPolicy {
  const window = Math.max(1, Math.ceil((burst * interval - finest) / 1_000))
  return { window, quota: Math.max(burst, unitsIn(window * 1_000, interval)) }
}

/** A limiter that holds for each key when all its units are back: the theoretical arrival time. */
export class GcraLimiter implements MemoryLimiter {
  readonly policy: LimitPolicy
  private readonly rate: GcraRate
  private readonly clock: () => number
  private readonly keys: KeyTable
  private readonly full = new PlaceArray(1, (length) => new Float64Array(length))

  constructor(rate: GcraRate, keys: number, clock: () => number) {
    this.rate = rate
    this.policy = gcraPolicy(rate)
    this.clock = clock
    this.keys = new KeyTable(keys, this)
  }

  get size(): number {
    return this.keys.size
  }

  take(key: string, cost = 1): Verdict {
    limitCost(cost)
    const now = this.clock()
    const place = this.keys.place(limitKey(key), now)
    const debt = this.debt(place, now)
    const verdict = gcraVerdict(this.rate, debt, cost)
    // Debt is told without what was rounded: written again for what costs nothing, that would be given away.
    if (verdict.ok && cost > 0)
      this.full.piece(place)[this.full.start(place)] = now + debt + cost * this.rate.interval
    return verdict
  }

  clear(place: number): void {
    this.full.piece(place)[this.full.start(place)] = Number.NEGATIVE_INFINITY
  }

  isHeavy(place: number, now: number): boolean {
    return this.debt(place, now) * 2 >= this.rate.burst * this.rate.interval
  }

  /** After a clock that was set back a key is at worst used up from now on, and not for as long as the clock was set back. */
  private debt(place: number, now: number): number {
    const piece = this.full.piece(place)
    const at = this.full.start(place)
    const debt = Math.max(0, (piece[at] as number) - now)
    const most = this.rate.burst * this.rate.interval
    if (debt <= most + finest) return Math.min(debt, most)
    piece[at] = now + most
    return most
  }
}

function unitsIn(ms: number, interval: number): number {
  return Math.max(0, Math.floor((ms + roundingOf(interval)) / interval))
}

function wholeMs(ms: number, interval: number): number {
  return Math.max(0, Math.ceil(ms - roundingOf(interval)))
}
