import type { CacheOptions } from './cache-options.js'
import type { Cache } from './create-cache.js'

/** Tells a cache that was made before from options of one. */
export function isCache(options: CacheOptions | Cache): options is Cache {
  // What isn't even an object is told of with the options.
  return typeof (options as Partial<Cache> | null)?.handle === 'function'
}
