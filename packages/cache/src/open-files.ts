/**
 * How many files may be open at once. Who finds no place waits in a line, first come first served; where the line is too long, or who
 * waits gives up, there is none.
 */
export class OpenFiles {
  /** How many are open. */
  open = 0
  private readonly line = new Set<(got: boolean) => void>()

  constructor(
    private readonly most: number,
    private readonly longest = 1_024,
  ) {}

  /** How many wait. */
  get waiting(): number {
    return this.line.size
  }

  /** Takes a place if there is one now. */
  tryTake(): boolean {
    if (this.open >= this.most) return false
    this.open++
    return true
  }

  /** Takes a place, now or when it's one's turn. `false`: there is none. */
  take(signal?: AbortSignal): boolean | Promise<boolean> {
    if (signal?.aborted) return false
    if (this.tryTake()) return true
    if (this.line.size >= this.longest) return false
    return new Promise((resolve) => {
      const leave = (): void => done(false)
      const done = (got: boolean): void => {
        this.line.delete(done)
        signal?.removeEventListener('abort', leave)
        resolve(got)
      }
      this.line.add(done)
      signal?.addEventListener('abort', leave)
    })
  }

  /** Gives a place back. */
  give(): void {
    const [next] = this.line
    // The place goes on to the next one.
    if (next === undefined) this.open--
    else next(true)
  }

  /** Nobody who waits gets a place any more. */
  close(): void {
    for (const done of this.line) done(false)
  }
}
