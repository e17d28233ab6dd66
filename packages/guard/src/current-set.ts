import debug from 'debug'
import type { IpSet } from './ip-trie.js'

const log = debug('sluice:guard')

/**
 * The last good set of a list that changes, and what is said of those that are not good.
 *
 *   take: is the set from now on
 *   fail: told once, until another thing is wrong or all is well again; the set stays
 */
export class CurrentSet implements IpSet {
  readonly ready: Promise<void>
  private arrived!: () => void
  private set: IpSet | undefined = undefined
  private told: string | undefined = undefined

  /** @param name of the list, for a person */
  constructor(private readonly name: string) {
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

  take(set: IpSet): void {
    this.set = set
    this.works()
    this.arrived()
    if (log.enabled) log('%s: %d addresses and ranges', this.name, set.size)
  }

  /** Nothing is wrong any more. */
  works(): void {
    this.told = undefined
  }

  fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    if (message === this.told) return
    this.told = message
    const stays =
      this.set === undefined ? 'there is no list yet, and nobody passes it' : 'the last list stays'
    process.emitWarning(`${this.name}: ${stays}: ${message}`, 'SluiceWarning')
  }

  note(text: string): void {
    if (log.enabled) log('%s: %s', this.name, text)
  }
}
