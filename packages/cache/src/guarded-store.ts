import type { HeaderList } from '@sluice/headers'
import debug from 'debug'
import type { Entry, EntryHead, EntryWriter, PurgeKey, Store } from './store.js'

const log = debug('sluice:cache')

/** How long a store may take to make an entry visible once its body is whole, in ms. Until then the fetch itself serves who asks. */
const commitAtMost = 10_000

/**
 * A store that can't hurt: whatever it throws is a miss, and what takes longer than `timeout` is one too. What a store that answers
 * late brings is let go of. Stays without a promise where the store does.
 */
export class GuardedStore {
  /** What failed or took too long. */
  failures = 0
  /** It answers with promises. */
  waits = false

  /** What was stored and can't be found yet, by resource. */
  readonly #settling = new Map<string, Promise<void>>()

  constructor(
    private readonly store: Store,
    /** Milliseconds; 0: as long as it takes. */
    private readonly timeout: number,
  ) {}

  get(key: string): Entry | undefined | Promise<Entry | undefined> {
    // A store that has answered at once so far needs no signal, which costs more than its answer.
    const controller = this.waits ? new AbortController() : undefined
    let found: Entry | undefined | Promise<Entry | undefined>
    try {
      found = this.store.get(key, controller?.signal)
    } catch (error) {
      return this.failed('get', error)
    }
    if (!isPromise(found)) return found
    this.waits = true
    return this.#inTime('get', found, this.timeout, undefined, letGo, controller)
  }

  put(key: string, head: EntryHead, mark: unknown): EntryWriter | undefined {
    try {
      const writer = this.store.put(key, head, mark)
      return writer && new GuardedWriter(this, writer, head.primary)
    } catch (error) {
      return this.failed('put', error)
    }
  }

  /** Stores an entry without a body. */
  putBare(key: string, head: EntryHead): Promise<void> | undefined {
    return this.#quiet('commit', () => this.put(key, head, undefined)?.commit())
  }

  touch(key: string, head: EntryHead): Promise<void> | undefined {
    const touched = this.#quiet('touch', () => this.store.touch(key, head))
    if (touched !== undefined) this.settles(head.primary, touched)
    return touched
  }

  delete(key: string): Promise<void> | undefined {
    return this.#quiet('delete', () => this.store.delete(key))
  }

  /** @throws what the store does: whoever purges must hear that it wasn't done */
  async purge(what: PurgeKey, soft: boolean): Promise<number> {
    return this.store.purge(what, soft)
  }

  /** A purge that a request waits for, but not for ever: it is under way then. */
  async invalidate(what: PurgeKey): Promise<void> {
    await this.#quiet('purge', () => this.store.purge(what) as Promise<never>)
  }

  /**
   * When what was stored for a resource can be found, where that isn't yet: to look again then is better than to ask the target again. Takes no
   * longer than a look-up.
   */
  settling(primary: string): Promise<void> | undefined {
    // To look for a text that is new is to hash it first.
    const settling = this.#settling.size === 0 ? undefined : this.#settling.get(primary)
    return settling && this.#inTime('commit', settling, this.timeout, undefined, nothing)
  }

  /** Something of a resource can be found when `done` resolves. */
  settles(primary: string, done: Promise<void>): void {
    const over = done.then(nothing, nothing).then(() => {
      if (this.#settling.get(primary) === over) this.#settling.delete(primary)
    })
    this.#settling.set(primary, over)
  }

  mark(): unknown {
    try {
      return this.store.mark?.()
    } catch (error) {
      return this.failed('mark', error)
    }
  }

  get leases(): boolean {
    return this.store.lease !== undefined
  }

  /** What ends the lease never throws. `undefined`: another has fetched. */
  async lease(key: string, wait: number): Promise<(() => void) | undefined> {
    try {
      const asked = this.store.lease?.(key, wait)
      if (!isPromise(asked)) return nothing
      const most = wait === 0 || this.timeout === 0 ? 0 : wait + this.timeout
      const end = await this.#inTime('lease', asked, most, nothing, (late) => this.#end(late))
      return end && (() => this.#end(end))
    } catch (error) {
      this.failed('lease', error)
      return nothing
    }
  }

  /** For the writers: their end, in time. */
  commit(writer: EntryWriter, trailers: HeaderList | undefined, primary: string): void | Promise<void> {
    const done = writer.commit(trailers)
    if (!isPromise(done)) return undefined
    const late = new Error('the store keeps it to itself')
    const committed = new Promise<void>((resolve, reject) => {
      const timer = this.timeout === 0 ? undefined : setTimeout(reject, commitAtMost, late)
      done.then(resolve, reject).finally(() => clearTimeout(timer))
    })
    this.settles(primary, committed)
    return committed
  }

  #end(lease: (() => void) | undefined): void {
    try {
      lease?.()
    } catch (error) {
      this.failed('the end of a lease', error)
    }
  }

  #quiet(what: string, act: () => void | Promise<void>): Promise<void> | undefined {
    try {
      const done = act()
      if (isPromise(done)) return this.#inTime(what, done, this.timeout, undefined, nothing)
    } catch (error) {
      this.failed(what, error)
    }
    return undefined
  }

  /** What comes within `ms` (0: ever), else `otherwise`, as for a failure. What comes later is given to `late`. */
  #inTime<T>(
    what: string,
    coming: Promise<T>,
    ms: number,
    otherwise: T,
    late: (value: T) => void,
    controller?: AbortController,
  ): Promise<T> {
    return new Promise((resolve) => {
      let isLate = false
      const timeOver = () => {
        isLate = true
        this.failed(what, `no answer in ${ms} ms`)
        resolve(otherwise)
        controller?.abort()
      }
      const timer = ms === 0 ? undefined : setTimeout(timeOver, ms)
      coming.then(
        (value) => {
          if (isLate) return late(value)
          clearTimeout(timer)
          resolve(value)
        },
        (error: unknown) => {
          if (isLate) return
          clearTimeout(timer)
          this.failed(what, error)
          resolve(otherwise)
        },
      )
    })
  }

  failed(what: string, error: unknown): undefined {
    this.failures++
    if (log.enabled) log('the store failed at %s: %s', what, error instanceof Error ? error.message : error)
    return undefined
  }
}

/** Whoever got an entry and is done with it says so here. */
export function letGo(entry: Entry | undefined): void {
  try {
    entry?.release?.()
  } catch (error) {
    if (log.enabled) log('the store failed at release: %s', error)
  }
}

/** An entry on its way, of which nothing else waits for ever. */
class GuardedWriter implements EntryWriter {
  constructor(
    private readonly store: GuardedStore,
    private readonly to: EntryWriter,
    private readonly primary: string,
  ) {}

  write(chunk: Uint8Array): boolean {
    return this.to.write(chunk)
  }

  commit(trailers?: HeaderList): void | Promise<void> {
    return this.store.commit(this.to, trailers, this.primary)
  }

  abort(): void {
    this.to.abort()
  }
}

/** Of whatever library, as `await` takes them. */
function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return value !== undefined && value !== null && typeof (value as Promise<T>).then === 'function'
}

function nothing(): void {}
