import { type Duration, duration, integer, oneOf, parse, type Size, size, that, v } from '@sluice/options'
import type { Cache } from './create-cache.js'
import { isCache } from './is-cache.js'
import { isStore } from './is-store.js'
import { type KeyOptions, type KeySettings, keyOptions } from './key-options.js'
import { memoryStore } from './memory-store.js'
import type { Store } from './store.js'

/** What a cache keeps, for how long, and where. */
export interface CacheOptions {
  /** Where entries are kept. Default a `memoryStore` of `maxSize`. */
  store?: Store
  /** Bytes that the default store holds, heads included. Not to be given with `store`, which has a bound of its own. Default 64mb. */
  maxSize?: Size
  /** Bytes of the largest body that is stored; 0: any. While it comes, so much is held in memory. Default 8mb. */
  maxEntry?: Size
  /** Bytes of all bodies that are being stored or shared, together: one more is neither. A stored part that is read to be completed counts too. 0: no bound. Default 256mb. */
  maxFilling?: Size
  /** What tells one resource from another. Default scheme, host, path and query. */
  key?: KeyOptions
  /** Guesses a lifetime for answers that give none, from `Last-Modified` (RFC 9111 section 4.2.2). Default true. */
  heuristic?: boolean
  /**
   * Answers with `Set-Cookie`. `explicit`: stored, cookie and all, where the answer gives its own lifetime. `never`: not stored, what hosts
   * with sessions want: one wrong `Cache-Control` there hands a session to everybody. `strip`: stored without it. Default explicit.
   */
  setCookie?: 'explicit' | 'never' | 'strip'
  /** How long a stale answer may be served while it is fetched again, where the answer itself doesn't say (RFC 5861). Default 0. */
  staleWhileRevalidate?: Duration
  /** How long a stale answer may be served where fetching fails, where the answer itself doesn't say (RFC 5861). Default 0. */
  staleIfError?: Duration
  /**
   * How long a stale answer may be served while the target can't be reached: no connection, no answer in time, one that breaks off. RFC 9111
   * section 4.2.4 allows that, but for answers that forbid it (`must-revalidate` and its like). 0: an error instead. Default 1h.
   */
  staleIfDisconnected?: Duration
  /** Lifetimes by status, for answers that give none: `{ 404: '10s' }`. Default none. */
  negative?: Readonly<Record<number, Duration>>
  /** One fetch serves all who wait for the same. Default true. */
  coalesce?: boolean
  /** How long a request waits for another's fetch before it makes its own. 0: as long as that takes. Default 10s. */
  lockWait?: Duration
  /** A fetch without a head for so long takes no more who wait: the next request makes another. 0: however old. Default 5s. */
  lockAge?: Duration
  /** How long the store may take to look something up: more is a miss. Default 100ms; 0: as long as it takes. */
  storeTimeout?: Duration
  /** Fields that are obeyed in place of `Cache-Control`, the first that is there (RFC 9213). Default `['cdn-cache-control']`. */
  targeted?: readonly string[]
  /** Refuses to store what looks like an asset by its path and isn't one by its type (web cache deception). Default false. */
  pathGuard?: boolean
  /**
   * Cookies that a layer inside sets for each client by itself, as `sticky` does: left out of what others get. Their `Set-Cookie` doesn't
   * count for `setCookie`. Default none; `createProxy` knows its own.
   */
  privateCookies?: readonly string[]
  /** Responses kept for one URL, where they vary. The oldest goes. Default 64. */
  maxVariants?: number
  /**
   * Other caches of the same site, with stores of their own: what an unsafe method has changed (RFC 9111 section 4.4) is dropped from them too.
   * It is read at each such request, so it may grow, and hold this cache itself. Default none.
   */
  peers?: readonly Cache[]
  /** The name of this cache in `Cache-Status` (RFC 9211). `false`: the field isn't written. Default sluice. */
  statusName?: string | false
  /** Adds the key to `Cache-Status`. It may hold cookies, if they are part of it. Default false. */
  statusKey?: boolean
  /** Adds `X-Cache: HIT`, `MISS` and so on, for tools that look there. Default false. */
  xCache?: boolean
  /** Milliseconds since 1970; a test hands in its own. Default `Date.now`. */
  clock?: () => number
}

/** {@link CacheOptions} with none left out. */
export interface CacheSettings {
  readonly store: Store
  /** The store was made here, so whoever closes the cache closes it. */
  readonly ownStore: boolean
  readonly maxEntry: number
  readonly maxFilling: number
  readonly key: KeySettings
  readonly heuristic: boolean
  readonly setCookie: 'explicit' | 'never' | 'strip'
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly staleIfDisconnected: number
  readonly negative: Readonly<Record<number, number>>
  readonly coalesce: boolean
  readonly lockWait: number
  readonly lockAge: number
  readonly storeTimeout: number
  readonly targeted: readonly string[]
  readonly pathGuard: boolean
  readonly privateCookies: readonly string[]
  readonly maxVariants: number
  readonly peers: readonly Cache[]
  readonly statusName: string | false
  readonly statusKey: boolean
  readonly xCache: boolean
  readonly clock: () => number
}

/** A name of a field, and of a cache in `Cache-Status`: both are tokens (RFC 9110 section 5.6.2). */
const token = (value: unknown): boolean =>
  typeof value === 'string' && /^[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]*$/.test(value)

const status = (value: unknown): boolean => /^[2-5][0-9][0-9]$/.test(String(value))

/** Bytes at most; 0 for as many as come. */
const limit = v.pipe(
  size(),
  v.transform((bytes) => (bytes === 0 ? Number.POSITIVE_INFINITY : bytes)),
)

const entries = {
  store: v.optional(that<Store>(isStore, 'a store, such as memoryStore() or fileStore() gives')),
  maxSize: v.optional(
    v.pipe(
      size(),
      v.check((bytes) => bytes > 0, 'more than 0'),
    ),
  ),
  maxEntry: v.optional(limit, 8 * 1024 * 1024),
  maxFilling: v.optional(limit, 256 * 1024 * 1024),
  key: v.optional(keyOptions, {}),
  heuristic: v.optional(v.boolean(), true),
  setCookie: v.optional(oneOf('explicit', 'never', 'strip'), 'explicit'),
  staleWhileRevalidate: v.optional(duration(), 0),
  staleIfError: v.optional(duration(), 0),
  staleIfDisconnected: v.optional(duration(), 60 * 60 * 1000),
  negative: v.optional(
    v.record(that<string>(status, 'a status from 200 to 599'), duration()) as unknown as v.GenericSchema<
      Readonly<Record<number, Duration>>,
      Record<number, number>
    >,
    {},
  ),
  coalesce: v.optional(v.boolean(), true),
  lockWait: v.optional(duration(), 10_000),
  lockAge: v.optional(duration(), 5000),
  storeTimeout: v.optional(duration(), 100),
  targeted: v.optional(
    v.pipe(
      v.array(that<string>(token, "a field's name, such as 'cdn-cache-control'")),
      v.transform((names) => names.map((name) => name.toLowerCase())),
    ),
    ['cdn-cache-control'],
  ),
  pathGuard: v.optional(v.boolean(), false),
  privateCookies: v.optional(v.array(that<string>(token, "a cookie's name")), []),
  maxVariants: v.optional(integer(1, 10_000), 64),
  peers: v.optional(
    that<readonly Cache[]>(
      (value) => Array.isArray(value) && value.every(isCache),
      'an array of caches, such as createCache() gives',
    ),
    () => [],
  ),
  statusName: v.optional(
    that<string | false>(
      (value) => value === false || token(value),
      "a name that begins with a letter, such as 'sluice', or false",
    ),
    'sluice',
  ),
  statusKey: v.optional(v.boolean(), false),
  xCache: v.optional(v.boolean(), false),
  clock: v.optional(
    that<() => number>((value) => typeof value === 'function', 'a function'),
    () => Date.now,
  ),
}

const withoutStore = v.strictObject(entries)
const nothing = that<undefined>(() => false, 'nothing beside store: that has a bound of its own')
const withStore = v.strictObject({ ...entries, maxSize: v.optional(nothing) })
const noStore = that(() => false, 'options: a store goes into { store }')
const noCache = that(() => false, 'options, and makes a cache of them')

/** Validates {@link CacheOptions} and fills in the defaults. */
export const cacheOptions = v.lazy((value) => {
  if (isStore(value)) return noStore
  if (isCache(value as CacheOptions)) return noCache
  return (value as CacheOptions | null | undefined)?.store === undefined ? withoutStore : withStore
}) as unknown as typeof withoutStore

/**
 * Cache options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveCache(options: CacheOptions = {}, path = 'cache'): CacheSettings {
  const { store, maxSize = 64 * 1024 * 1024, ...rest } = parse(cacheOptions, options, path)
  return {
    ...rest,
    // What is larger than `maxEntry` doesn't come to it.
    store: store ?? memoryStore({ maxSize, maxEntry: 0, clock: rest.clock }),
    ownStore: store === undefined,
  }
}
