import type { BodyInit, Variants } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'

/** Which bytes of a representation an entry holds, where it holds a part of it: of a 206 (RFC 9110 section 14.4). */
export interface StoredPart {
  /** The first byte, counted from 0. */
  readonly first: number
  /** The last byte, itself held. */
  readonly last: number
  /** Bytes of the whole representation, where known. */
  readonly size?: number
}

/**
 * What a store keeps of an entry beside its body. Plain values alone, so that it can be written as JSON. It never changes: what
 * replaces it is another one.
 */
export interface EntryHead {
  /** Tells this body from every other one: a head goes to no body but the one it was made for. */
  readonly id: string
  /** Key of the resource, without what `Vary` adds to it. */
  readonly primary: string
  /** The absolute URL, what a purge by URL or prefix is held against. Scheme and host in lower case, without a default port. */
  readonly url: string
  /** What a purge by tag is held against. */
  readonly tags: readonly string[]
  /** Status of the response; 0 in a marker, which stands at a primary key and names what the responses there vary on. */
  readonly status: number
  /** Fields of the response as they are served, without those of one hop and without `Age`. */
  readonly headers: HeaderList
  /** When its request was sent, in ms since 1970; earlier by the `Age` that its response came with. */
  readonly requestTime: number
  /** When its head came, in ms since 1970. */
  readonly responseTime: number
  /** Until when it may be of any use, stale windows included, in ms since 1970: a store may drop it then. */
  readonly keepUntil: number
  /** Bytes of the body, where they are known before it came. */
  readonly length?: number
  /** Set in an entry that holds a part of a representation. */
  readonly part?: StoredPart
  /** Purged softly: stale, however young. */
  readonly purged?: true
  /** In a marker: names of the request fields that choose, in lower case, sorted. */
  readonly vary?: readonly string[]
  /** In a marker: keys of the responses behind it, the newest last. */
  readonly variants?: readonly string[]
}

/** A stored response. */
export interface Entry {
  readonly head: EntryHead
  /** Bytes of its body. */
  readonly size: number
  /** The whole body, where the store has it in memory. Never changed by anybody. */
  readonly bytes?: Uint8Array | undefined
  /** Fields that came after the body. */
  readonly trailers?: HeaderList | undefined
  /** Coded forms of the body, where the store keeps some: they die with the entry and count in its bytes. */
  readonly variants?: Variants | undefined
  /**
   * The body, or its bytes from `from` to before `to`. May be asked for many times. One that can't be read, or isn't what was
   * stored, fails before a wrong byte is given.
   */
  body(from?: number, to?: number): BodyInit
  /** Whoever got the entry and is done with it calls this once, bodies that were taken aside: they go on. Absent where there is nothing to let go. */
  release?(): void
}

/** An entry on its way into a store. Nobody sees it before `commit`; one of `commit` and `abort` ends it, and `abort` may come while `commit` is under way. */
export interface EntryWriter {
  /**
   * Takes a part. It may be kept as it is until `commit`, and must be copied to be kept longer: it can be a view of a larger buffer.
   * `false`: this entry won't be kept (it is too large, the disk is full, the store can't keep pace), and nothing more need be written.
   */
  write(chunk: Uint8Array): boolean
  /**
   * The body is whole. Once this has returned, or what it returned has resolved, `get` gives the entry, unless a purge that
   * matches it came after `put`. Never rejects: what can't be kept isn't there.
   */
  commit(trailers?: HeaderList): void | Promise<void>
  /**
   * The body will never be whole, or isn't to be kept. While `commit` is under way: a newer one has come, whose place it must not take. What
   * can't be found yet isn't to be found then; what can be will be replaced.
   */
  abort(): void
}

/** What to purge. One of them. */
export interface PurgeKey {
  /** Everything stored for this absolute URL, whatever it varies on. */
  readonly url?: string
  /** Everything whose response carried this tag. */
  readonly tag?: string
  /** Everything whose absolute URL begins with this. */
  readonly prefix?: string
}

/**
 * Where entries are kept. A store that answers without a promise is served from without one. Whatever a store throws or rejects
 * with is a miss to the cache; a `get` that takes too long is one too, and hears so through `signal`.
 */
export interface Store {
  /** The newest entry committed for the key. */
  get(key: string, signal?: AbortSignal): Entry | undefined | Promise<Entry | undefined>
  /**
   * Begins an entry that will take the key's place when committed. `undefined`: it won't be kept.
   * @param mark what `mark()` gave before the response was asked for
   */
  put(key: string, head: EntryHead, mark?: unknown): EntryWriter | undefined
  /** Gives the entry of this key another head, if it is still the one with the head's `id`. Its body stays. */
  touch(key: string, head: EntryHead): void | Promise<void>
  /** Drops the entry of this key. Rejects where it may come back, after a restart say: until then `get` doesn't give it. */
  delete(key: string): void | Promise<void>
  /**
   * Drops all that matches, or with `soft` marks it `purged`, and tells how many. What has been `put` before and matches isn't
   * committed after. A store that answers without a promise has done it when this returns; others when it resolves. Rejects where
   * some of it may come back, after a restart say: until then `get` doesn't give it.
   */
  purge(what: PurgeKey, soft?: boolean): Promise<number>
  /**
   * Lets go of files, timers and connections of its own. Later calls find nothing and keep nothing; what they would have to drop that is
   * still there for others, or after a restart, is no longer in reach, and they may reject.
   */
  close(): Promise<void>
  /** For stores that several proxies share: a mark to give to `put`, so that a purge made anywhere since then wins. */
  mark?(): unknown
  /** For stores that several proxies share: hears of purges made elsewhere. Returns what ends that. */
  watch?(fn: (what: PurgeKey, soft: boolean) => void): () => void
  /**
   * For stores that several proxies share: one fetch among all of them. Resolves to what ends the lease, for the one that is to
   * fetch; to `undefined` where another has fetched meanwhile, so that a look into the store is worth while. After `wait` ms (0: never), or
   * where the store can't tell, the caller is to fetch. Never rejects.
   */
  lease?(key: string, wait: number): Promise<(() => void) | undefined>
}
