/** A clock, and timers by it, that stand still until a test moves them. */
export interface FakeTime {
  readonly now: () => number
  readonly timers: {
    set(fn: () => void, ms: number): unknown
    clear(timer: unknown): void
  }
  /** Timers that wait. */
  readonly waiting: number
  /** Time passes, each timer at its time; what it sets going is let go on in between. */
  pass(ms: number): Promise<void>
  /** The same for what waits for nothing. */
  passAtOnce(ms: number): void
  /** Nothing runs for so long, as in a suspended machine; then all that is due runs at once, late. */
  sleep(ms: number): void
}

interface Waiting {
  readonly fn: () => void
  readonly at: number
}

export function fakeTime(): FakeTime {
  let now = 0
  let due: Waiting[] = []
  /** The first timer that is due until then, with the clock at its time. */
  const next = (end: number): Waiting | undefined => {
    let first: Waiting | undefined
    for (const each of due) if (each.at <= end && (first === undefined || each.at < first.at)) first = each
    if (first === undefined) return undefined
    due = due.filter((each) => each !== first)
    now = first.at
    return first
  }
  return {
    now: () => now,
    timers: {
      set(fn, ms) {
        const timer: Waiting = { fn, at: now + ms }
        due.push(timer)
        return timer
      },
      clear(timer) {
        due = due.filter((each) => each !== timer)
      },
    },
    get waiting() {
      return due.length
    },
    async pass(ms) {
      const end = now + ms
      for (let timer = next(end); timer !== undefined; timer = next(end)) {
        timer.fn()
        await new Promise((resolve) => setImmediate(resolve))
      }
      now = end
    },
    passAtOnce(ms) {
      const end = now + ms
      for (let timer = next(end); timer !== undefined; timer = next(end)) timer.fn()
      now = end
    },
    sleep(ms) {
      now += ms
      const late = due.filter(({ at }) => at <= now)
      due = due.filter(({ at }) => at > now)
      for (const { fn } of late) fn()
    },
  }
}
