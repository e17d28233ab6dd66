import type { Entry, EntryHead, EntryWriter, PurgeKey, Store } from '@sluice/cache'
import { PushBody } from '@sluice/core'

/** What a method of the store does, where it isn't what it should. */
export type Trouble = 'throws' | 'rejects' | 'hangs'

interface Kept {
  head: EntryHead
  readonly bytes: Buffer
  readonly trailers: string[] | undefined
}

/** A store in a test's hand: with promises or without, in trouble or not. It counts what it gives and what it gets back. */
export class TestStore implements Store {
  readonly kept = new Map<string, Kept>()
  /** Answers with promises. */
  slow = false
  /** By the name of the method, `write` and `commit` of its writers among them. */
  readonly trouble = new Map<string, Trouble>()
  /** Entries that were given, and let go of. */
  taken = 0
  released = 0
  releasedTwice = 0
  /** Changes what it gives. */
  alter: ((entry: Entry) => Entry) | undefined = undefined
  /** Signals that were given to `get`. */
  readonly signals: AbortSignal[] = []
  /** What lets hanging calls go on. */
  readonly waiting: (() => void)[] = []
  lease?: NonNullable<Store['lease']>
  mark?: NonNullable<Store['mark']>
  watch?: NonNullable<Store['watch']>
  readonly #open = new Set<Writer>()

  get(key: string, signal?: AbortSignal): Entry | undefined | Promise<Entry | undefined> {
    if (signal !== undefined) this.signals.push(signal)
    return this.does('get', () => {
      const kept = this.kept.get(key)
      return kept && this.#entry(kept)
    })
  }

  put(key: string, head: EntryHead): EntryWriter | undefined {
    if (this.trouble.has('put')) throw new Error('put fails')
    const writer = new Writer(this, key, head, (one) => this.#open.delete(one))
    this.#open.add(writer)
    return writer
  }

  touch(key: string, head: EntryHead): void | Promise<void> {
    return this.does('touch', () => {
      const kept = this.kept.get(key)
      if (kept?.head.id === head.id) this.kept.set(key, { ...kept, head })
    })
  }

  delete(key: string): void | Promise<void> {
    return this.does('delete', () => void this.kept.delete(key))
  }

  purge(what: PurgeKey, soft = false): Promise<number> {
    const slow = this.slow
    this.slow = true
    try {
      return Promise.resolve(
        this.does('purge', () => {
          for (const writer of this.#open) writer.doomed ||= matches(what, writer.head)
          let count = 0
          for (const [key, kept] of this.kept) {
            if (!matches(what, kept.head)) continue
            count++
            if (soft) this.kept.set(key, { ...kept, head: { ...kept.head, purged: true } })
            else this.kept.delete(key)
          }
          return count
        }),
      )
    } finally {
      this.slow = slow
    }
  }

  async close(): Promise<void> {
    this.kept.clear()
  }

  /** Does it now, or a little later, or not. */
  does<T>(name: string, act: () => T): T | Promise<T> {
    const trouble = this.trouble.get(name)
    if (trouble === 'throws') throw new Error(`${name} fails`)
    if (trouble === 'rejects') return Promise.reject(new Error(`${name} fails`))
    if (trouble === 'hangs') return new Promise((resolve) => this.waiting.push(() => resolve(act())))
    return this.slow ? Promise.resolve().then(act) : act()
  }

  #entry({ bytes, head, trailers }: Kept): Entry {
    this.taken++
    let over = false
    const entry: Entry = {
      head,
      size: bytes.length,
      trailers,
      ...(this.slow ? undefined : { bytes }),
      body: (from = 0, to = bytes.length) => {
        if (this.trouble.has('body')) return new BrokenBody(bytes.subarray(from, to))
        if (over) throw new Error('the entry has been let go of')
        return bytes.subarray(from, to)
      },
      release: () => {
        if (over) this.releasedTwice++
        else this.released++
        over = true
      },
    }
    return this.alter?.(entry) ?? entry
  }
}

class Writer implements EntryWriter {
  doomed = false
  readonly #parts: Uint8Array[] = []

  constructor(
    private readonly store: TestStore,
    private readonly key: string,
    readonly head: EntryHead,
    private readonly over: (writer: Writer) => void,
  ) {}

  write(chunk: Uint8Array): boolean {
    if (this.store.trouble.has('write')) throw new Error('write fails')
    this.#parts.push(Buffer.from(chunk))
    return true
  }

  commit(trailers?: string[]): void | Promise<void> {
    return this.store.does('commit', () => {
      this.over(this)
      if (this.doomed) return
      this.store.kept.set(this.key, { head: this.head, bytes: Buffer.concat(this.#parts), trailers })
    })
  }

  abort(): void {
    this.doomed = true
    this.over(this)
    if (this.store.trouble.has('abort')) throw new Error('abort fails')
  }
}

/** Half of its bytes, then an error. */
class BrokenBody extends PushBody {
  constructor(private readonly bytes: Uint8Array) {
    super()
    this.waiting = true
  }

  protected resume(): void {
    this.push(this.bytes.subarray(0, this.bytes.length >> 1))
    this.fail(new Error('the disk is gone'))
  }

  protected stop(): void {}
}

function matches({ prefix, tag, url }: PurgeKey, head: EntryHead): boolean {
  if (url !== undefined) return head.url === url
  if (prefix !== undefined) return head.url.startsWith(prefix)
  return head.tags.includes(tag as string)
}
