import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

const generate = promisify(generateKeyPair)

/** Kinds of key for accounts and certificates: P-256, or RSA of 2048 bits for clients that know nothing newer. */
export type KeyType = 'ecdsa' | 'rsa'

/** A new private key; `.export({ type: 'pkcs8', format: 'pem' })` is what to keep. */
export async function generateKey(type: KeyType): Promise<KeyObject> {
  const { privateKey } =
    type === 'rsa'
      ? await generate('rsa', { modulusLength: 2_048 })
      : await generate('ec', { namedCurve: 'P-256' })
  return privateKey
}
