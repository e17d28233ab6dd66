import type { HeaderList } from '@sluice/headers'
import { type Coding, codings } from './coding.js'
import type { Dictionary } from './dictionary.js'
import { acceptEncodingOf, Negotiation } from './negotiate.js'

/** A content coding by a shared dictionary (RFC 9842): `dcb` is brotli's, section 4; `dcz` zstd's, section 5. */
export type DictionaryCoding = 'dcb' | 'dcz'

/** Which of them are to be had. */
export type DictionarySupport = Readonly<Record<DictionaryCoding, boolean>>

/**
 * Zstd first: all of its work is done in the thread pool. Brotli reads the dictionary in this thread, where nothing else goes on meanwhile: 10 ms
 * for each MB, zstd 0.1. For that it makes two thirds of zstd's bytes (1.7 KB to 2.7, of a new version of a bundle of 500 KB).
 */
const favourites = ['dcz', 'dcb'] as const

/** Bytes of the largest dictionary that brotli gets: what the other clients wait for meanwhile is bounded. */
const brotliMost = 1024 * 1024

/** A dictionary that begins so is read as one in zstd's own format, not as raw bytes (RFC 8878 section 5). */
const zstdDictionary = Buffer.from([0x37, 0xa4, 0x30, 0xec])

/**
 * The coding for a client that has `dictionary`, by its `Accept-Encoding`.
 * @returns `undefined` where it takes none of those that are there, or would rather have something else
 */
export function dictionaryCoding(
  headers: HeaderList,
  { bytes }: Dictionary,
  support: DictionarySupport,
): DictionaryCoding | undefined {
  const fits = { dcz: !bytes.subarray(0, 4).equals(zstdDictionary), dcb: bytes.length <= brotliMost }
  const ours = favourites.filter((coding) => support[coding] && fits[coding])
  const chosen: string | undefined = negotiationOf(ours).choose(acceptEncodingOf(headers))
  return ours.find((coding) => coding === chosen)
}

const negotiations = new Map<string, Negotiation>()

/** One for each of the few sets of codings that a dictionary may have. */
function negotiationOf(ours: readonly DictionaryCoding[]): Negotiation {
  const key = ours.join()
  let known = negotiations.get(key)
  if (known === undefined) {
    known = new Negotiation([...ours, ...codings] as readonly string[] as readonly Coding[])
    negotiations.set(key, known)
  }
  return known
}
