import { integer, oneOf, parse, type Size, size, that, v } from '@sluice/options'
import { levelRanges } from './level.js'
import { isCompressible } from './worth.js'

/** A coding that the package `compression` makes: it has no zstd. */
export type ConnectCoding = 'br' | 'gzip' | 'deflate'

/** Options of {@link compression}: the words of `compress()`, where they mean the same. */
export interface CompressionOptions {
  /** Codings that clients may get; the order decides where a client likes several alike. Default br, gzip, deflate. The package has no zstd. */
  encodings?: readonly ConnectCoding[]
  /** Bodies that are known to be shorter stay as they are, unless the client refuses that. Default 1024. */
  threshold?: Size
  /** By coding: br 0 to 11, gzip and deflate 1 to 9. Default br 4, gzip and deflate 6. */
  level?: Readonly<Partial<Record<ConnectCoding, number>>>
  /** Whether bodies of a media type get smaller, given in lower case, without parameters. Default {@link isCompressible}. */
  types?: (type: string) => boolean
}

/** {@link CompressionOptions}, none left out. */
export interface CompressionSettings {
  readonly encodings: readonly ConnectCoding[]
  readonly threshold: number
  readonly level: Readonly<Record<ConnectCoding, number>>
  readonly types: (type: string) => boolean
}

const compressionOptions = v.strictObject({
  encodings: v.optional(
    v.pipe(
      v.array(oneOf('br', 'gzip', 'deflate')),
      v.check((list) => list.length > 0 && new Set(list).size === list.length, 'one or more, each once'),
    ),
    ['br', 'gzip', 'deflate'],
  ),
  threshold: v.optional(size(), 1024),
  level: v.optional(
    v.strictObject({
      br: v.optional(integer(...levelRanges.br), 4),
      gzip: v.optional(integer(...levelRanges.gzip), 6),
      deflate: v.optional(integer(...levelRanges.deflate), 6),
    }),
    {},
  ),
  types: v.optional(
    that<(type: string) => boolean>((value) => typeof value === 'function', 'a function of the media type'),
    () => isCompressible,
  ),
})

/**
 * Options of {@link compression} with defaults for those left out.
 * @throws TypeError that names the option
 */
export function resolveCompression(options: CompressionOptions): CompressionSettings {
  return parse(compressionOptions, options, 'compression') as CompressionSettings
}
