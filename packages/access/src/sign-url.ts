import { type Duration, fault, secret as hidden, parse, parseDuration, quote, that, v } from '@sluice/options'
import { parameterSchema, secretsSchema } from './signed-url-options.js'
import { urlSignature } from './url-signature.js'

/** How {@link signUrl} signs. */
export interface SignUrlOptions {
  /** As `signedUrl` has it; of several the first signs. */
  secret: string | readonly string[]
  /** How long the URL is good, or until when. Required: a URL gets around. */
  expires: Duration | Date
  /** The method that it is good for; `GET` goes for HEAD too. Default 'GET'. */
  method?: string
  /** The parameters' names, as `signedUrl` has them. Default 'expires' and 'signature'. */
  names?: { readonly expires?: string; readonly signature?: string }
  /** The clock, in ms since 1970. Default `Date.now`. */
  now?: () => number
}

const object = v.strictObject({
  secret: secretsSchema,
  expires: v.any() as v.GenericSchema<Duration | Date>,
  method: v.optional(
    that<string>(
      (value) => typeof value === 'string' && /^[A-Z][A-Z-]*$/.test(value),
      'a method, in capitals',
    ),
    'GET',
  ),
  names: v.optional(
    v.strictObject({
      expires: v.optional(parameterSchema, 'expires'),
      signature: v.optional(parameterSchema, 'signature'),
    }),
    {},
  ),
  now: v.optional(
    that<() => number>((value) => typeof value === 'function', 'a function that gives ms since 1970'),
    () => Date.now,
  ),
})

/** The secret alone, say: it is no options, and isn't shown. */
const none = hidden<SignUrlOptions>(() => false, `{ ${Object.keys(object.entries).join(', ')} }`)

const settings = v.lazy((value) =>
  typeof value === 'object' && value !== null ? object : none,
) as unknown as v.GenericSchema<SignUrlOptions, v.InferOutput<typeof object>>

/**
 * Signs a URL, to be handed out: until then `signedUrl` lets it pass, byte for byte, and no other. Host and scheme aren't signed: the same path on
 * another host passes too, where that knows the secret.
 * @param url absolute, or from its path on. It comes back as browsers write it, with the two parameters at its end
 * @throws TypeError for a wrong option, for what is no URL, and for one that has such a parameter
 */
export function signUrl(url: string | URL, options: SignUrlOptions): string {
  const { secret, method, names, now, expires } = parse(settings, options, 'signUrl')
  const until = Math.floor(endOf(expires, now()) / 1_000)
  const [first] = [secret].flat() as [string]
  const parsed = parsedUrl(url)
  for (const name of [names.expires, names.signature])
    if (parsed.searchParams.has(name))
      throw new TypeError(
        fault('url', `a URL with the parameter ${name}`, 'one without it, or other names in names'),
      )
  const bare = `${parsed.pathname}${parsed.search}`
  const signed = `${bare}${parsed.search === '' ? '?' : '&'}${names.expires}=${until}`
  const signature = urlSignature(first, method, signed).toString('latin1')
  const origin = isPath(url) ? '' : parsed.origin
  return `${origin}${signed}&${names.signature}=${signature}${parsed.hash}`
}

/** Where a path alone is said to be, to be read. */
const site = 'http://localhost'

function isPath(url: unknown): url is string {
  return typeof url === 'string' && /^\/(?!\/)/.test(url)
}

function parsedUrl(url: unknown): URL {
  // There may be a password in it.
  const got = String(url).includes('@') ? 'a text' : quote(url)
  const wrong = (): TypeError =>
    new TypeError(fault('url', got, "a URL such as 'https://site.example/file?a=b', or '/file?a=b'"))
  try {
    const parsed = isPath(url) ? new URL(url, site) : new URL(url as string)
    // A backslash is a slash to browsers, and `/\\other.example/` is on another site.
    if (isPath(url) && parsed.origin !== site) throw wrong()
    if (!/^https?:$/.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '') throw wrong()
    return parsed
  } catch {
    throw wrong()
  }
}

function endOf(expires: unknown, now: number): number {
  const end =
    expires instanceof Date ? expires.getTime() : now + parseDuration(expires as Duration, 'signUrl.expires')
  if (!(end > now))
    throw new TypeError(fault('signUrl.expires', quote(expires), 'a time that is not over, and not 0'))
  return end
}
