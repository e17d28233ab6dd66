import { createHash } from 'node:crypto'
import * as zlib from 'node:zlib'
import { zlibOfNow } from './coding.js'
import type { DictionarySupport } from './dictionary-coding.js'

type Coder = (bytes: Uint8Array, options: object) => Buffer

let known: DictionarySupport | undefined

/**
 * What this Node's zlib does with a dictionary. Node 20 and 22 take the option for brotli and pass over it without a word, so it is tried:
 * once, when it is first asked.
 */
export function dictionarySupport(): DictionarySupport {
  known ??= {
    dcb: works(
      (bytes, options) => zlib.brotliCompressSync(bytes, { ...brotli, ...options }),
      zlib.brotliDecompressSync as Coder,
    ),
    dcz: works(zlibOfNow.zstdCompressSync, zlibOfNow.zstdDecompressSync),
  }
  return known
}

/** Brotli 11, the default, takes 40 times as long. */
const brotli = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } }

/** Bytes that can't be made shorter are, by a dictionary of the same; and come back whole. */
function works(code: Coder | undefined, decode: Coder | undefined): boolean {
  if (code === undefined || decode === undefined) return false
  const bytes = Buffer.concat(
    Array.from({ length: 64 }, (_, i) => createHash('sha256').update(String(i)).digest()),
  )
  try {
    const coded = code(bytes, { dictionary: bytes })
    return coded.length < bytes.length / 2 && decode(coded, { dictionary: bytes }).equals(bytes)
  } catch {
    return false
  }
}
