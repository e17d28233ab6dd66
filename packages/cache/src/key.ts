import { getAll, type HeaderList, parseAuthority } from '@sluice/headers'
import { callerFields } from './caller-fields.js'
import { deviceClass } from './device-class.js'
import type { KeySettings } from './key-options.js'
import { keyQuery } from './key-query.js'

/** What of a request makes its key. */
export interface KeyRequest {
  readonly scheme: string
  readonly authority: string
  /** Path and query, as their bytes came. */
  readonly path: string
  readonly headers: HeaderList
  /** What else the target is told of where the request goes, and may answer by. It is part of the key, and of no URL. */
  readonly also?: string | undefined
  /** Who asks, as a `CacheRequest` has it. */
  readonly caller?: string | undefined
}

/** The key of a resource: GET and HEAD share it. */
export interface CacheKey {
  /** What the entry is stored under, where its response varies on nothing. */
  readonly primary: string
  /** The absolute URL, without the parameters that the key ignores: what purges by URL and prefix are held against. */
  readonly url: string
  readonly refused?: undefined
}

/** Why a request has no key. */
export interface RefusedKey {
  readonly refused: /** The host is none. */
    | 'key-authority'
    /** No path of an http URL: `*`, a fragment, a blank or a control character. */
    | 'key-path'
    /** Longer than `maxKey`. */
    | 'key-too-long'
}

const noAuthority: RefusedKey = Object.freeze({ refused: 'key-authority' })
const noPath: RefusedKey = Object.freeze({ refused: 'key-path' })
const tooLong: RefusedKey = Object.freeze({ refused: 'key-too-long' })

// What a target may read in two ways has no key; and the blank sets apart what follows the URL in a key, as the line end does a variant.
const noUrl = /[\0-\x20\x7f#]/
/** Hosts that are remembered: enough for the sites of one proxy, and a client that makes names up can't fill more. */
const originsAtMost = 1000

/**
 * Makes the keys of requests. `primary` is the absolute URL; behind a blank follow the values that the options add to it, escaped, so that
 * no value can pass for another field or another URL. Paths are compared by their bytes: no target need read two spellings alike. So are hosts,
 * though all spellings of one have the same URL, by which it is purged: the target is told the client's.
 * @throws TypeError from the key's function, if a `device` of one's own gives no string
 */
export function createKey(settings: KeySettings): (request: KeyRequest) => CacheKey | RefusedKey {
  const { headers: fields, cookies, device, maxKey, scope } = settings
  const edit = settings.query === undefined ? undefined : keyQuery(settings.query)
  const names = fields.map((name) => name.toLowerCase())
  const suffix = scope === undefined ? '' : ` s=${escaped(scope)}`
  const adds = suffix !== '' || names.length > 0 || cookies.length > 0 || device !== false
  const classOf = device === true ? deviceClass : device
  const originOf = createOrigin()

  return ({ also, caller, scheme, authority, path, headers }) => {
    const origin = originOf(scheme, authority)
    if (origin === undefined) return noAuthority
    if (noUrl.test(path)) return noPath
    let target = path
    if (path.charCodeAt(0) !== 47) {
      if (path !== '' && path.charCodeAt(0) !== 63) return noPath
      target = `/${path}`
    }
    if (edit !== undefined) {
      const start = target.indexOf('?')
      if (start !== -1) target = target.slice(0, start) + edit(target.slice(start))
    }
    const url = origin.url + target
    if (!adds && also === undefined && origin.spelt === '')
      return url.length > maxKey ? tooLong : { primary: url, url }

    let primary = url + origin.spelt + suffix
    if (also !== undefined) primary += ` a=${escaped(also)}`
    for (const name of names) {
      const came = getAll(headers, name)
      const isCaller = caller !== undefined && callerFields.has(name)
      primary += ` h:${name}${values(isCaller ? [caller, ...came] : came)}`
    }
    if (cookies.length > 0) {
      const came = getAll(headers, 'cookie')
      for (const name of cookies) primary += ` c:${name}${values(cookieValues(came, name))}`
    }
    if (classOf !== false) {
      const found: unknown = classOf(headers)
      if (typeof found !== 'string') throw new TypeError(`device gave ${typeof found}, takes a string`)
      primary += ` d=${escaped(found)}`
    }
    return primary.length > maxKey ? tooLong : { primary, url }
  }
}

/** The beginning of a URL. */
interface Origin {
  /** Scheme and host in lower case, without the scheme's own port. */
  readonly url: string
  /**
   * What a key has of an authority that was written otherwise (`SITE.example`, `site.example:80`): apps that redirect to the name that they
   * know would else answer a redirect to itself to all others.
   */
  readonly spelt: string
}

/** `undefined` for an authority that is none. */
function createOrigin(): (scheme: string, authority: string) => Origin | undefined {
  let lastScheme = ''
  let lastAuthority = ''
  let last: Origin | undefined
  const known = new Map<string, Origin>()
  return (scheme, authority) => {
    // Most requests name the same host as the one before.
    if (authority === lastAuthority && scheme === lastScheme) return last
    const asked = `${scheme}://${authority}`
    let origin = known.get(asked)
    if (origin === undefined) {
      origin = originOf(scheme.toLowerCase(), authority)
      if (origin === undefined) return undefined
      if (known.size >= originsAtMost) known.clear()
      known.set(asked, origin)
    }
    lastScheme = scheme
    lastAuthority = authority
    last = origin
    return origin
  }
}

function originOf(scheme: string, authority: string): Origin | undefined {
  if (scheme !== 'http' && scheme !== 'https') return undefined
  const parsed = parseAuthority(authority)
  if (parsed === undefined) return undefined
  const { host, port } = parsed
  const short = port === undefined || port === (scheme === 'http' ? 80 : 443) ? host : `${host}:${port}`
  return { url: `${scheme}://${short}`, spelt: short === authority ? '' : ` o=${escaped(authority)}` }
}

/** Nothing for a field that isn't there, which is another thing than an empty one. */
function values(found: readonly string[]): string {
  let text = ''
  for (const value of found) text += `=${escaped(value)}`
  return text
}

/** Of a cookie that came twice both: targets differ in which they take. */
function cookieValues(fields: readonly string[], name: string): string[] {
  const found: string[] = []
  for (const field of fields) {
    for (const pair of field.split(';')) {
      const equals = pair.indexOf('=')
      if (equals !== -1 && pair.slice(0, equals).trim() === name) found.push(pair.slice(equals + 1).trim())
    }
  }
  return found
}

/** A value that can't be taken for more than one. */
function escaped(value: string): string {
  return value.replace(
    /[%=\0-\x20\x7f]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}
