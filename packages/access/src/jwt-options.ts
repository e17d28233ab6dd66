import { type Duration, duration, positiveDuration, secret, that, v } from '@sluice/options'
import type { JSONWebKeySet, JWTPayload } from 'jose'
import { isOpenField } from './field-names.js'

/** Signatures by public keys that {@link jwt} can be told to take. Those with a shared secret (`HS256`) are never taken: a public key is no secret. */
export type JwtAlgorithm = (typeof jwtAlgorithms)[number]

/** All of {@link JwtAlgorithm}. */
export const jwtAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

/** Options of {@link jwt}. */
export interface JwtOptions {
  /** Where the issuer publishes its keys (a JWK set, RFC 7517), by https unless the network in between is trusted with who may pass; or the set itself. Required. */
  jwks: string | URL | JSONWebKeySet
  /** Who has to have issued a token (`iss`): one, or any of several. Required. */
  issuer: string | readonly string[]
  /** For whom a token has to be (`aud`): one, or any of several. Required: without it a token for another service of the issuer would pass. */
  audience: string | readonly string[]
  /** Algorithms of signatures that are taken. Default `['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']`. */
  algorithms?: readonly JwtAlgorithm[]
  /** How far clocks may be apart, at `exp` and `nbf`. Default 5s. */
  clockTolerance?: Duration
  /** Claims that have to be there, beside `iss` and `aud`. Default `['exp']`: a token without it never ends. */
  require?: readonly string[]
  /** What `typ` has to say, for instance `at+jwt` (RFC 9068): it keeps ID tokens out. Default: anything. */
  type?: string
  /** Whether these claims may pass, at once or by a promise; without a `true` it is 403. Default: all may. */
  allow?: (claims: JWTPayload) => boolean | Promise<boolean>
  /** Claims that targets hear of, by field: `{ 'X-User': 'sub' }`. What clients send in these fields is removed. Default none. */
  headers?: Readonly<Record<string, string>>
  /** The target gets `Authorization` too. Default false: it is taken off. */
  forward?: boolean
  /** The name of what is protected, in `WWW-Authenticate`. Default: none is given. */
  realm?: string
  /** How old keys may be while the issuer answers. From three quarters of it on they are fetched behind requests; older ones are waited for. Default 10m. */
  refresh?: Duration
  /** How long keys count that could not be fetched anew; then nobody passes. Default 1h. */
  keep?: Duration
  /** How long to wait at least between two fetches, whatever keys tokens name and however the last one went. Default 30s. */
  cooldown?: Duration
  /** How long a fetch may take. Default 5s. */
  timeout?: Duration
  /** The clock, in ms since 1970. Default `Date.now`. */
  now?: () => number
}

const isName = (value: unknown): boolean => typeof value === 'string' && value !== ''

/** One text, or a list of some. */
const names = that<string | readonly string[]>(
  (value) => (Array.isArray(value) ? value.length > 0 && value.every(isName) : isName(value)),
  'a text, or a list of some',
)

const isHttpUrl = (value: unknown): boolean => {
  if (typeof value !== 'string' && !(value instanceof URL)) return false
  try {
    const { protocol, username, password } = new URL(value)
    return (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
  } catch {
    return false
  }
}

/** With anything else nobody could verify a token: a shared secret, or the key that signs. */
const isPublic = ({ kty, d }: { kty?: unknown; d?: unknown }): boolean =>
  isName(kty) && kty !== 'oct' && d === undefined

const isKeySet = (value: unknown): boolean => {
  const { keys } = (value ?? {}) as { keys?: unknown }
  return (
    Array.isArray(keys) &&
    keys.length > 0 &&
    keys.every((key: unknown) => typeof key === 'object' && key !== null && isPublic(key))
  )
}

const clock = that<() => number>(
  (value) => typeof value === 'function',
  'a function that gives ms since 1970',
)

/** Schema of a URL of http or https. */
export const httpUrl = withoutUser<string | URL>(isHttpUrl, 'a URL of http or https, without a user in it')

/** Errors show what was given, unless there may be a password in it. */
function withoutUser<T>(isOne: (value: unknown) => boolean, takes: string): v.GenericSchema<T> {
  const shown = that<T>(isOne, takes)
  const hidden = secret<T>(isOne, takes)
  return v.lazy((value) =>
    (typeof value === 'string' || value instanceof URL) && String(value).includes('@') ? hidden : shown,
  ) as v.GenericSchema<T>
}

/** Schema of {@link JwtOptions}. */
export const jwtOptions = v.strictObject({
  jwks: withoutUser<JwtOptions['jwks']>(
    (value) => isHttpUrl(value) || isKeySet(value),
    'a URL of http or https, or a JWK set { keys: [...] } with a key in it, public ones alone',
  ),
  issuer: names,
  audience: names,
  algorithms: v.optional(
    that<readonly JwtAlgorithm[]>(
      (value) =>
        Array.isArray(value) &&
        value.length > 0 &&
        value.every((each) => jwtAlgorithms.includes(each as JwtAlgorithm)),
      `a list of ${jwtAlgorithms.map((each) => `'${each}'`).join(', ')}`,
    ),
    [...jwtAlgorithms],
  ),
  clockTolerance: v.optional(duration(), '5s'),
  require: v.optional(v.array(that<string>(isName, 'the name of a claim')), ['exp']),
  type: v.optional(that<string>(isName, 'a text, not empty')),
  allow: v.optional(
    that<NonNullable<JwtOptions['allow']>>(
      (value) => typeof value === 'function',
      'a function of the claims',
    ),
  ),
  headers: v.optional(
    that<Readonly<Record<string, string>>>(
      (value) =>
        typeof value === 'object' &&
        value !== null &&
        Object.entries(value).every(([name, claim]) => isOpenField(name) && isName(claim)),
      'names of claims by names of fields that proxies and framing have no use for',
    ),
    {},
  ),
  forward: v.optional(v.boolean(), false),
  realm: v.optional(
    that<string>(
      (value) => typeof value === 'string' && /^[\x20-\x7e]+$/.test(value),
      'a text in ASCII, not empty',
    ),
  ),
  refresh: v.optional(positiveDuration(), '10m'),
  keep: v.optional(positiveDuration(), '1h'),
  cooldown: v.optional(positiveDuration(), '30s'),
  timeout: v.optional(positiveDuration(), '5s'),
  now: v.optional(clock, () => Date.now),
})
