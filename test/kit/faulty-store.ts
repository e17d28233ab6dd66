import type { Entry, EntryHead, EntryWriter, Store } from '@sluice/cache'
import { PushBody } from '@sluice/core'

/** What goes wrong with a store, by chance. */
export interface StoreFaults {
  /** From 0 to 1: the share of calls that fail in one way or another. */
  readonly share: number
  readonly random: () => number
}

/** A store that counts what it has done. */
export interface FaultyStore extends Store {
  readonly faults: number
  /** Bodies that were given and broke off: nobody can hide that from a client that has their beginning. */
  readonly breaches: number
}

const never = new Promise<never>(() => {})

/** A body that gives the first bytes of what was stored, and fails. */
class BreakingBody extends PushBody {
  private given = false

  constructor(private readonly bytes: Uint8Array) {
    super()
    this.waiting = true
  }

  protected resume(): void {
    if (this.given) return
    this.given = true
    this.push(this.bytes)
    setImmediate(() => this.fail(new Error('the store has lost the rest')))
  }

  protected stop(): void {}
}

/** Heads that nobody has stored: of another version of a store, or of a disk that has rotted. */
const broken: readonly ((head: EntryHead) => unknown)[] = [
  () => undefined,
  () => null,
  () => ({}),
  () => 'head',
  (head) => ({ ...head, headers: undefined }),
  (head) => ({ ...head, headers: ['Odd'] }),
  (head) => ({ ...head, headers: [...head.headers, 'X-Split', 'a\r\nSet-Cookie: b=1'] }),
  (head) => ({ ...head, headers: [1, 2] }),
  (head) => ({ ...head, status: Number.NaN }),
  (head) => ({ ...head, status: 7 }),
  (head) => ({ ...head, status: 0 }),
  (head) => ({ ...head, requestTime: 'now', responseTime: undefined }),
  (head) => ({ ...head, vary: [] }),
  (head) => ({ ...head, vary: 'x' }),
  (head) => ({ ...head, part: { first: 5, last: 2 } }),
  (head) => ({ ...head, part: {} }),
  (head) => ({ ...head, tags: null, length: -1 }),
]

/**
 * A store around another one that throws, rejects, hangs, and gives heads and bodies that are broken, as chance has it. It never gives a whole
 * body of wrong bytes: against that stores have their checksums.
 */
export function faultyStore(inner: Store, { random, share }: StoreFaults): FaultyStore {
  let faults = 0
  let breaches = 0
  const strikes = (): boolean => {
    const strike = random() < share
    if (strike) faults++
    return strike
  }
  const oneOf = <T>(...ways: readonly (() => T)[]): T =>
    (ways[Math.floor(random() * ways.length)] as () => T)()
  const thrown = (): never => {
    throw new Error('the store throws')
  }
  const rejected = (): Promise<never> => Promise.reject(new Error('the store rejects'))
  const hangs = (): Promise<never> => never

  function corrupt(entry: Entry): Entry {
    const { bytes, head, size } = entry
    return oneOf<Entry>(
      () => ({ ...entry, head: oneOf(...broken.map((make) => () => make(head))) as EntryHead }),
      () => ({ head, size }) as Entry,
      () => ({ head, size: Number.NaN, body: () => entry.body() }),
      () => ({ head, size, body: thrown }),
      () => ({
        head,
        size,
        body: (from = 0, to = size) => {
          // A body of no bytes is whole with its head: nobody could see that it has broken off.
          if (to === from) return null
          breaches++
          return new BreakingBody(slice(bytes, from, to))
        },
      }),
      () => ({ head, size, body: (from = 0, to = size) => slice(bytes, from, to) }),
      () => ({ head, size: size + 1, bytes: bytes?.subarray(1), body: () => bytes?.subarray(1) ?? null }),
      () => ({
        head,
        size,
        bytes: bytes?.subarray(1),
        body: (from, to) => bytes?.subarray(1).subarray(from, to) ?? null,
      }),
      () => null as never,
      () => 'entry' as never,
      () => ({ ...entry, release: thrown }),
    )
  }

  function writing(writer: EntryWriter): EntryWriter {
    return {
      write: (chunk) => (strikes() ? oneOf<boolean>(thrown, () => refuses(writer)) : writer.write(chunk)),
      commit: (trailers) => {
        if (!strikes()) return writer.commit(trailers)
        writer.abort()
        return oneOf<void | Promise<void>>(thrown, rejected, hangs)
      },
      abort: () => (strikes() ? thrown() : writer.abort()),
    }
  }

  return {
    get faults() {
      return faults
    },
    get breaches() {
      return breaches
    },
    get: (key) => {
      if (!strikes()) return strikes() ? Promise.resolve(inner.get(key)) : inner.get(key)
      const entry = inner.get(key)
      if (entry === undefined || entry instanceof Promise || random() < 0.4)
        return oneOf<Promise<never>>(thrown, rejected, hangs)
      return random() < 0.5 ? corrupt(entry) : Promise.resolve(corrupt(entry))
    },
    put: (key, head, mark) => {
      if (strikes()) return oneOf<undefined>(thrown, () => undefined)
      const writer = inner.put(key, head, mark)
      return writer && writing(writer)
    },
    touch: (key, head) =>
      strikes() ? oneOf<Promise<never>>(thrown, rejected, hangs) : inner.touch(key, head),
    delete: (key) => (strikes() ? oneOf<Promise<never>>(thrown, rejected, hangs) : inner.delete(key)),
    purge: (what, soft) => (strikes() ? oneOf<Promise<never>>(thrown, rejected) : inner.purge(what, soft)),
    close: () => inner.close(),
  }
}

function refuses(writer: EntryWriter): false {
  writer.abort()
  return false
}

/** Less than was asked for, as of a file that was cut off. */
function slice(bytes: Uint8Array | undefined, from: number, to: number): Uint8Array {
  return (bytes ?? new Uint8Array()).subarray(from, Math.max(from, to - 1))
}
