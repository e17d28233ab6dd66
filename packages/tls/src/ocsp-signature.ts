import { type KeyObject, verify } from 'node:crypto'

/** Hash and kind of key by the signature's identifier. SHA-1 is left out: browsers refuse it, too. `null`: the algorithm has its own. */
const algorithms: Record<string, readonly [hash: string | null, keyType: string]> = {
  '1.2.840.113549.1.1.11': ['sha256', 'rsa'],
  '1.2.840.113549.1.1.12': ['sha384', 'rsa'],
  '1.2.840.113549.1.1.13': ['sha512', 'rsa'],
  '1.2.840.10045.4.3.2': ['sha256', 'ec'],
  '1.2.840.10045.4.3.3': ['sha384', 'ec'],
  '1.2.840.10045.4.3.4': ['sha512', 'ec'],
  '1.3.101.112': [null, 'ed25519'],
}

/**
 * Whether a signature is that of `key` over `bytes`.
 * @param algorithm its object identifier
 * @throws Error for one that isn't known
 */
export function isSignedBy(
  key: KeyObject,
  algorithm: string,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  const known = algorithms[algorithm]
  if (known === undefined) throw new Error(`the signature's algorithm ${algorithm} is none that is taken`)
  const [hash, keyType] = known
  return key.asymmetricKeyType === keyType && verify(hash, bytes, key, signature)
}
