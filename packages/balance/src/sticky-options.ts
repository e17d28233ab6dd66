import { type Duration, duration, oneOf, parse, secret, that, v } from '@sluice/options'

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
  /**
   * The cookie's name; `__Host-` and `__Secure-` need what they promise. Upstreams that share host and path each need one of their own.
   * Default `'sluice_affinity'`; in `createProxy` `'sluice_'` and the upstream's name.
   */
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
const one = secret<string>(matches(/./s), 'a text, not empty')
const secrets = v.lazy((value) =>
  Array.isArray(value) ? v.pipe(v.array(one), v.minLength(1, 'at least one text')) : one,
) as unknown as v.GenericSchema<string | string[]>

const object = v.strictObject({
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
})

/** What `secure` has to be beside other options. It is told at `secure`: of the whole an error would show the secret. */
function promise(
  kept: (settings: v.InferOutput<typeof object>) => boolean,
  takes: string,
): v.RawCheckAction<v.InferOutput<typeof object>> {
  return v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || kept(dataset.value)) return
    const { value } = dataset
    const at = { type: 'object', origin: 'value', input: value, key: 'secure', value: value.secure } as const
    addIssue({ message: takes, input: value.secure, path: [at as never] })
  })
}

const settings = v.pipe(
  object,
  promise(
    ({ sameSite, secure }) => sameSite !== 'none' || secure === true,
    "true with sameSite 'none': clients refuse the cookie otherwise",
  ),
  // What a name promises clients hold it to (RFC 6265bis section 4.1.3), in whichever case it is written.
  promise(
    ({ name, secure }) => !/^__secure-/i.test(name) || secure === true,
    "true with a name that begins with '__Secure-': clients refuse the cookie otherwise",
  ),
  promise(
    ({ domain, name, path, secure }) =>
      !/^__host-/i.test(name) || (secure === true && path === '/' && domain === undefined),
    "true, beside path '/' and no domain, with a name that begins with '__Host-': clients refuse the cookie otherwise",
  ),
)
/** The secret alone, say: it is no options, and isn't shown. */
const none = secret<StickyOptions>(() => false, `{ ${Object.keys(object.entries).join(', ')} }`)

/** Validates {@link StickyOptions} and fills in the defaults. */
export const stickyOptions = v.lazy((value) =>
  typeof value === 'object' && value !== null ? settings : none,
) as unknown as v.GenericSchema<StickyOptions, v.InferOutput<typeof settings>>

/** {@link StickyOptions} with none left out. */
export type StickySettings = v.InferOutput<typeof stickyOptions>

/**
 * Sticky options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveSticky(options: StickyOptions, path = 'sticky'): StickySettings {
  return parse(stickyOptions, options, path)
}
