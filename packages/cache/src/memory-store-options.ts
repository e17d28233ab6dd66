import { parse, type Size, size, that, v } from '@sluice/options'

/** What bounds a `memoryStore`. */
export interface MemoryStoreOptions {
  /**
   * Bytes for everything: bodies, their heads, keys, and what Node takes to hold them. Default '64mb'. More than 0: memory without a bound
   * would end the process.
   */
  maxSize?: Size
  /** Bytes of one body; a larger one isn't kept. Default '8mb'; 0: as much as `maxSize`. */
  maxEntry?: Size
  /** Milliseconds since 1970. Default `Date.now`. */
  clock?: () => number
}

/** {@link MemoryStoreOptions} with none left out, sizes in bytes. */
export interface MemoryStoreSettings {
  readonly maxSize: number
  readonly maxEntry: number
  readonly clock: () => number
}

/** Validates {@link MemoryStoreOptions} and fills in the defaults. */
const memoryStoreOptions = v.strictObject({
  maxSize: v.optional(
    v.pipe(
      size(),
      v.check((bytes) => bytes > 0, 'more than 0'),
    ),
    '64mb',
  ),
  maxEntry: v.optional(size(), '8mb'),
  clock: v.optional(that<() => number>((value) => typeof value === 'function', 'a function')),
})

/**
 * Options of a memory store with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveMemoryStore(options: MemoryStoreOptions, path = 'memoryStore'): MemoryStoreSettings {
  const { maxSize, maxEntry, clock = Date.now } = parse(memoryStoreOptions, options, path)
  return { maxSize, maxEntry: maxEntry === 0 ? maxSize : Math.min(maxEntry, maxSize), clock }
}
