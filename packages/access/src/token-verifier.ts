import { createRequire } from 'node:module'
import { ProxyError, type ProxyErrorOptions } from '@sluice/core'
import type { JWTPayload, JWTVerifyOptions } from 'jose'
import type { Keys } from './key-set.js'

type Jose = typeof import('jose')

const require = createRequire(import.meta.url)
let jose: Jose | undefined

/**
 * Loads jose, which nobody pays for who doesn't use it. Where that fails, for want of a file to open say, the next call tries again: what
 * `import()` has failed at it may fail at until a restart.
 */
export async function loadJose(): Promise<Jose> {
  try {
    jose ??= require('jose') as Jose
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EMFILE' || code === 'ENFILE') throw error
    // Node 22 takes no modules by `require` before 22.12, no Node one that an `import()` is loading, and bundlers follow this alone.
    jose = await import('jose')
  }
  return jose
}

/** Where keys come from. */
export interface KeySource {
  get(): Keys | undefined | Promise<Keys | undefined>
  /** Other ones, if there are any now; `'failed'` where nobody can say. */
  others(than: Keys): Promise<Keys | undefined | 'failed'>
}

/** What is wrong with a token, by jose's code. What isn't here is malformed. */
const reasons: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'token-expired',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'token-claim',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'token-signature',
  ERR_JOSE_ALG_NOT_ALLOWED: 'token-algorithm',
  ERR_JOSE_NOT_SUPPORTED: 'token-algorithm',
  ERR_JWKS_NO_MATCHING_KEY: 'token-key',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'token-key',
  ERR_JWKS_INVALID: 'token-key',
}

/** The most keys that one token is tried with, where it doesn't name its own. */
const mostTries = 8

/**
 * The claims of a token that is signed by one of the keys and says what it has to (RFC 7519, RFC 8725).
 * @param invalid fields of the answer to a token that isn't valid
 * @throws ProxyError http_request_unauthorized, with the name of what is wrong; destination_unavailable without keys
 */
export async function verifyToken(
  token: string,
  source: KeySource,
  options: JWTVerifyOptions,
  invalid: NonNullable<ProxyErrorOptions['headers']>,
): Promise<JWTPayload> {
  const { jwtVerify, errors } = jose ?? (await loadJose())
  const unfit = (error: unknown): ProxyError => {
    const known = error instanceof errors.JOSEError
    const reason = known ? (reasons[error.code] ?? 'token-malformed') : 'token-key'
    return new ProxyError('http_request_unauthorized', {
      reason,
      message: `the token isn't valid: ${error instanceof Error ? error.message : reason}`,
      cause: error,
      headers: invalid,
    })
  }
  const verify = async (keys: Keys): Promise<JWTPayload> => {
    try {
      return (await jwtVerify(token, keys, options)).payload
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      let tries = 0
      for await (const key of error) {
        if (++tries > mostTries) break
        try {
          return (await jwtVerify(token, key, options)).payload
        } catch (wrong) {
          if (!(wrong instanceof errors.JWSSignatureVerificationFailed)) throw wrong
        }
      }
      throw new errors.JWSSignatureVerificationFailed()
    }
  }

  const keys = await source.get()
  if (keys === undefined) throw noKeys()
  try {
    return await verify(keys)
  } catch (error) {
    if (!(error instanceof errors.JWKSNoMatchingKey)) throw unfit(error)
    const others = await source.others(keys)
    if (others === 'failed') throw noKeys()
    if (others === undefined) throw unfit(error)
    try {
      return await verify(others)
    } catch (again) {
      throw unfit(again)
    }
  }
}

/** Closed, and not 401: a client would throw away a token that may be good. */
function noKeys(): ProxyError {
  return new ProxyError('destination_unavailable', {
    reason: 'keys-unreachable',
    message: 'the keys of the issuer of tokens could not be fetched',
  })
}
