import type { After } from './after.js'
import { CurrentSet } from './current-set.js'
import type { IpLoad } from './ip-source.js'
import { type IpSet, ipTrie } from './ip-trie.js'

/** A load that takes longer, in ms, has failed. */
const patience = 30_000
/** The wait after what has failed, in ms: twice as long each time, up to `every`. */
const firstRetry = 1_000

/**
 * The list that a function gives, the newest that is good.
 *
 * constructed ─▶ called at once; what it gives at once is there at once, and a fault of it is thrown
 * good ─▶ called again after `every`
 * failed, or not good ─▶ told once; called again after 1 s, 2 s, 4 s… up to `every`
 */
export class LoadedList extends CurrentSet {
  private failures = 0
  private cancel: (() => void) | undefined = undefined
  private controller = new AbortController()
  private closed = false

  /** @throws TypeError if it gives at once what is no list; what it throws */
  constructor(
    private readonly load: IpLoad['load'],
    private readonly every: number,
    private readonly after: After,
    private readonly path: string,
  ) {
    super(path)
    const given = load(this.controller.signal)
    if (Array.isArray(given)) {
      this.take(this.setOf(given))
      this.wait(every)
    } else void this.round(given)
  }

  override [Symbol.dispose](): void {
    this.closed = true
    this.cancel?.()
    this.cancel = undefined
    this.controller.abort()
  }

  private setOf(given: readonly string[]): IpSet {
    return ipTrie(given, `${this.path}.load()`)
  }

  private wait(ms: number): void {
    this.cancel = this.after(ms, () => {
      this.controller = new AbortController()
      void this.round()
    })
  }

  /** @param coming what was called for already */
  private async round(coming?: readonly string[] | Promise<readonly string[]>): Promise<void> {
    const { controller } = this
    const late = new Promise<never>((_, reject) => {
      this.cancel = this.after(patience, () => {
        reject(new Error(`nothing came of it within ${patience / 1_000} s`))
        controller.abort()
      })
    })
    try {
      const given = await Promise.race([coming ?? this.load(controller.signal), late])
      if (this.closed) return
      this.take(this.setOf(given))
      this.failures = 0
    } catch (error) {
      if (this.closed) return
      this.fail(error)
      this.failures++
    }
    this.cancel?.()
    const { every, failures } = this
    this.wait(failures === 0 ? every : Math.min(every, firstRetry * 2 ** Math.min(failures - 1, 20)))
  }
}
