import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { ClientPair } from './client-identity.js'
import type { TargetTls } from './target-tls.js'

/**
 * Reads certificates and keys into what connections are made with.
 * @param pair in place of `cert` and `key`, where an `identity` gives them
 * @throws Error of OpenSSL's for what can't be used
 */
export function makeContext(tls: TargetTls, pair: ClientPair | undefined): SecureContext {
  const { ca, ciphers, pfx, secureProtocol } = tls
  const { cert, key, passphrase } = pair ?? tls
  return createSecureContext({
    ca,
    cert,
    ciphers,
    key,
    passphrase,
    pfx,
    secureProtocol,
  } as SecureContextOptions)
}
