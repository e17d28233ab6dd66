import { createHash } from 'node:crypto'
import {
  type Cache,
  type CacheOptions,
  cache,
  createCache,
  invalidation,
  memoryStore,
  type Store,
} from '@sluice/cache'
import type { Middleware } from '@sluice/core'
import type { RouteMatch } from '@sluice/route'
import type { ProxyCache } from './proxy.js'

/** A route that has a cache. */
export interface CachedRoute {
  /** Its place in what the user wrote. */
  readonly index: number
  readonly upstream: string
  readonly match: RouteMatch
}

/** Caches that drop the same where a URL has changed: those over one store that read URLs alike. */
interface Alike {
  readonly store: Store | undefined
  readonly options: CacheOptions
  /** One of each other kind, and those that the user has given. */
  readonly peers: Cache[]
}

/**
 * The caches of a proxy: one for each route, since two routes may have one URL and different answers to it. They share a store, in
 * which the route is part of the key, but for those that bring one of their own. A purge reaches them all, and so does what an unsafe method has
 * changed, whichever route it went by.
 */
export class SiteCaches implements ProxyCache {
  readonly #options: CacheOptions | undefined
  readonly #cookies: readonly string[]
  readonly #caches: { readonly cache: Cache; readonly store: Store | undefined }[] = []
  readonly #kinds: Alike[] = []
  /** One of each kind. */
  readonly #firsts: Cache[] = []
  /** The store that is made here, once a cache needs it. */
  #made: Store | undefined = undefined

  /** @param cookies names of those that the proxy itself sets for each client: they are never stored */
  constructor(options: boolean | CacheOptions | undefined, cookies: readonly string[]) {
    this.#options = typeof options === 'object' ? options : options === true ? {} : undefined
    this.#cookies = cookies
  }

  get isOn(): boolean {
    return this.#caches.length > 0
  }

  /**
   * The layer for a route; `undefined` where it has none.
   * @param own what the route says
   * @param route with its place among the routes; `undefined` without routes
   * @throws TypeError that names the option
   */
  layer(own?: boolean | CacheOptions, route?: CachedRoute): Middleware | undefined {
    if (own === false || (own === undefined && this.#options === undefined)) return undefined
    const ownOptions = typeof own === 'object' ? own : {}
    const options: CacheOptions = { ...this.#options, ...ownOptions }
    // A route with a size of its own has a store of its own.
    if (ownOptions.maxSize === undefined) {
      options.store ??= this.#store(options)
      delete options.maxSize
    } else delete options.store
    if (route !== undefined) options.key = { ...options.key, scope: scopeOf(route, options.key?.scope) }
    options.privateCookies = [...(options.privateCookies ?? []), ...this.#cookies]
    const kind = this.#kinds.find(
      ({ store, options: of }) =>
        store !== undefined &&
        store === options.store &&
        of.key?.query === options.key?.query &&
        of.peers === options.peers,
    )
    const peers = kind?.peers ?? [...(options.peers ?? []), ...this.#firsts]
    const made = createCache(
      { ...options, peers },
      route === undefined ? 'cache' : `routes[${route.index}].cache`,
    )
    this.#caches.push({ cache: made, store: options.store })
    if (kind === undefined) {
      for (const other of this.#kinds) other.peers.push(made)
      this.#kinds.push({ store: options.store, options, peers })
      this.#firsts.push(made)
    }
    return cache(made)
  }

  /** The layer for routes without a cache, once all layers are made; `undefined` where no route has one. */
  invalidation(): Middleware | undefined {
    return this.isOn ? invalidation(this.#firsts) : undefined
  }

  async purge(what: Parameters<ProxyCache['purge']>[0], options?: { soft?: boolean }): Promise<number> {
    let count = 0
    const shared = new Map<Store, number>()
    const faults: unknown[] = []
    for (const { cache, store } of this.#caches) {
      let found: number
      try {
        found = await cache.purge(what, options)
      } catch (error) {
        // The others are purged all the same.
        faults.push(error)
        continue
      }
      if (store === undefined) count += found
      // Those that share a store find the same: what one has made stale is there for the next.
      else shared.set(store, Math.max(found, shared.get(store) ?? 0))
    }
    if (faults.length > 0) throw faults[0]
    for (const found of shared.values()) count += found
    return count
  }

  async close(): Promise<void> {
    for (const { cache } of this.#caches) await cache.close()
    await this.#made?.close()
  }

  /** Each route's cache holds to its own `maxEntry`: the store that they share takes them all. */
  #store({ clock, maxSize }: CacheOptions): Store {
    this.#made ??= memoryStore({
      maxEntry: 0,
      ...(clock === undefined ? undefined : { clock }),
      ...(maxSize === undefined ? undefined : { maxSize }),
    })
    return this.#made
  }
}

/**
 * Sets the answers of a route apart in a store that may outlive the process, or be shared with others: by what it takes and where that
 * goes, since routes may change places. A scope that the user has given tells sites apart that have the same routes.
 */
function scopeOf({ match, upstream }: CachedRoute, given: string | undefined): string {
  const { headers = {}, host, method, path } = match
  const fields = Object.entries(headers).map(([name, value]) => [name, String(value), typeof value])
  const text = JSON.stringify([upstream, host ?? null, path ?? null, method ?? null, fields, given ?? null])
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}
