import type { Leaving } from './cache-request.js'
import type { Landing } from './flight.js'

/**
 * Those who wait for a fetch. Who is told, has waited for long enough or has left is held no longer: a target may take its time, and many
 * come and go meanwhile.
 */
export class Waiters {
  readonly #all = new Set<(landing?: Landing | 'left') => void>()

  /** How the fetch turns out; `undefined` where that isn't known after `ms`, which is not 0, and `left` for one who leaves before. */
  wait<T>(ms: number, leaving: Leaving<T> | undefined, arg: T): Promise<Landing | 'left' | undefined> {
    return new Promise((resolve) => {
      const hear = (landing?: Landing | 'left'): void => {
        clearTimeout(timer)
        this.#all.delete(hear)
        resolve(landing)
      }
      const timer = ms === 0 ? undefined : setTimeout(hear, ms)
      this.#all.add(hear)
      leaving?.(arg, () => {
        if (this.#all.has(hear)) hear('left')
      })
    })
  }

  tell(landing: Landing): void {
    for (const hear of this.#all) hear(landing)
  }
}
