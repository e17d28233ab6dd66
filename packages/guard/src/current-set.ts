import debug from 'debug'
import type { IpList } from './ip-list.js'
import type { IpSet } from './ip-trie.js'

const log = debug('sluice:guard')

/**
 * A list that changes: the last good set of it, and what is said of those that are not good.
 *
 *   take: is the set from now on
 *   fail: told once, until another thing is wrong or all is well again; the set stays
 */
export abstract class CurrentSet implements IpList {
  readonly ready: Promise<void>
  private arrived!: () => void
  private set: IpSet | undefined = undefined
  private told: string | undefined = undefined

  /** @param title of the list, for a person */
  constructor(private readonly title: string) {
    this.ready = new Promise((resolve) => {
      this.arrived = resolve
    })
  }

  get loaded(): boolean {
    return this.set !== undefined
  }

  get size(): number {
    return this.set?.size ?? 0
  }

  has(address: string): boolean {
    return this.set?.has(address) ?? false
  }

  /** Ends what looks for another. */
  abstract [Symbol.dispose](): void

  protected take(set: IpSet): void {
    this.set = set
    this.works()
    this.arrived()
    if (log.enabled) log('%s: %d addresses and ranges', this.title, set.size)
  }

  /** Nothing is wrong any more. */
  protected works(): void {
    this.told = undefined
  }

  protected fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    if (message === this.told) return
    this.told = message
    const stays =
      this.set === undefined ? 'there is no list yet, and nobody passes it' : 'the last list stays'
    process.emitWarning(`${this.title}: ${stays}: ${message}`, 'SluiceWarning')
  }

  protected note(text: string): void {
    if (log.enabled) log('%s: %s', this.title, text)
  }
}
