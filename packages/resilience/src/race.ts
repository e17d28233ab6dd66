import { SlowOne } from './slow-line.js'

/**
 * Two tries at one thing, the second beside a slow first one:
 *
 *   first ──it is slow, and may() says so──▶ both ──a good result, or none is left to wait for──▶ over
 *     └────── it ends before its time, or nobody waits any more: leave() ──────────────────────────▲
 *
 * The first good result wins, the other try is stopped and its late result dropped. A result that isn't good is kept as long as the
 * other may do better. Where both fail it is the first try's error that is told, unless that one says nothing.
 */
export abstract class Race<T> extends SlowOne {
  /** The numbers of the tries under way, added up. */
  #running = 0
  #over = false
  #kept: T | undefined = undefined
  /** The number of the try whose result is kept. */
  #keptOf = 0
  #error: unknown = undefined
  /** The number of the try whose error is told if no other does better. */
  #errorOf = 0
  #resolve: ((result: T) => void) | undefined = undefined
  #reject: ((error: unknown) => void) | undefined = undefined

  /** Begins a try, number 1 or 2. */
  protected abstract start(attempt: number): T | Promise<T>
  /** Calls {@link slow} in `ms`. */
  protected abstract wait(ms: number): void
  /** Takes {@link wait} back, if it still waits. */
  protected abstract stopWaiting(): void
  /** Whether the second try may begin: asked once, when the first is slow. What it throws ends the race. */
  protected abstract may(): boolean
  protected abstract isGood(result: T): boolean
  /** Nobody waits for this try any more. Without a reason the other one was faster. */
  protected abstract stop(attempt: number, reason?: unknown): void
  /** Lets go of a result. Must not throw. */
  protected abstract drop(result: T): void
  /** Both have failed: whether the second's error is told, as the first's says nothing of what happened. Must not throw. */
  protected tellsSecond(_first: unknown): boolean {
    return false
  }

  /** It is over: this try won, or it is the one whose failure is told. */
  protected abstract ended(attempt: number, won: boolean): void

  /** @param ms after which the first try is slow */
  run(ms: number): Promise<T> {
    const result = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.wait(ms)
    this.#begin(1)
    return result
  }

  /** Nobody waits any more, for this reason. */
  leave(reason: unknown): void {
    if (this.#over) return
    this.#end(1, false, reason)
    this.#reject?.(reason)
  }

  /** Of what throws here nobody else would hear: it is called by a timer. */
  slow(): void {
    if (this.#over) return
    try {
      if (this.may()) this.#begin(2)
    } catch (error) {
      this.leave(error)
    }
  }

  #begin(attempt: number): void {
    this.#running += attempt
    let result: T | Promise<T>
    try {
      result = this.start(attempt)
    } catch (error) {
      result = Promise.reject(error)
    }
    Promise.resolve(result).then(
      (each) => this.#came(each, attempt),
      (error: unknown) => this.#failed(error, attempt),
    )
  }

  #came(result: T, attempt: number): void {
    if (this.#over) return this.drop(result)
    try {
      if (this.#running !== attempt && !this.isGood(result)) {
        this.#running -= attempt
        this.#kept = result
        this.#keptOf = attempt
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
    this.#running -= attempt
    if (this.#errorOf === 0 || (attempt === 1) !== this.tellsSecond(attempt === 1 ? error : this.#error)) {
      this.#error = error
      this.#errorOf = attempt
    }
    if (this.#running > 0) return
    const kept = this.#keptOf
    if (kept === 0) {
      this.#end(this.#errorOf, false)
      this.#reject?.(this.#error)
      return
    }
    this.#keptOf = 0
    this.#win(this.#kept as T, kept)
  }

  #win(result: T, attempt: number): void {
    if ((this.#running & attempt) !== 0) this.#running -= attempt
    try {
      this.#end(attempt, true)
    } catch (error) {
      this.drop(result)
      return this.#reject?.(error)
    }
    this.#resolve?.(result)
  }

  #end(attempt: number, won: boolean, reason?: unknown): void {
    this.#over = true
    this.stopWaiting()
    if ((this.#running & 1) !== 0) this.stop(1, reason)
    if ((this.#running & 2) !== 0) this.stop(2, reason)
    if (this.#keptOf !== 0) this.drop(this.#kept as T)
    this.ended(attempt, won)
  }
}
