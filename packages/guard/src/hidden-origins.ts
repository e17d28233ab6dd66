import { isIPv6 } from 'node:net'
import {
  bareNames,
  colonIn,
  colons,
  longestAddress,
  plainName,
  schemeBefore,
  uncoded,
  urlStart,
  urlStartWithoutUser,
} from './url-forms.js'

/** Where clients find what is hidden behind it. */
export interface PublicPlace {
  readonly scheme: string
  /** Host and port that the client asked for, or `''`: then URLs become paths. */
  readonly authority: string
  /** The path below which the client finds the targets, without a slash at its end, or `''`. */
  readonly prefix: string
}

/** What is hidden of one host. */
interface Hidden {
  /** Ports of its origins. */
  readonly ports: ReadonlySet<string>
  /** Base paths of its origins, the longest first; none for `/`. */
  readonly bases: readonly string[]
}

/** A URL that has to go. */
interface Found {
  readonly start: number
  readonly end: number
  /** What takes its place. */
  readonly text: string
  /** More of the text might change what it is. */
  readonly open: boolean
}

/**
 * Origins whose names clients must not see, and what puts the public one in their place: in URLs whatever their scheme, port or
 * escape, and in field values also where a name stands by itself.
 */
export class HiddenOrigins {
  /** Characters that a URL's name of one of them may take: no more has ever to be held back. */
  readonly longest: number
  readonly #hosts: ReadonlyMap<string, Hidden>
  readonly #longestBase: number

  /** @param origins URLs of targets. What is no URL is left out; a Unix socket is `localhost`, as its target is told. */
  constructor(origins: Iterable<string>) {
    const hosts = new Map<string, { ports: Set<string>; bases: string[] }>()
    // Any origin may be called by an address, which has many spellings.
    let longest = longestAddress
    let longestBase = 0
    for (const origin of origins) {
      const read = readOrigin(origin)
      if (read === undefined) continue
      let hidden = hosts.get(read.host)
      if (hidden === undefined) {
        hidden = { ports: new Set(), bases: [] }
        hosts.set(read.host, hidden)
      }
      hidden.ports.add(read.port)
      if (read.base !== '' && !hidden.bases.includes(read.base)) hidden.bases.push(read.base)
      longest = Math.max(longest, read.host.length)
      longestBase = Math.max(longestBase, read.base.length)
    }
    for (const { bases } of hosts.values()) bases.sort((a, b) => b.length - a.length)
    this.#hosts = hosts
    this.#longestBase = longestBase
    this.longest = longest
  }

  /** How many hosts there are. */
  get size(): number {
    return this.#hosts.size
  }

  /** Whether a name is that of a host, or of a domain that it stands in. */
  isWithin(domain: string): boolean {
    const name = domain.toLowerCase()
    if (this.#hosts.has(name)) return true
    for (const host of this.#hosts.keys()) if (host.endsWith(`.${name}`)) return true
    return false
  }

  /** Whether a host's name may begin so, or is so with the dot of the root behind it. */
  mayBegin(text: string): boolean {
    if (text.length > this.longest) return false
    const begin = text.toLowerCase().replace(/\.+$/, '')
    if (begin.startsWith('[') || begin.startsWith('%')) return true
    for (const host of this.#hosts.keys()) if (host.startsWith(begin)) return true
    return false
  }

  /** `text` with the public place in all URLs that name an origin; the same text if there are none. */
  urls(text: string, place: PublicPlace): string {
    return this.urlsUpTo(text, text.length, true, place).text
  }

  /**
   * The same of what begins before `limit`. Without `final` a URL at the end that more text may change is left, and tells from where on
   * `text` is still to be done.
   */
  urlsUpTo(
    text: string,
    limit: number,
    final: boolean,
    place: PublicPlace,
  ): { readonly text: string; readonly end: number; readonly changed: boolean } {
    let out = ''
    let done = 0
    const pattern = urlStart()
    pattern.lastIndex = 0
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      if (match.index >= limit) break
      const found =
        this.#found(text, match, place, done) ??
        (hasUser(match) ? this.#found(text, urlStartWithoutUser(text, match.index), place, done) : undefined)
      if (found === undefined) {
        // Behind what looked like a URL's start another may begin: `///host`.
        pattern.lastIndex = match.index + 1
        continue
      }
      if (found.open && !final) {
        limit = found.start
        break
      }
      out += text.slice(done, found.start) + found.text
      done = found.end
      pattern.lastIndex = done
    }
    const end = Math.max(limit, done)
    if (done === 0) return { text: text.slice(0, end), end, changed: false }
    return { text: out + text.slice(done, end), end, changed: true }
  }

  /** A field value with the public place in its URLs, and the public name in place of each name that stands by itself. */
  value(text: string, place: PublicPlace): string {
    const out = this.urls(text, place)
    // A name has a dot, or its port behind a colon, which may be escaped; most values have neither.
    if (!/[.:%&\\]/.test(out)) return out
    const own = hostOf(place.authority)
    return out.replace(bareNames, (token) => this.#withoutName(token, place, own))
  }

  #found(text: string, match: RegExpExecArray | null, place: PublicPlace, from: number): Found | undefined {
    if (match === null) return undefined
    const [whole, slash = '', name = '', colon, port] = match
    let host = uncoded(name.toLowerCase())
    const dots = host.endsWith('.') ? (/\.+$/.exec(host) as RegExpExecArray)[0].length : 0
    if (dots > 0) host = host.slice(0, -dots)
    if (host.startsWith('[')) host = hostOf(host)
    const hidden = this.#hosts.get(host)
    if (hidden === undefined) return undefined
    let end = match.index + whole.length
    if (host === hostOf(place.authority)) {
      // The public place has the same name: only another port tells of somebody else.
      const said = port ?? defaultPort(schemeBefore(text, match.index, from)?.scheme ?? place.scheme)
      if (!hidden.ports.has(said) || said === (portOf(place.authority) ?? defaultPort(place.scheme)))
        return undefined
    }
    // A name that ends in a dot is the same name before a port or a path, else a full stop.
    if (dots > 0 && colon === undefined && !/[/\\%&?#]/.test(text.charAt(end))) end -= dots
    const before = schemeBefore(text, match.index, from)
    const start = before?.start ?? match.index
    const base = hidden.bases.find((each) => isBelow(text, end, encoded(each, slash)))
    const open = text.length - end <= this.#longestBase * slash.length && hidden.bases.length > 0
    if (base !== undefined) end += encoded(base, slash).length
    const path = base === undefined && hidden.bases.length > 0 ? '' : encoded(place.prefix, slash)
    let scheme = ''
    if (before !== undefined && place.authority !== '') {
      const secure = place.scheme === 'https' ? 's' : ''
      scheme = `${before.scheme.startsWith('ws') ? 'ws' : 'http'}${secure}${before.colon}`
    }
    let authority = ''
    if (place.authority !== '')
      authority = slash + slash + place.authority.replaceAll(':', before?.colon ?? colon ?? ':')
    // A path alone must be one: `""` would be the page itself.
    const rest = authority === '' && path === '' && !text.startsWith(slash, end) ? slash : path
    return { start, end, text: scheme + authority + rest, open }
  }

  #withoutName(token: string, { authority }: PublicPlace, own: string): string {
    const whole = plainName(token).toLowerCase()
    const shown = (): string => authority.replaceAll(':', colonIn(token)) || 'hidden'
    if (whole.startsWith('['))
      return this.#hosts.has(hostOf(whole)) && whole !== authority.toLowerCase() ? shown() : token
    if (whole.length <= longestAddress && this.#isAddress(whole, own)) return shown()
    // What else is in it, a session's id behind a name for instance, is left as it is.
    const parts = token.split(colons)
    const between = token.match(colons) ?? []
    let out = ''
    for (let i = 0; i < parts.length; i++) {
      let part = parts[i] as string
      const port = withoutDots(parts[i + 1] ?? '')
      if (this.#tells(withoutDots(part).toLowerCase(), port, authority, own)) {
        // The port that follows would tell of it as well.
        if (/^\d{1,5}$/.test(port)) part = parts[++i] as string
        out += shown() + part.slice(withoutDots(part).length)
      } else out += part
      out += between[i] ?? ''
    }
    return out
  }

  /** An address of IPv6 without brackets is all of a token, but for what ends a sentence. */
  #isAddress(whole: string, own: string): boolean {
    return [whole, whole.replace(/[.:]+$/, '')].some((each) => {
      const host = isIPv6(each) ? shortest(each) : ''
      return host !== own && this.#hosts.has(host)
    })
  }

  #tells(name: string, port: string, authority: string, own: string): boolean {
    const hidden = this.#hosts.get(name)
    if (hidden === undefined) return false
    // A name without a dot is a word like any other, unless its port follows.
    if (hidden.ports.has(port)) return `${name}:${port}` !== authority.toLowerCase()
    return name !== own && name.includes('.')
  }
}

/** No expression: one would begin anew at each of many dots. */
function withoutDots(text: string): string {
  let end = text.length
  while (text.charCodeAt(end - 1) === 46) end--
  return text.slice(0, end)
}

/** Whether there is userinfo between the slashes and the name. */
function hasUser([whole, slash = '', name = '', colon = '', port = '']: RegExpExecArray): boolean {
  return whole.length > 2 * slash.length + name.length + colon.length + port.length
}

function readOrigin(origin: string): { host: string; port: string; base: string } | undefined {
  if (origin.startsWith('unix:')) return { host: 'localhost', port: '80', base: '' }
  try {
    const { hostname, port, protocol, pathname } = new URL(origin)
    if (hostname === '') return undefined
    return {
      host: hostOf(hostname),
      port: port || defaultPort(protocol.slice(0, -1)),
      base: pathname.endsWith('/') ? pathname.slice(0, -1) : pathname,
    }
  } catch {
    return undefined
  }
}

/** The name in an authority, in lower case; an address in brackets without them. */
function hostOf(authority: string): string {
  if (!authority.startsWith('[')) return authority.replace(/:\d*$/, '').toLowerCase()
  return shortest(authority.slice(1, authority.indexOf(']')))
}

/** An address of IPv6 as `URL` writes it; one that stands for an address of IPv4 as that. */
function shortest(address: string): string {
  let host: string
  try {
    host = new URL(`http://[${address}]`).hostname.slice(1, -1)
  } catch {
    return address.toLowerCase()
  }
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(host)
  if (mapped === null) return host
  const [high, low] = [Number.parseInt(mapped[1] as string, 16), Number.parseInt(mapped[2] as string, 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

function portOf(authority: string): string | undefined {
  return /:(\d+)$/.exec(authority)?.[1]
}

function defaultPort(scheme: string): string {
  return scheme === 'https' || scheme === 'wss' ? '443' : '80'
}

/** A path in the way in which the slashes around it are written. */
function encoded(path: string, slash: string): string {
  return slash === '/' ? path : path.replaceAll('/', () => slash)
}

/** Whether `base` stands at `at`, and what follows isn't more of its last segment. */
function isBelow(text: string, at: number, base: string): boolean {
  return text.startsWith(base, at) && !/[\w.~-]/.test(text.charAt(at + base.length))
}
