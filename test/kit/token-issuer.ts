import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { type Origin, originServer } from './origin-server.js'

/** A key that tokens are signed with, and what is published of it. */
export interface SigningKey {
  readonly alg: string
  readonly kid: string | undefined
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: Record<string, unknown>
}

/** An issuer of tokens with an endpoint for its keys. */
export interface TokenIssuer {
  /** Where the keys are. */
  readonly jwks: string
  readonly origin: Origin
  /** What the endpoint publishes now. */
  keys: readonly SigningKey[]
  /** Takes the place of the endpoint's answer; `'none'`: it never answers. */
  answer: { status: number; body: string; headers?: Record<string, string> } | 'none' | undefined
  /** A token of `issuer` for `api`, by its first key, which ends in a minute by the clock given. */
  token(claims?: Record<string, unknown>, options?: { key?: SigningKey; header?: object }): string
  close(): Promise<void>
}

/** @param kid left out: the key has no name */
export function signingKey(alg: string, kid?: string): SigningKey {
  const { privateKey, publicKey } = pairFor(alg)
  const jwk = { ...publicKey.export({ format: 'jwk' }), use: 'sig', ...(kid === undefined ? {} : { kid }) }
  return { alg, kid, privateKey, publicKey, jwk }
}

function pairFor(alg: string): { privateKey: KeyObject; publicKey: KeyObject } {
  if (alg.startsWith('ES'))
    return generateKeyPairSync('ec', {
      namedCurve: { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg] as string,
    })
  if (alg.startsWith('Ed')) return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token with these two parts, signed by a key whatever its head says: RFC 7515 section 3.1, made without the library under test. */
export function signed(header: object, claims: object, key: SigningKey): string {
  const { alg, privateKey } = key
  const text = `${base64(header)}.${base64(claims)}`
  const hash = alg.startsWith('Ed') ? null : `sha${alg.slice(2)}`
  const options = alg.startsWith('PS')
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { dsaEncoding: 'ieee-p1363' as const }
  return `${text}.${sign(hash, Buffer.from(text), { key: privateKey, ...options }).toString('base64url')}`
}

/** A token that is authenticated by a text that both sides know. */
export function hmacSigned(header: object, claims: object, secret: string | Buffer): string {
  const text = `${base64(header)}.${base64(claims)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

/** Starts an issuer with one key. */
export async function tokenIssuer(now: () => number): Promise<TokenIssuer> {
  const first = signingKey('ES256', 'one')
  const origin = await originServer((_req, res) => {
    if (issuer.answer === 'none') return
    const {
      status,
      body,
      headers = {},
    } = issuer.answer ?? {
      status: 200,
      body: JSON.stringify({ keys: issuer.keys.map(({ jwk }) => jwk) }),
    }
    res.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(body)
  })
  const issuer: TokenIssuer = {
    jwks: `${origin.url}/keys`,
    origin,
    keys: [first],
    answer: undefined,
    token(claims = {}, { key = first, header = {} } = {}) {
      const all = { iss: 'issuer', aud: 'api', sub: 'alice', exp: Math.floor(now() / 1_000) + 60, ...claims }
      return signed({ alg: key.alg, ...(key.kid === undefined ? {} : { kid: key.kid }), ...header }, all, key)
    },
    close: () => origin.close(),
  }
  return issuer
}
