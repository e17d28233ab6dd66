import { ProxyError } from '@sluice/core'
import type { Leaving } from './cache-request.js'
import type { Landing } from './flight.js'

/**
 * Those who wait for a fetch. Who is told, has waited for long enough or has left is held no longer: a target may take its time, and many
 * come and go meanwhile.
 */
export class Waiters {
  readonly #all = new Set<(landing?: Landing) => void>()

  /**
   * How the fetch turns out; `undefined` where that isn't known after `ms`, which is not 0. For one who leaves before, it has failed with
   * `client_left`: nobody is to be asked in that one's place.
   */
  wait<T>(ms: number, leaving: Leaving<T> | undefined, arg: T): Promise<Landing | undefined> {
    return new Promise((resolve) => {
      const hear = (landing?: Landing): void => {
        clearTimeout(timer)
        this.#all.delete(hear)
        resolve(landing)
      }
      const timer = ms === 0 ? undefined : setTimeout(hear, ms)
      this.#all.add(hear)
      leaving?.(arg, () => {
        if (this.#all.has(hear)) hear({ kind: 'failed', error: new ProxyError('client_left') })
      })
    })
  }

  tell(landing: Landing): void {
    for (const hear of this.#all) hear(landing)
  }
}
