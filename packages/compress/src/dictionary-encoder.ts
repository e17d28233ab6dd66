import type { Writable } from 'node:stream'
import * as zlib from 'node:zlib'
import type { Body } from '@sluice/core'
import { type Codec, zlibOfNow } from './coding.js'
import type { Dictionary } from './dictionary.js'
import type { DictionaryCoding } from './dictionary-coding.js'
import { EncodedBody } from './encoded-body.js'

const { constants } = zlib

/**
 * What the levels come to, over a new version of a bundle of 500 KB (br 5 without a dictionary: 115 KB). Brotli below 5 takes no notice
 * of a dictionary: 125 KB; 5 makes 1.7 KB in 8 ms, 11 makes 0.7 KB in 100 ms. Zstd makes 4 KB at 3 in 2 ms, 2.7 KB at 6 in 3 ms. A stream
 * with a dictionary of 512 KB holds 5 MB by brotli and 11 by zstd; 16 by zstd with one of 4 MB.
 */
const levels = { dcb: 5, dcz: 6 }

/** Brotli has the whole of a dictionary at hand whatever its window is (RFC 9842 section 4), which may be 16 MB: this bounds its memory. */
const brotliWindow = 20
const smallestWindow = 16
/** Clients can read windows of 8 MB, and of 1.25 times the dictionary, up to 128 MB (RFC 9842 section 5). */
const zstdWindow = 8 * 1024 * 1024
const largestZstdWindow = 128 * 1024 * 1024
/**
 * Zstd finds what is in its table alone. With a place for each byte of the dictionary all of it is found: over 1 MB that level 6 has no room for by
 * itself, 0.2 KB in place of 118. It takes 8 bytes for each, so there is an end to it, at 1 MB.
 */
const zstdHash = 20

const codecs = { dcb: 'br', dcz: 'zstd' } as const

const magic = {
  dcb: Buffer.from([0xff, 0x44, 0x43, 0x42]),
  dcz: Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 0x20, 0x00, 0x00, 0x00]),
}

/** What comes before the stream (RFC 9842 sections 4 and 5): it says which dictionary it was made with. */
export function dictionaryPrefix(coding: DictionaryCoding, { digest }: Dictionary): Buffer {
  return Buffer.concat([magic[coding], digest])
}

/**
 * `source` coded by a dictionary, as it flows: see `encodeBody`.
 * @param tee gets the same bytes
 * @param length bytes that `source` was said to have
 */
export function encodeByDictionary(
  source: Body,
  coding: DictionaryCoding,
  dictionary: Dictionary,
  tee: Writable | undefined,
  length: number | undefined = source.length,
): Body {
  const prefix = dictionaryPrefix(coding, dictionary)
  const options = { level: levels[coding], flush: 'pause', prefix, tee, length } as const
  const make = (): Codec => createDictionaryEncoder(coding, dictionary, length)
  return new EncodedBody(source, codecs[coding], options, make)
}

/**
 * A stream that codes what is written to it by a dictionary.
 * @param size bytes that will come, where known
 */
export function createDictionaryEncoder(
  coding: DictionaryCoding,
  { bytes }: Dictionary,
  size: number | undefined,
): Codec {
  if (coding === 'dcb') {
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: levels.dcb,
      [constants.BROTLI_PARAM_LGWIN]: powerOf(size ?? bytes.length, brotliWindow),
    }
    return zlib.createBrotliCompress({ params, dictionary: bytes } as zlib.BrotliOptions) as unknown as Codec
  }
  const {
    ZSTD_c_compressionLevel: level,
    ZSTD_c_windowLog: window,
    ZSTD_c_hashLog: hash,
  } = zlibOfNow.constants
  const params = {
    [level as number]: levels.dcz,
    [window as number]: dictionaryWindow(bytes.length, size),
    [hash as number]: powerOf(bytes.length, zstdHash),
  }
  return (zlibOfNow.createZstdCompress as (options: object) => Codec)({ params, dictionary: bytes })
}

/**
 * Zstd's window, as a power of two: with one smaller than the dictionary and what comes, the dictionary is soon out of its sight (0.5 MB in a
 * window of 256 KB: 68 KB in place of 2.7 KB). What comes is taken to be a quarter longer than the dictionary where nobody knows.
 */
export function dictionaryWindow(dictionary: number, size = dictionary * 1.25): number {
  const most = Math.min(largestZstdWindow, Math.max(zstdWindow, dictionary * 1.25))
  return powerOf(dictionary + size, Math.floor(Math.log2(most)))
}

function powerOf(bytes: number, most: number): number {
  return Math.max(smallestWindow, Math.min(most, Math.ceil(Math.log2(bytes + 1))))
}
