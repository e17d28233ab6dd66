import { type Duration, duration, integer, needFunction, parse, that, v } from '@sluice/options'
import { type BackoffOptions, backoffDelay, backoffOptions } from './backoff.js'
import { isResponse, letGo } from './let-go.js'
import { immediately } from './queue-timer.js'
import { retryAfter } from './retry-after.js'
import { isRetryBudget, type RetryBudget } from './retry-budget.js'
import { tieWhileUsed } from './tie-while-used.js'
import { decision } from './user-functions.js'

/** How one try ended: with a value, or with an error. */
export interface EndedTry<T> {
  readonly value?: T
  readonly error?: unknown
  /** Its number, from 1. */
  readonly attempt: number
}

/** Options of {@link retrying}. */
export interface RetryingOptions<T> {
  /** Tries in all, the first included. Default 2. */
  attempts?: number
  /** Whether to try again after this end. Default after every error and no value. */
  when?: (ended: EndedTry<T>) => boolean
  /** Waits between tries; a `Retry-After` of a `Response` is obeyed up to its `max`, and past it that one is the last. Default none. */
  backoff?: BackoffOptions
  /** Time for one try; past it its signal aborts, and it has failed with a TimeoutError. Default 0: none. */
  perTry?: Duration
  /** Time for all tries and waits. Default 0: none. */
  total?: Duration
  /** Bounds further tries by the traffic. Default none. */
  budget?: RetryBudget
  /** Ends everything, a wait too, with its reason. */
  signal?: AbortSignal
}

const aFunction = (value: unknown): boolean => typeof value === 'function'

const schema = v.strictObject({
  attempts: v.optional(integer(1, 100), 2),
  when: v.optional(that<(ended: EndedTry<never>) => boolean>(aFunction, 'a function')),
  backoff: v.optional(backoffOptions),
  perTry: v.optional(duration(), 0),
  total: v.optional(duration(), 0),
  budget: v.optional(that<RetryBudget>(isRetryBudget, 'what retryBudget() gives')),
  signal: v.optional(that<AbortSignal>((value) => value instanceof AbortSignal, 'an AbortSignal')),
})

/**
 * Calls an async function, `fetch` for instance, again while it fails: `retrying((_n, signal) => fetch(url, { signal }), {})`.
 * Whether it may run twice is the caller's to know. `Response`s that are not the last have their body cancelled.
 * @throws TypeError for a wrong option or what is no function, at once
 * @returns what the last try gives; it rejects with its error, or with the reason of `signal`
 */
export function retrying<T>(
  fn: (attempt: number, signal: AbortSignal) => Promise<T>,
  options: RetryingOptions<T> = {},
): Promise<T> {
  needFunction(fn, 'retrying')
  const settings = parse(schema, options, 'retrying')
  const { when } = options
  return run(fn, { ...settings, when: when === undefined ? failed : (ended) => decided(when(ended)) })
}

type Settings<T> = Omit<v.InferOutput<typeof schema>, 'when'> & { when: (ended: EndedTry<T>) => boolean }

async function run<T>(
  fn: (attempt: number, signal: AbortSignal) => Promise<T>,
  settings: Settings<T>,
): Promise<T> {
  const { attempts, when, backoff, perTry, total, budget, signal } = settings
  const until = total === 0 ? Number.POSITIVE_INFINITY : performance.now() + total
  budget?.request()
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted()
    const left = until - performance.now()
    const ended = await once(fn, attempt, Math.min(perTry || Number.POSITIVE_INFINITY, left), signal)
    const { value } = ended
    let again = attempt < attempts && signal?.aborted !== true
    let wait = 0
    try {
      again &&= when(ended)
      if (again && backoff !== undefined) {
        const asked = isResponse(value) ? retryAfter(value.headers.get('retry-after') ?? '', Date.now()) : 0
        wait = Math.max(backoffDelay(attempt, backoff), asked ?? 0)
        again = (asked ?? 0) <= backoff.max
      }
      if (again) again = wait < until - performance.now() && budget?.take() !== false
    } catch (error) {
      // What the caller's own functions throw ends it, and nobody else would end the `Response`.
      letGo(value)
      throw error
    }
    if (!again) {
      if ('error' in ended) throw ended.error
      return value as T
    }
    letGo(value)
    if (wait > 0) await pause(wait, signal)
  }
}

/** One try, until it ends, its time is over or the caller aborts. It is not waited for any longer then. */
function once<T>(
  fn: (attempt: number, signal: AbortSignal) => Promise<T>,
  attempt: number,
  ms: number,
  outer: AbortSignal | undefined,
): Promise<EndedTry<T>> {
  return new Promise((resolve) => {
    const controller = new AbortController()
    let timer: NodeJS.Timeout | undefined
    let over = false
    const end = (ended: EndedTry<T>): void => {
      if (over) return letGo(ended.value)
      over = true
      clearTimeout(timer)
      outer?.removeEventListener('abort', left)
      if (!('error' in ended)) tieWhileUsed(ended.value, outer, controller)
      resolve(ended)
    }
    const stop = (error: unknown): void => {
      controller.abort(error)
      end({ error, attempt })
    }
    const left = (): void => stop(outer?.reason)
    outer?.addEventListener('abort', left, { once: true })
    if (ms !== Number.POSITIVE_INFINITY)
      timer = setTimeout(immediately, Math.max(0, ms), () => {
        // What has come while the process was busy was read before this.
        if (!over) stop(new DOMException('the try took too long', 'TimeoutError'))
      })
    const call = async (): Promise<T> => fn(attempt, controller.signal)
    call().then(
      (value) => end({ value, attempt }),
      (error: unknown) => end({ error, attempt }),
    )
  })
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', left)
      resolve()
    }, ms)
    signal?.addEventListener('abort', left, { once: true })
  })
}

function decided(given: unknown): boolean {
  return decision(given, '`when` of retrying') === true
}

function failed(ended: EndedTry<unknown>): boolean {
  return 'error' in ended
}
