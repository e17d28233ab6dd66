/** What tests put in the place of time. */
export interface AcmeSeams {
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now: () => number
  /** Calls `fn` once after `ms`; returns the undo. Default a timer of Node's that holds no process open. */
  readonly after: (ms: number, fn: () => void) => () => void
}

/** Time as it is, but for what is given. */
export function seamsOf({
  now = Date.now,
  after = (ms, fn) => {
    const timer = setTimeout(fn, ms).unref()
    return () => clearTimeout(timer)
  },
}: Partial<AcmeSeams>): AcmeSeams {
  return { now, after }
}
