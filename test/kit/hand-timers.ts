import { until } from './until.js'

/** Timers that run when a test says so. */
export interface HandTimers {
  /** Takes the place of a timer. */
  readonly after: (ms: number, fn: () => void) => () => void
  /** How long those that wait wait, in ms. */
  readonly waits: readonly number[]
  /** Waits until something waits, of `ms` if that is given, and runs it at once; says how long it would have waited. */
  fire(ms?: number): Promise<number>
  /** Waits until something waits, of `ms` if that is given, and says how long. */
  next(ms?: number): Promise<number>
}

/** Timers for code that takes them as a seam, while sockets and the test's own patience keep the real ones. */
export function handTimers(): HandTimers {
  const waiting: { readonly ms: number; readonly fn: () => void }[] = []
  const find = (ms?: number) =>
    until(
      () => waiting.find((each) => ms === undefined || each.ms === ms),
      () =>
        `a timer${ms === undefined ? '' : ` of ${ms} ms; there are ${waiting.map((each) => each.ms).join()}`}`,
    )
  return {
    after(ms, fn) {
      const timer = { ms, fn }
      waiting.push(timer)
      return () => {
        const index = waiting.indexOf(timer)
        if (index >= 0) waiting.splice(index, 1)
      }
    },
    get waits() {
      return waiting.map(({ ms }) => ms)
    },
    async fire(ms) {
      const timer = await find(ms)
      waiting.splice(waiting.indexOf(timer), 1)
      timer.fn()
      return timer.ms
    },
    next: async (ms) => (await find(ms)).ms,
  }
}
