import { type Duration, duration, integer, oneOf, parse, that, v } from '@sluice/options'
import { type AdaptiveOptions, type AdaptiveSettings, adaptiveOptions } from './adaptive-limit.js'
import type { QueueLimits, QueueOrder } from './queue-line.js'

/** How many at once, and how many may wait. */
export interface ConcurrencyOptions {
  /** In flight at most, over an upstream for each target; or found by latencies, and there of what waits for the head of its answer. */
  limit: number | 'adaptive'
  /** Places for those that wait. Default 100; 0: nobody waits. */
  queue?: number
  /** How long one waits at most. Default 5s; 0: no limit. */
  queueTimeout?: Duration
  /**
   * Who is served first. Default `'fifo'`. `'lifo'` serves the newest: under lasting overload some are served in time and the
   * oldest wait in vain, where in turn everybody would be served too late.
   */
  order?: QueueOrder
  /**
   * What those that are refused hear as `Retry-After`. Default `queueTimeout`, by which all who wait now have been served or
   * refused; nothing where nobody waits (`queue: 0`), or waits without limit. 0: nothing.
   */
  retryAfter?: Duration
  /** Bounds of the adaptive limit. Default `{ initial: 20, min: 1, max: 1000 }`. */
  adaptive?: AdaptiveOptions
}

/** {@link ConcurrencyOptions} with none left out, in milliseconds. */
export interface ConcurrencySettings {
  readonly limit: number | 'adaptive'
  readonly line: QueueLimits
  readonly adaptive: AdaptiveSettings
}

/** Options of {@link queue}. */
export interface QueueOptions {
  /** Calls at once. Default 1. */
  concurrency?: number
  /** Places for those that wait. Default 100. */
  length?: number
  /** How long one waits at most. Default 0: no limit. */
  timeout?: Duration
  /** Who is served first. Default `'fifo'`. */
  order?: QueueOrder
  /** `retryAfterMs` of the errors of those that are refused. Default `timeout`, by which all who wait now have been served or refused. */
  retryAfter?: Duration
}

const limit = that<number | 'adaptive'>(
  (value) => value === 'adaptive' || (Number.isSafeInteger(value) && (value as number) >= 1),
  "a whole number, 1 or more, or 'adaptive'",
)
const order = v.optional(oneOf('fifo', 'lifo'), 'fifo')

/** Validates {@link ConcurrencyOptions} and fills in the defaults. */
export const concurrencyOptions = v.strictObject({
  limit,
  queue: v.optional(integer(0), 100),
  queueTimeout: v.optional(duration(), 5_000),
  order,
  retryAfter: v.optional(duration()),
  adaptive: v.optional(adaptiveOptions, {}),
})

const queueOptions = v.strictObject({
  concurrency: v.optional(integer(1), 1),
  length: v.optional(integer(0), 100),
  timeout: v.optional(duration(), 0),
  order,
  retryAfter: v.optional(duration()),
})

/**
 * Concurrency options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveConcurrency(options: ConcurrencyOptions, path = 'concurrency'): ConcurrencySettings {
  const read = parse(concurrencyOptions, options, path)
  return {
    limit: read.limit,
    line: lineOf(read.queue, read.queueTimeout, read.order, read.retryAfter),
    adaptive: read.adaptive,
  }
}

/**
 * Queue options with defaults for those left out, as settings of a concurrency.
 * @throws TypeError that names the option below `path`
 */
export function resolveQueue(options: QueueOptions, path = 'queue'): ConcurrencySettings {
  const { concurrency, length, timeout, order: by, retryAfter } = parse(queueOptions, options, path)
  return {
    limit: concurrency,
    line: lineOf(length, timeout, by, retryAfter),
    adaptive: { initial: concurrency, min: 1, max: concurrency },
  }
}

/** With no place to wait nothing is known of when there will be room. */
function lineOf(
  length: number,
  timeout: number,
  by: QueueOrder,
  retryAfter: number | undefined,
): QueueLimits {
  return { length, timeout, order: by, retryAfter: retryAfter ?? (length === 0 ? 0 : timeout) }
}
