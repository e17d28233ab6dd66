import type { Duplex } from 'node:stream'
import type { Endpoint, ProxyHeader } from './header.js'

const header = Symbol('the header that a connection began with')

/** A property, and not a table beside: what `node:http2` gives for a socket is a proxy that passes properties on. */
type Headed = Duplex & {
  [header]?: ProxyHeader
  /** Node keeps here the connection that one of TLS runs on. */
  readonly _parent?: Headed | null
  /**
   * Node keeps here what it has once asked the system for. Properties of one's own over those of the prototype say the same, and
   * serve where these say nothing; they cost a fifth of what a connection costs.
   */
  _peername?: Name
  _sockname?: Name
  readonly remoteAddress?: string
  readonly localPort?: number
}

/**
 * The header that a connection began with: that of a socket, plain or of TLS, of a request of HTTP/1 or HTTP/2
 * (`proxyHeader(req.socket)`). `undefined` for one that nobody has sent a header on.
 */
export function proxyHeader(socket: Duplex): ProxyHeader | undefined {
  const { [header]: own, _parent } = socket as Headed
  return own ?? (_parent as Headed | undefined)?.[header]
}

/** From here on the socket says who its client is by `found`, and no more who has connected. */
export function setProxyHeader(socket: Duplex, found: ProxyHeader): void {
  const headed = socket as Headed
  headed[header] = found
  // The ends of the connection itself count: the sender speaks for itself, or doesn't know (section 2.2).
  if (found.family === 'unspec') return
  const remote = nameOf(found, found.source)
  const local = nameOf(found, found.destination)
  headed._peername = remote
  headed._sockname = local
  if (headed.remoteAddress === remote.address && headed.localPort === local.port) return
  for (const [end, name] of Object.entries({ remote, local }))
    for (const [key, suffix] of suffixes)
      Object.defineProperty(socket, `${end}${suffix}`, { value: name[key], configurable: true })
}

/** What Node keeps in `_peername` and `_sockname`. */
interface Name {
  readonly address?: string
  readonly port?: number
  readonly family?: string
}

const suffixes = [
  ['address', 'Address'],
  ['port', 'Port'],
  ['family', 'Family'],
] as const

function nameOf({ family }: ProxyHeader, end: Endpoint | undefined): Name {
  // One on a Unix socket has no address; that of the proxy, which others trust, must not take its place.
  if (family === 'unix' || end === undefined) return {}
  return { ...end, family: family === 'inet' ? 'IPv4' : 'IPv6' }
}

/** Lets a socket of TLS say what the connection says that it runs on. */
export function showClient(secure: Duplex): void {
  const { _parent } = secure as Headed
  // A Node that keeps it elsewhere would show everybody as the proxy, which is trusted: better nobody is served.
  if (_parent === undefined || _parent === null) secure.destroy()
  else if (_parent[header] !== undefined) setProxyHeader(secure, _parent[header])
}
