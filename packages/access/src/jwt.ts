import { type Context, type Handler, type Middleware, ProxyError, type Reply } from '@sluice/core'
import { parse } from '@sluice/options'
import debug from 'debug'
import type { JSONWebKeySet, JWTPayload, JWTVerifyOptions } from 'jose'
import { ask } from './ask.js'
import { afterScheme, challenge, credentialsOf, letIn, quoted } from './credentials.js'
import { fieldValue, identityFields } from './identity-fields.js'
import { type JwtOptions, jwtOptions } from './jwt-options.js'
import { KeySet, type Keys, readKeySet } from './key-set.js'
import { type KeySource, loadJose, verifyToken } from './token-verifier.js'

const log = debug('sluice:access')

/** What {@link jwt} adds. */
export interface Claims {
  /** What the token says, once it is verified. */
  claims: JWTPayload
}

/** A set of keys has a few kilobytes. */
const largestKeySet = 256 * 1024

/**
 * Lets in who shows a token of an issuer (JWT as bearer token, RFC 7519 and RFC 6750): signed by one of its public keys, for this audience, in
 * its time. All others get 401. `none` and signatures with shared secrets are never taken, whatever the token's head says. Keys are fetched when
 * the first token comes, kept, and fetched anew when a token names another, at most once in `cooldown`; where they can't be had it is 503, and
 * nobody passes.
 *
 * It can't call a token back that was issued: it counts until it ends. And it takes none from cookies or URLs.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function jwt(options: JwtOptions, path = 'jwt'): Middleware<{}, Claims> {
  const settings = parse(jwtOptions, options, path)
  const { allow, forward, headers, issuer, audience, algorithms, clockTolerance, type, now, realm } = settings
  const source = keySourceOf(settings)
  // While there are files to open. Where there are none now, the first token tries again.
  loadJose().catch(() => {})
  const fields = identityFields(Object.keys(headers))
  const told = Object.entries(headers)
  const scheme = realm === undefined ? 'Bearer' : `Bearer realm=${quoted(realm)}`
  const missing = challenge(scheme)
  const also = (error: string) => challenge(`${scheme}${realm === undefined ? ' ' : ', '}error="${error}"`)
  const invalid = also('invalid_token')
  const insufficient = also('insufficient_scope')
  const fixed: JWTVerifyOptions = {
    issuer: issuer as string | string[],
    audience: audience as string | string[],
    algorithms: algorithms as string[],
    clockTolerance: clockTolerance / 1_000,
    requiredClaims: settings.require,
    ...(type === undefined ? {} : { typ: type }),
  }

  const refuse = (reason: string, challenge: string[]): never => {
    throw new ProxyError('http_request_unauthorized', { reason, headers: challenge })
  }
  const enter = async <C extends Context>(
    next: Handler<C & Claims>,
    ctx: C,
    token: string,
    credentials: string,
  ): Promise<Reply> => {
    const claims = await verifyToken(token, source, { ...fixed, currentDate: new Date(now()) }, invalid)
    if (allow !== undefined && (await allow(claims)) !== true)
      throw new ProxyError('http_request_denied', { reason: 'token-insufficient', headers: insufficient })
    letIn(ctx, credentials, forward)
    for (const [name, claim] of told) {
      const value = textOf(claims[claim])
      if (value === undefined) continue
      const text = fieldValue(value)
      if (text === undefined) return refuse('token-claim', invalid)
      ctx.out.headers.push(name, text)
    }
    return next(Object.assign(ctx, { claims }))
  }

  return (next) => (ctx) => {
    fields.clear(ctx)
    const credentials = credentialsOf(ctx)
    if (credentials === undefined) return refuse('token-missing', missing)
    const token = afterScheme(credentials, 'bearer ')
    if (token === undefined) return refuse('token-missing', missing)
    return enter(next, ctx, token, credentials)
  }
}

/** A claim as the value of a field; `undefined` where there is none. */
function textOf(claim: unknown): string | undefined {
  if (claim === undefined || claim === null) return undefined
  return typeof claim === 'string' ? claim : JSON.stringify(claim)
}

type Settings = ReturnType<typeof parse<typeof jwtOptions>>

function keySourceOf({ jwks, timeout, refresh, keep, cooldown, now }: Settings): KeySource {
  if (typeof jwks === 'object' && 'keys' in jwks) return fixedKeys(jwks)
  const url = new URL(jwks)
  return new KeySet({
    refresh,
    keep,
    cooldown,
    now,
    failed: (error) => {
      if (log.enabled) log('%s: %s', url.href, error instanceof Error ? error.message : String(error))
    },
    load: async () => {
      const headers = ['Accept', 'application/jwk-set+json, application/json', 'Connection', 'close']
      const [{ createLocalJWKSet }, { status, body }] = await Promise.all([
        loadJose(),
        ask({ url, headers, agent: false, timeout, maxBody: largestKeySet, wantsBody: () => true }),
      ])
      if (status !== 200) throw new Error(`the issuer answered ${status}`)
      return createLocalJWKSet(readKeySet(body))
    },
  })
}

function fixedKeys(set: JSONWebKeySet): KeySource {
  let keys: Keys | undefined
  return {
    get: () => keys ?? loadJose().then(({ createLocalJWKSet }) => (keys ??= createLocalJWKSet(set))),
    others: async () => undefined,
  }
}
