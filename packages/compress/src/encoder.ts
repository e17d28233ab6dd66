import * as zlib from 'node:zlib'
import { type Codec, type Coding, zlibOfNow } from './coding.js'

/** How a coder is set up. */
export interface EncoderOptions {
  /** The coding's own: zstd 1 to 19, br 0 to 11, gzip and deflate 0 to 9. */
  readonly level: number
  /** Bytes that will come, where known: windows are made no larger than they need be. */
  readonly size?: number | undefined
  /** Bytes that both sides have (RFC 9842): br and zstd alone, where Node can. */
  readonly dictionary?: Uint8Array | undefined
}

const { constants } = zlib

/** The window of a stream, as a power of two: what a stream holds in memory grows with it. */
const streamWindow = 18
const smallestWindow = 10
/** On these levels br keeps up to 32 MB of places where bytes were, but for windows up to this one it has other tables, of 1 MB. */
const br = { from: 7, to: 9, window: 16 }
/** Up to this level zstd's tables are smaller than the window. */
const zstdWithSmallTables = 3
/** As far as zlib goes (RFC 1951). */
const zlibWindow = 15
/** Output parts of what is coded at once. Up to 4 KB they are cut from a pool of Node's, which costs less than memory of their own. */
const smallPart = 4095

/** What makes a coder give all that it holds after each write: the one `flush` of zlib's options. */
export const flushOf: Readonly<Record<Coding, number>> = {
  gzip: constants.Z_SYNC_FLUSH,
  deflate: constants.Z_SYNC_FLUSH,
  br: constants.BROTLI_OPERATION_FLUSH,
  zstd: zlibOfNow.constants.ZSTD_e_flush as number,
}

/**
 * A stream that codes what is written to it. While it is in use it holds, its native memory and the parts in both directions together, less
 * than 1 MB in gzip and deflate, 5 MB in br to level 9 and 12 MB above it, 4 MB in zstd to level 12 and 6 MB above it (a long test measures it).
 * @param flushed what each write brings is given at once, so that nothing is held between two
 */
export function createEncoder(coding: Coding, options: EncoderOptions, flushed = false): Codec {
  const set = settings(coding, options)
  if (flushed) set.flush = flushOf[coding]
  switch (coding) {
    case 'gzip':
      return zlib.createGzip(set)
    case 'deflate':
      return zlib.createDeflate(set)
    case 'br':
      return zlib.createBrotliCompress(set) as unknown as Codec
    case 'zstd':
      return (zlibOfNow.createZstdCompress as (options: object) => Codec)(set)
  }
}

/** Codes bytes that are all there, at once and in this thread: for those that are few. */
export function encodeSync(coding: Coding, bytes: Uint8Array, options: EncoderOptions): Buffer {
  const set = settings(coding, options)
  set.chunkSize = smallPart
  switch (coding) {
    case 'gzip':
      return zlib.gzipSync(bytes, set)
    case 'deflate':
      return zlib.deflateSync(bytes, set)
    case 'br':
      return zlib.brotliCompressSync(bytes, set)
    case 'zstd':
      return (zlibOfNow.zstdCompressSync as (bytes: Uint8Array, options: object) => Buffer)(bytes, set)
  }
}

type Settings = zlib.ZlibOptions & zlib.BrotliOptions

function settings(coding: Coding, options: EncoderOptions): Settings {
  if (coding === 'br') return brotliOptions(options)
  return coding === 'zstd' ? zstdOptions(options) : zlibOptions(options)
}

function zlibOptions({ level, size }: EncoderOptions): Settings {
  if (size === undefined) return { level }
  // What is set up, cleared and freed again costs a short body more than its share.
  return {
    level,
    windowBits: Math.min(zlibWindow, windowFor(size)),
    memLevel: windowFor(size) < zlibWindow ? 7 : 8,
  }
}

function brotliOptions({ level, size, dictionary }: EncoderOptions): Settings {
  const widest = level >= br.from && level <= br.to ? br.window : streamWindow
  const params: Record<number, number> = {
    [constants.BROTLI_PARAM_QUALITY]: level,
    [constants.BROTLI_PARAM_LGWIN]: Math.min(widest, windowFor(size)),
  }
  if (size !== undefined) params[constants.BROTLI_PARAM_SIZE_HINT] = size
  return { params, ...(dictionary === undefined ? {} : { dictionary }) } as Settings
}

function zstdOptions({ level, size, dictionary }: EncoderOptions): Settings {
  const {
    ZSTD_c_compressionLevel: levelOf,
    ZSTD_c_windowLog: windowOf,
    ZSTD_c_hashLog: hashOf,
    ZSTD_c_chainLog: chainOf,
  } = zlibOfNow.constants
  const window = windowFor(size)
  const params = { [levelOf as number]: level, [windowOf as number]: window }
  // The tables that these levels choose are made for windows of megabytes: with them a stream of level 9 takes 11 MB, and of 19 83 MB.
  if (level > zstdWithSmallTables)
    Object.assign(params, { [hashOf as number]: window, [chainOf as number]: window })
  return { params, ...(dictionary === undefined ? {} : { dictionary }) } as Settings
}

function windowFor(size: number | undefined): number {
  if (size === undefined) return streamWindow
  return Math.max(smallestWindow, Math.min(streamWindow, Math.ceil(Math.log2(size + 1))))
}
