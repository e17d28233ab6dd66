import { type Duration, duration, oneOf, parse, that, v } from '@sluice/options'

/** Options of {@link sticky}. */
export interface StickyOptions {
  /**
   * What the cookie is signed or encrypted with, 32 random bytes as text for instance; of several the first makes new cookies and all
   * are accepted, and exchanged for new ones with the next answer, so that a secret can be exchanged without moving those who come before
   * it is taken away. Proxies that share clients share it. Whoever knows it can choose a target, and find out which one a cookie means.
   */
  secret: string | readonly string[]
  /**
   * Encrypted (AES-256-GCM) in place of signed (HMAC-SHA-256). Neither shows a target; of signed cookies clients can compare whether they
   * are on the same one. Default `false`.
   */
  encrypt?: boolean
  /** The cookie's name; `__Host-` and `__Secure-` need what they promise. Upstreams that share host and path each need one of their own. Default `'sluice_affinity'`. */
  name?: string
  /** Default `'/'`. */
  path?: string
  /** Default: the host that was asked. */
  domain?: string
  /** `'none'` needs `secure`. Default `'lax'`. */
  sameSite?: 'strict' | 'lax' | 'none'
  /** Default `'auto'`: as the client came, with TLS or without. */
  secure?: boolean | 'auto'
  /** Default `true`: scripts of a page can't read it. */
  httpOnly?: boolean
  /** How long a client keeps it, from its first answer on; in whole seconds. Default, and with 0: until the browser is closed. */
  maxAge?: Duration
  /** The target has left the upstream: another one and another cookie, or 503. Default `'repick'`. */
  gone?: 'repick' | 'refuse'
}

const flag = v.boolean()
const matches = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value)
const secret = that<string>(matches(/./s), 'a text, not empty')
const secrets = v.lazy((value) =>
  Array.isArray(value) ? v.pipe(v.array(secret), v.minLength(1, 'at least one text')) : secret,
) as unknown as v.GenericSchema<string | string[]>

/** Validates {@link StickyOptions} and fills in the defaults. */
export const stickyOptions = v.pipe(
  v.strictObject({
    secret: secrets,
    encrypt: v.optional(flag, false),
    name: v.optional(
      that<string>(matches(/^[\w!#$%&'*+.^`|~-]+$/), 'a name without blanks'),
      'sluice_affinity',
    ),
    path: v.optional(that<string>(matches(/^\/[\x21-\x3a\x3c-\x7e]*$/), "a path such as '/'"), '/'),
    domain: v.optional(that<string>(matches(/^[\w.-]+$/), "a domain such as 'example.com'")),
    sameSite: v.optional(oneOf('strict', 'lax', 'none'), 'lax'),
    secure: v.optional(
      that<boolean | 'auto'>(
        (value) => value === 'auto' || typeof value === 'boolean',
        "true, false or 'auto'",
      ),
      'auto',
    ),
    httpOnly: v.optional(flag, true),
    maxAge: v.optional(duration()),
    gone: v.optional(oneOf('repick', 'refuse'), 'repick'),
  }),
  v.check(
    ({ sameSite, secure }) => sameSite !== 'none' || secure === true,
    "secure: true with sameSite 'none': clients refuse the cookie otherwise",
  ),
  // What a name promises clients hold it to (RFC 6265bis section 4.1.3), in whichever case it is written.
  v.check(
    ({ name, secure }) => !/^__secure-/i.test(name) || secure === true,
    "secure: true with a name that begins with '__Secure-': clients refuse the cookie otherwise",
  ),
  v.check(
    ({ domain, name, path, secure }) =>
      !/^__host-/i.test(name) || (secure === true && path === '/' && domain === undefined),
    "secure: true, path '/' and no domain with a name that begins with '__Host-': clients refuse the cookie otherwise",
  ),
)

/** {@link StickyOptions} with none left out. */
export type StickySettings = v.InferOutput<typeof stickyOptions>

/**
 * Sticky options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveSticky(options: StickyOptions, path = 'sticky'): StickySettings {
  return parse(stickyOptions, options, path)
}
