/** Runs what is done to the files of a store: one after another for a name, and no more than `most` at once in all. */
export class KeyLine {
  private readonly last = new Map<string, Promise<unknown>>()
  private readonly waiting = new Set<() => void>()
  private running = 0

  constructor(private readonly most: number) {}

  /** Runs `work` when what was given for this name before is done, well or not. */
  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(name)
    const next = (): Promise<T> => this.turn(work)
    const mine = before === undefined ? next() : before.then(next, next)
    this.last.set(name, mine)
    return mine.finally(() => {
      if (this.last.get(name) === mine) this.last.delete(name)
    })
  }

  /** Resolves when nothing is left to do. */
  async idle(): Promise<void> {
    while (this.last.size > 0) await Promise.allSettled(this.last.values())
  }

  private async turn<T>(work: () => Promise<T>): Promise<T> {
    if (this.running < this.most) this.running++
    // Whoever is done hands the place on.
    else await new Promise<void>((resolve) => this.waiting.add(resolve))
    try {
      return await work()
    } finally {
      const [next] = this.waiting
      if (next === undefined) this.running--
      else {
        this.waiting.delete(next)
        next()
      }
    }
  }
}
