import { integer, parse, type Size, size, that, v } from '@sluice/options'

/** Options of `fileStore`. */
export interface FileStoreOptions {
  /** Where the files are. It is made when the first entry comes. It should be this store's alone. */
  folder: string
  /** Bytes of all files, heads included and each in whole pages of 4 KB; beyond them the least recently used go. Default 1gb. */
  maxSize?: Size
  /** Bytes of a body, at most; longer ones aren't kept. Default 64mb. */
  maxEntry?: Size
  /** Bytes that may wait to be written, of all entries on their way; what comes while there are more isn't kept. Default 32mb. */
  maxPending?: Size
  /**
   * Files open at once for bodies that are being read, and as many for those being written. Who finds no place to read waits, and gives up
   * with the signal of its `get`; what finds none to be written isn't kept. Default 512.
   */
  maxOpen?: number
}

/** {@link FileStoreOptions} with none left out, sizes in bytes. */
export interface FileStoreSettings {
  readonly folder: string
  readonly maxSize: number
  readonly maxEntry: number
  readonly maxPending: number
  readonly maxOpen: number
}

const isPath = (value: unknown): boolean => typeof value === 'string' && value !== '' && !value.includes('\0')

function bound(): v.GenericSchema<Size, number> {
  return v.pipe(
    size(),
    v.check((bytes) => bytes > 0, 'more than 0'),
  )
}

const fileStoreOptions = v.strictObject({
  folder: that<string>(isPath, "a path such as '/var/cache/sluice'"),
  maxSize: v.optional(bound(), '1gb'),
  maxEntry: v.optional(bound(), '64mb'),
  maxPending: v.optional(bound(), '32mb'),
  maxOpen: v.optional(integer(1), 512),
})

/**
 * Options of a file store with defaults for those left out.
 * @throws TypeError that names each wrong option below `path`
 */
export function resolveFileStore(options: FileStoreOptions, path = 'fileStore'): FileStoreSettings {
  return parse(fileStoreOptions, options, path)
}
