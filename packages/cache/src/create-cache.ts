import type { Reply } from '@sluice/core'
import { type CacheOptions, resolveCache } from './cache-options.js'
import type { CacheRequest, ErrorMaker, Fetcher, Leaving } from './cache-request.js'
import { checkPurge } from './check-purge.js'
import { Engine } from './engine.js'
import type { PurgeKey } from './store.js'
import { Visit } from './visit.js'

/** A shared HTTP cache, with no server and no chain. */
export interface Cache extends AsyncDisposable {
  /**
   * Answers a request from what is stored, or by what `fetch` brings. A hit from a store that answers at once is no promise.
   * @param arg handed on to `fetch`
   * @param failed makes another error of what `fetch` throws, with the fields that the answer to it is to have. Default: it stays as it is
   * @param leaving tells when whoever asked waits no more: one that waits for another's fetch then rejects with `client_left`. Default: never
   * @throws what `fetch` throws, unless something stale may be served instead
   */
  handle<T = undefined>(
    request: CacheRequest,
    fetch: Fetcher<T>,
    arg?: T,
    failed?: ErrorMaker,
    leaving?: Leaving<T>,
  ): Reply | Promise<Reply>
  /**
   * Drops what is stored for a URL, a tag (of `Surrogate-Key` or `Cache-Tag`) or all URLs with a prefix, and tells how much that was.
   * `soft`: it is stale instead, and may be served where stale answers may. What is being fetched meanwhile isn't stored.
   * @throws TypeError where it isn't one of the three, a URL isn't absolute, or an option is unknown; and what the store does
   */
  purge(what: PurgeKey, options?: { soft?: boolean }): Promise<number>
  /**
   * Drops what a request has changed that went by another way than this cache, if it was an unsafe one that succeeded (RFC 9111 section 4.4).
   * Never rejects, and takes no longer than the store may.
   * @param reply the answer to it
   */
  invalidate(request: CacheRequest, reply: Reply): Promise<void>
  /** Closes the store, if the cache has made it. */
  close(): Promise<void>
}

/**
 * A cache as an engine: RFC 9111 for a shared cache, around any function that fetches.
 * @param path where the options stand in what the user wrote
 * @throws TypeError that names the option
 */
export function createCache(options: CacheOptions = {}, path = 'cache'): Cache {
  const engine = new Engine(resolveCache(options, path))
  const cache: Cache = {
    handle: (request, fetch, arg, failed, leaving) =>
      new Visit(engine, request, fetch, arg as never, failed, leaving).start(),
    // Whatever is wrong with it is a rejection, as what the store does is.
    purge: async (what, options) => {
      const soft = checkPurge(what, options)
      return engine.purge(what, soft)
    },
    invalidate: (request, reply) => engine.changedElsewhere(request, reply),
    close: () => engine.close(),
    [Symbol.asyncDispose]: () => engine.close(),
  }
  engine.itself = cache
  return cache
}
