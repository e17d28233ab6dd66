/** Lets so many work at a time, the others in the order in which they came. */
export class Turns {
  private working = 0
  private readonly waiting: (() => void)[] = []

  constructor(private readonly most: number) {}

  /** Runs `work` when it is its turn. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.working < this.most) this.working++
    // Whoever ends hands its place over.
    else await new Promise<void>((resolve) => this.waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.waiting.shift()
      if (next === undefined) this.working--
      else next()
    }
  }
}
