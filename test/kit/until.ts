/** How long a test waits for what must happen. Only a failing test waits that long. */
export const patience = 10_000

/**
 * Waits until `condition` gives something other than `undefined` or `false`.
 * @throws Error naming `what` if it hasn't come about after `ms`
 */
export async function until<T>(
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  what: string | (() => string),
  ms = patience,
): Promise<T> {
  const limit = performance.now() + ms
  for (;;) {
    const found = await condition()
    if (found !== undefined && found !== false) return found
    if (performance.now() > limit)
      throw new Error(`waited in vain for ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** `promise`, or an error naming `what` after `ms`. */
export function within<T>(promise: Promise<T>, what: string, ms = patience): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** A promise with its two ends. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: Error): void
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  // Whoever waits hears of it; a rejection that nobody waits for is no fault of the code under test.
  promise.catch(() => {})
  return { promise, resolve, reject }
}

/**
 * Waits until `measure` has given the same figure for a while: for quantities that come to rest, such as the bytes that
 * went into a blocked connection. Stopping too early shows a figure that is too small, never one too large.
 */
export async function atRest(measure: () => number, samples = 15): Promise<number> {
  let last = measure()
  for (let same = 0; same < samples; ) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    const now = measure()
    same = now === last ? same + 1 : 0
    last = now
  }
  return last
}
