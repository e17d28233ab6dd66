/**
 * A 32-bit hash of a text: FNV-1a over its UTF-16 units (Fowler, Noll, Vo), then the finalizer of MurmurHash3 (Appleby), so that
 * each bit of the text changes each bit of the hash with even odds. Not for secrets: whoever chooses keys can make them collide.
 *
 * It is our own because what is on npm is either WebAssembly that is loaded asynchronously and copies each text, or
 * unmaintained; `node:crypto` costs a microsecond and more a call. All of it is exact integer arithmetic, so proxies agree.
 */
export function hash(text: string, seed = 0): number {
  let h = 0x811c9dc5 ^ seed
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return mix(h)
}

/** The finalizer of MurmurHash3: a permutation of 32-bit numbers in which near ones end far apart. */
export function mix(number: number): number {
  let h = number
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
