import type { After } from './queue-timer.js'

/**
 * Two tries at one thing, the second beside a slow first one:
 *
 *   first ──it is slow, and may() says so──▶ both ──a good result, or none is left to wait for──▶ over
 *     └────── it ends before its time, or nobody waits any more: leave() ──────────────────────────▲
 *
 * The first good result wins, the other try is stopped and its late result dropped. A result that isn't good is kept as long as the
 * other may do better. Where both fail it is the first try's error that is told.
 */
export abstract class Race<T> {
  readonly #running = new Set<number>()
  #over = false
  #kept: { readonly result: T; readonly attempt: number } | undefined
  #error: unknown
  #undo: () => void = () => {}
  #resolve: (result: T) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  /** Begins a try, number 1 or 2. */
  protected abstract start(attempt: number): T | Promise<T>
  /** Whether the second try may begin: asked once, when the first is slow. What it throws ends the race. */
  protected abstract may(): boolean
  protected abstract isGood(result: T): boolean
  /** Nobody waits for this try any more. Without a reason the other one was faster. */
  protected abstract stop(attempt: number, reason?: unknown): void
  /** Lets go of a result. Must not throw. */
  protected abstract drop(result: T): void
  /** It is over: this try won, or it is the one whose failure is told. */
  protected abstract ended(attempt: number, won: boolean): void

  /** @param wait after which the first try is slow, in ms */
  run(wait: number, after: After): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#undo = after(wait, () => {
        this.#slow()
      })
      this.#begin(1)
    })
  }

  /** Nobody waits any more, for this reason. */
  leave(reason: unknown): void {
    if (this.#over) return
    this.#end(1, false, reason)
    this.#reject(reason)
  }

  /** Of what throws here nobody else would hear: it is called by a timer. */
  #slow(): void {
    try {
      if (this.may()) this.#begin(2)
    } catch (error) {
      this.leave(error)
    }
  }

  #begin(attempt: number): void {
    this.#running.add(attempt)
    // In a promise, so that what throws at once ends like what rejects.
    new Promise<T>((settle) => settle(this.start(attempt))).then(
      (result) => this.#came(result, attempt),
      (error: unknown) => this.#failed(error, attempt),
    )
  }

  #came(result: T, attempt: number): void {
    if (this.#over) return this.drop(result)
    try {
      if (this.#running.size > 1 && !this.isGood(result)) {
        this.#running.delete(attempt)
        this.#kept = { result, attempt }
        return
      }
    } catch (error) {
      this.drop(result)
      return this.#failed(error, attempt)
    }
    this.#win(result, attempt)
  }

  #failed(error: unknown, attempt: number): void {
    if (this.#over) return
    this.#running.delete(attempt)
    if (attempt === 1) this.#error = error
    if (this.#running.size > 0) return
    if (this.#kept !== undefined) return this.#win(this.#kept.result, this.#kept.attempt)
    this.#end(1, false)
    this.#reject(this.#error)
  }

  #win(result: T, attempt: number): void {
    this.#running.delete(attempt)
    if (this.#kept?.attempt === attempt) this.#kept = undefined
    try {
      this.#end(attempt, true)
    } catch (error) {
      this.drop(result)
      return this.#reject(error)
    }
    this.#resolve(result)
  }

  #end(attempt: number, won: boolean, reason?: unknown): void {
    this.#over = true
    this.#undo()
    for (const each of this.#running) this.stop(each, reason)
    if (this.#kept !== undefined) this.drop(this.#kept.result)
    this.ended(attempt, won)
  }
}
