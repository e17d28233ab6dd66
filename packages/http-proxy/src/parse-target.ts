import type { ParsedTarget, ProxyTarget, TargetParts } from './server-options.js'

const texts = new Map<string, ParsedTarget>()
/** Those that were parsed here need no second look. */
const parsedHere = new WeakSet<object>()
/** Targets may be made of what clients send. */
const textsAtMost = 1_000

/**
 * The parts of a target; of a text they are kept. `undefined` if it is none.
 */
export function parseTarget(target: ProxyTarget): ParsedTarget | undefined {
  if (typeof target === 'string') {
    const known = texts.get(target)
    if (known !== undefined) return known
    const parsed = target.startsWith('unix:')
      ? fromParts({ socketPath: target.slice('unix:'.length) })
      : fromUrl(target)
    if (parsed === undefined) return undefined
    if (texts.size >= textsAtMost) texts.delete(texts.keys().next().value as string)
    texts.set(target, parsed)
    parsedHere.add(parsed)
    return parsed
  }
  if (parsedHere.has(target)) return target as ParsedTarget
  if (target instanceof URL) return fromUrl(target.href)
  return typeof target === 'object' && target !== null ? fromParts(target) : undefined
}

function fromUrl(text: string): ParsedTarget | undefined {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return undefined
  }
  const { protocol, host, hostname, port, pathname, search, href } = url
  if (!/^(https?|wss?):$/.test(protocol)) return undefined
  return {
    protocol,
    host,
    hostname,
    port: port === '' ? null : port,
    pathname,
    search,
    path: pathname + search,
    href,
  }
}

function fromParts(parts: TargetParts): ParsedTarget | undefined {
  const protocol = `${(parts.protocol ?? 'http:').replace(/:$/, '')}:`
  if (!/^(https?|wss?):$/.test(protocol)) return undefined
  const name = parts.hostname ?? parts.host
  // A port alone is one of this machine; nothing at all is a mistake.
  const some = parts.socketPath || name || parts.port
  if (!some) return undefined
  const path = parts.path ?? parts.pathname ?? ''
  const given = String(name || 'localhost')
  const bare = given.includes(':') && !given.startsWith('[') && /:.*:/.test(given) ? `[${given}]` : given
  const port = (parts.port ?? null) === null || parts.port === '' ? '' : `:${parts.port}`
  const authority = port === '' ? bare : bare.replace(/:\d+$/, '') + port
  let url: URL
  try {
    url = new URL(`${protocol}//${authority}`)
  } catch {
    return undefined
  }
  const query = path.indexOf('?')
  const pathname = query === -1 ? path : path.slice(0, query)
  const search = query === -1 ? '' : path.slice(query)
  const { host, hostname } = url
  const own = url.port === '' ? null : url.port
  return { ...parts, protocol, host, hostname, port: own, pathname, search, path, href: url.origin + path }
}

/** Whether its connections are encrypted. */
export function isSecure({ protocol }: ParsedTarget): boolean {
  return protocol === 'https:' || protocol === 'wss:'
}
