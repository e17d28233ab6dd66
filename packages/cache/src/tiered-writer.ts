import type { HeaderList } from '@sluice/headers'
import type { EntryHead, EntryWriter } from './store.js'

/** Writes into both stores of a tiered one. Either may refuse; it is aborted where a purge matches it. */
export class TieredWriter implements EntryWriter {
  private over = false

  /**
   * @param head what a purge is held against
   * @param lost drops what this store has under the key, since it doesn't keep what comes
   * @param change tells that the key's entry is being changed, until what it returns is called
   */
  constructor(
    readonly head: EntryHead,
    private near: EntryWriter | undefined,
    private far: EntryWriter | undefined,
    private readonly lost: (store: 'near' | 'far') => void | Promise<void>,
    private readonly change: () => () => void,
    private readonly ended: (writer: TieredWriter) => void,
  ) {}

  write(chunk: Uint8Array): boolean {
    if (this.over) return false
    if (this.near !== undefined && !takes(this.near, chunk)) this.near = undefined
    if (this.far !== undefined && !takes(this.far, chunk)) this.far = undefined
    return this.near !== undefined || this.far !== undefined
  }

  commit(trailers?: HeaderList): void | Promise<void> {
    if (this.over) return
    this.end()
    const { near, far } = this
    const over = this.change()
    const done = settled(() => (near === undefined ? this.lost('near') : near.commit(trailers)))
    const late = settled(() => (far === undefined ? this.lost('far') : far.commit(trailers)))
    if (done === undefined && late === undefined) return over()
    return Promise.all([done, late]).then(over)
  }

  abort(): void {
    if (!this.over) this.end()
    for (const writer of [this.near, this.far]) if (writer !== undefined) giveUp(writer)
  }

  private end(): void {
    this.over = true
    this.ended(this)
  }
}

function takes(writer: EntryWriter, chunk: Uint8Array): boolean {
  try {
    if (writer.write(chunk)) return true
  } catch {
    // As good as a refusal.
  }
  giveUp(writer)
  return false
}

function giveUp(writer: EntryWriter): void {
  try {
    writer.abort()
  } catch {
    // It keeps nothing either way.
  }
}

/** Begins it; a promise where there is something to wait for, which doesn't reject. */
function settled(work: () => void | Promise<void>): Promise<void> | undefined {
  try {
    return work()?.catch(() => {})
  } catch {
    return undefined
  }
}
