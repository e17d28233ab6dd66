/**
 * A hash of a key, 32 bits with a sign. With a seed that nobody knows, nobody can choose keys that fall together. FNV-1a (Fowler, Noll and Vo),
 * then the end of MurmurHash3 (Appleby), so that every bit counts.
 */
export function keyHash(key: string, seed: number): number {
  let hash = seed ^ 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
