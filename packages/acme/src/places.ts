/** So many at the same time; others wait in line, up to a number. */
export class Places {
  private taken = 0
  private readonly line: (() => void)[] = []

  constructor(
    private readonly count: number,
    private readonly longest = Number.POSITIVE_INFINITY,
  ) {}

  /** Gives what gives the place back, once; `undefined` where the line is too long. */
  async take(): Promise<(() => void) | undefined> {
    if (this.taken < this.count) this.taken++
    else {
      if (this.line.length >= this.longest) return undefined
      // The place of whoever leaves: it isn't free in between.
      await new Promise<void>((resolve) => this.line.push(resolve))
    }
    let given = false
    return () => {
      if (given) return
      given = true
      const next = this.line.shift()
      if (next === undefined) this.taken--
      else next()
    }
  }
}
