import { KeyObject, X509Certificate } from 'node:crypto'
import { type Duration, positiveDuration, secret, that, v } from '@sluice/options'
import { signatureAlgorithm } from './account-key.js'
import { isLoopback } from './acme-http.js'

/** Certificates as a text or its bytes. By a name of its own: what the compiler infers from the union is a generic `Buffer`, which older `@types/node` don't have. */
export type Pem = string | Buffer

/** Options of `AcmeClient`. */
export interface AcmeClientOptions {
  /** URL of the server's directory: https, or http on loopback. */
  directory: string
  /** Private key of the account: P-256, P-384, P-521, RSA from 2048 bits, Ed25519. Not every server takes each. */
  accountKey: KeyObject
  /** PEM of the authority behind the server's own TLS. Default those that Node trusts. */
  ca?: string | Buffer
  /** Where the server's people reach somebody: `mailto:` URLs. Default none. */
  contact?: readonly string[]
  /** That you have read the server's terms of service and keep to them. Without it there is no account where a server has terms. */
  agreeToTerms: boolean
  /** Binds the account to one that the server's people know: its key id, and the HMAC key in base64url. Default none. */
  eab?: { kid: string; hmacKey: string }
  /** For each whole answer. Default 30s. */
  timeout?: Duration
  /** For the waits until an authorization, and then an order, is settled. Default 5m. */
  patience?: Duration
  /** Ends what is under way, and refuses what comes after. */
  signal?: AbortSignal
}

/** No credentials, and TLS: what is ordered there is worth as much as who is spoken to. On this machine alone it may do without. */
export function isDirectory(value: unknown): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false
  const url = new URL(value)
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))
  return safe && url.username + url.password + url.hash === ''
}

/** In PEM. */
export function isCertificate(value: unknown): boolean {
  try {
    return new X509Certificate(value as string | Buffer).raw.length > 0
  } catch {
    return false
  }
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''

/** An account that the server's people know already. */
export const eabOption = v.strictObject({
  kid: that<string>(isText, 'the key id that the authority has given'),
  hmacKey: secret<string>(
    (value) => typeof value === 'string' && /^[\w-]{16,}={0,2}$/.test(value),
    'the key that the authority has given, in base64url',
  ),
})

/** Schema of {@link AcmeClientOptions}. */
export const acmeClientOptions = v.strictObject({
  directory: that<string>(
    isDirectory,
    "an https: URL, such as 'https://acme-v02.api.letsencrypt.org/directory'",
  ),
  accountKey: secret<KeyObject>(
    (value) => value instanceof KeyObject && signatureAlgorithm(value) !== undefined,
    'a private KeyObject: P-256, P-384, P-521, RSA from 2048 bits, or Ed25519',
  ),
  ca: v.optional(that<Pem>(isCertificate, 'a certificate in PEM, as a text or a Buffer')),
  contact: v.optional(
    v.array(
      that<string>(
        (value) => typeof value === 'string' && /^mailto:[^\s?,@]+@[^\s?,@]+$/.test(value),
        "a URL such as 'mailto:you@example.com'",
      ),
    ),
    [],
  ),
  agreeToTerms: v.boolean(),
  eab: v.optional(eabOption),
  timeout: v.optional(positiveDuration(), 30_000),
  patience: v.optional(positiveDuration(), 300_000),
  signal: v.optional(that<AbortSignal>((value) => value instanceof AbortSignal, 'an AbortSignal')),
})
