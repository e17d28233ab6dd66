import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import type { FlattenedJWS, JWK } from 'jose'
import { loadJose } from './load-client.js'

const curves: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
}

/** The JWS algorithm (RFC 7518, RFC 8037) for a private key; `undefined` where ACME has none for it: short RSA keys, other curves. */
export function signatureAlgorithm(key: KeyObject): string | undefined {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  if (key.type !== 'private') return undefined
  if (key.asymmetricKeyType === 'ec') return curves[namedCurve]
  if (key.asymmetricKeyType === 'rsa') return modulusLength >= 2_048 ? 'RS256' : undefined
  return key.asymmetricKeyType === 'ed25519' ? 'EdDSA' : undefined
}

/** The public half of a private key, as requests show it. */
export function publicJwk(key: KeyObject): JWK {
  return createPublicKey(key).export({ format: 'jwk' }) as JWK
}

/** A signed message (RFC 8555 section 6.2). A payload of `undefined` is that of a POST-as-GET, which is empty. */
export async function signed(
  key: KeyObject,
  header: { readonly url: string; readonly nonce?: string; readonly kid?: string; readonly jwk?: JWK },
  payload: object | undefined,
): Promise<FlattenedJWS> {
  const alg = signatureAlgorithm(key)
  if (alg === undefined) throw new TypeError('a key that ACME has no signature for')
  const text = payload === undefined ? '' : JSON.stringify(payload)
  const { FlattenedSign } = await loadJose()
  return new FlattenedSign(Buffer.from(text)).setProtectedHeader({ alg, ...header }).sign(key)
}

/** The external account binding (RFC 8555 section 7.3.4): the account's public key, under a key that the server's people gave out. */
export async function accountBinding(
  key: KeyObject,
  { kid, hmacKey }: { readonly kid: string; readonly hmacKey: string },
  url: string,
): Promise<FlattenedJWS> {
  const { FlattenedSign } = await loadJose()
  return new FlattenedSign(Buffer.from(JSON.stringify(publicJwk(key))))
    .setProtectedHeader({ alg: 'HS256', kid, url })
    .sign(Buffer.from(hmacKey, 'base64url'))
}

/** What answers a challenge's token (RFC 8555 section 8.1). */
export async function keyAuthorization(key: KeyObject, token: string): Promise<string> {
  const { calculateJwkThumbprint } = await loadJose()
  return `${token}.${await calculateJwkThumbprint(publicJwk(key))}`
}

/** What a TXT record at `_acme-challenge.` holds for DNS-01 (section 8.4). */
export function dnsValue(authorization: string): string {
  return createHash('sha256').update(authorization).digest('base64url')
}
