/** What becomes of the attributes of cookies. What is left out stays as the target sent it. */
export interface CookieRules {
  /**
   * `false` takes `Domain` away, so that the cookie is for the client's host alone; a name takes its place; a map goes by the
   * name that stands there, `'*'` for all others. A cookie without `Domain`, or with an empty one, gets none.
   */
  readonly domain?: false | string | Readonly<Record<string, string | false>>
  /**
   * A path in place of that of `Path`, or a map: of the keys the longest that holds the path, at the border of a segment, is
   * replaced and the rest stays; `'*'` takes the whole of any other. Paths are as seen below the mount: its prefix is put
   * before them. A cookie without `Path` gets none.
   */
  readonly path?: string | Readonly<Record<string, string>>
  /** Whether it goes over TLS alone. `'auto'`: as the client has come. */
  readonly secure?: boolean | 'auto'
  /** Whether scripts are kept from it. */
  readonly httpOnly?: boolean
  /** Whether it goes with requests that come from other sites; `'none'` implies `Secure`. `false` takes the attribute away. */
  readonly sameSite?: 'strict' | 'lax' | 'none' | false
  /** Whether each top-level site has its own (CHIPS); `true` implies `Secure`. */
  readonly partitioned?: boolean
}

/** How the client has come. */
export interface CookieClient {
  /** It speaks TLS. */
  readonly secure: boolean
  /** The path below which it finds the target, without a slash at its end, or `''`. */
  readonly prefix: string
}

/**
 * A `Set-Cookie` value (RFC 6265 section 4.1) with other attributes. Name, value, and what no rule touches stay byte for byte, in
 * order and case. Of an attribute that stands there twice the last counts, as in browsers.
 *
 * A cookie that a browser would refuse isn't made: `Secure` stays where the name's prefix (`__Secure-`, `__Host-`, `__Http-`),
 * `SameSite=None` or `Partitioned` wants it, and a `__Host-` cookie keeps its `Path=/` and gets no `Domain`.
 */
export function rewriteSetCookie(value: string, rules: CookieRules, client: CookieClient): string {
  const parts = value.split(';')
  const prefix = prefixOf(parts[0] as string)
  const { domain, path, sameSite } = rules
  if (prefix !== 'host') {
    if (domain !== undefined) {
      const to = mappedDomain(lastValue(parts, 'domain'), domain)
      if (to === false) remove(parts, 'domain')
      else if (to !== undefined) replaceLast(parts, 'domain', to)
    }
    if (path !== undefined) {
      const to = mappedPath(lastValue(parts, 'path'), path, client.prefix)
      if (to !== undefined) replaceLast(parts, 'path', to)
    }
  }
  if (sameSite === false) remove(parts, 'samesite')
  else if (sameSite !== undefined) {
    const said = lastValue(parts, 'samesite')
    if (said === undefined) parts.push(` SameSite=${written[sameSite]}`)
    else if (said.toLowerCase() !== sameSite) replaceLast(parts, 'samesite', written[sameSite])
  }
  flag(
    parts,
    'HttpOnly',
    rules.httpOnly === false && promisesHttp(parts[0] as string) ? undefined : rules.httpOnly,
  )
  flag(parts, 'Partitioned', rules.partitioned)
  flag(parts, 'Secure', secureOf(parts, rules, prefix, client))
  return parts.join(';')
}

const written = { strict: 'Strict', lax: 'Lax', none: 'None' } as const

type Prefix = 'host' | 'secure' | undefined

/** What the name promises of the attributes (draft-ietf-httpbis-rfc6265bis section 4.1.3). Browsers ignore case there. */
function prefixOf(pair: string): Prefix {
  const start = pair.trimStart().slice(0, 9).toLowerCase()
  if (start.startsWith('__host-')) return 'host'
  return start.startsWith('__http-') || start.startsWith('__secure-') ? 'secure' : undefined
}

/** `__Http-` and `__Host-Http-` promise that no script has set the cookie. */
function promisesHttp(pair: string): boolean {
  return /^\s*__(?:host-)?http-/i.test(pair)
}

/** Whether to add `Secure` or to take it away; `undefined` to leave it. */
function secureOf(
  parts: readonly string[],
  { secure, sameSite, partitioned }: CookieRules,
  prefix: Prefix,
  client: CookieClient,
): boolean | undefined {
  if (sameSite === 'none' || partitioned === true) return true
  const wanted = secure === 'auto' ? client.secure : secure
  if (wanted !== false) return wanted
  const needed =
    prefix !== undefined ||
    lastIndex(parts, 'partitioned') !== -1 ||
    lastValue(parts, 'samesite')?.toLowerCase() === 'none'
  return needed ? undefined : false
}

function mappedDomain(
  said: string | undefined,
  rule: NonNullable<CookieRules['domain']> | false,
): string | false | undefined {
  if (said === undefined) return undefined
  // An empty one is none (RFC 6265 section 5.2.3): a name would hand the cookie of one host to all below a domain.
  if (said === '') return rule === false ? false : undefined
  if (typeof rule !== 'object') return rule
  const name = said.toLowerCase().replace(/^\./, '')
  for (const key of Object.keys(rule)) if (key.toLowerCase().replace(/^\./, '') === name) return rule[key]
  return rule['*']
}

function mappedPath(
  said: string | undefined,
  rule: NonNullable<CookieRules['path']>,
  mount: string,
): string | undefined {
  // What isn't a path is the directory of the request to a browser. A `;` in the mount's path would begin an attribute.
  if (said === undefined || !/^[!-:<-~]*$/.test(mount)) return undefined
  if (typeof rule === 'string') return joined(mount, rule)
  let best: string | undefined
  for (const key of Object.keys(rule)) {
    if (key !== '*' && holds(key, said) && (best === undefined || key.length > best.length)) best = key
  }
  if (best === undefined) return rule['*'] === undefined ? undefined : joined(mount, rule['*'])
  const rest = said.slice(best.endsWith('/') ? best.length - 1 : best.length)
  return joined(mount, joined(rule[best] as string, rest))
}

/** Whether `path` is `base` or below it. */
function holds(base: string, path: string): boolean {
  if (!path.startsWith(base)) return false
  return path.length === base.length || base.endsWith('/') || path.charCodeAt(base.length) === 47
}

/** Two paths, with one slash at the seam, and `/` for nothing. */
function joined(base: string, rest: string): string {
  if (rest === '' || rest === '/') return base === '' ? '/' : base
  return (base.endsWith('/') ? base.slice(0, -1) : base) + rest
}

/** The name of an attribute, in lower case. */
function nameOf(part: string): string {
  const equals = part.indexOf('=')
  return (equals === -1 ? part : part.slice(0, equals)).trim().toLowerCase()
}

function lastIndex(parts: readonly string[], name: string): number {
  for (let i = parts.length - 1; i > 0; i--) if (nameOf(parts[i] as string) === name) return i
  return -1
}

/** The value that counts; `''` for an attribute without one. */
function lastValue(parts: readonly string[], name: string): string | undefined {
  const part = parts[lastIndex(parts, name)]
  if (part === undefined) return undefined
  const equals = part.indexOf('=')
  return equals === -1 ? '' : part.slice(equals + 1).trim()
}

function replaceLast(parts: string[], name: string, value: string): void {
  const at = lastIndex(parts, name)
  const part = parts[at] as string
  const equals = part.indexOf('=')
  if (equals === -1) parts[at] = `${part.trimEnd()}=${value}`
  else if (part.slice(equals + 1).trim() !== value) parts[at] = `${part.slice(0, equals + 1)}${value}`
}

function remove(parts: string[], name: string): void {
  for (let i = parts.length - 1; i > 0; i--) if (nameOf(parts[i] as string) === name) parts.splice(i, 1)
}

function flag(parts: string[], name: string, on: boolean | undefined): void {
  if (on === undefined) return
  const lower = name.toLowerCase()
  if (!on) remove(parts, lower)
  else if (lastIndex(parts, lower) === -1) parts.push(` ${name}`)
}
