import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Handler } from './chain.js'
import { type InboundRequest, type InboundResponse, toListener, toUpgradeListener } from './mount.js'

interface Attachment {
  readonly path: string
  request(req: InboundRequest, res: InboundResponse): void
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** Any server that emits `request` and, on HTTP/1, `upgrade`. */
export type AttachableServer = Pick<Server, 'on' | 'off' | 'listenerCount' | 'listeners'>

/** What is attached to a server, and the two listeners that serve all of it. */
interface Attached {
  readonly entries: Attachment[]
  readonly onRequest: (req: IncomingMessage, res: ServerResponse) => void
  readonly onUpgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Gives the server's own listeners back. */
  restore(): void
}

type Listener = (...args: unknown[]) => void

const attachments = new WeakMap<object, Attached>()

/**
 * Serves requests and upgrades of a server, below `path` if given (it is stripped, as a mount of Express does). Several
 * may be attached to one server: the longest path that matches serves. What none matches is left to the server's other
 * listeners; where there are none it gets 404. Listeners that were there before hear of nothing else until it is detached,
 * since an app that knows no such path would answer first, with its own 404; those added later hear of all and decide alone.
 * @returns a function that detaches it
 */
export function attach(
  server: AttachableServer,
  handler: Handler,
  options: { path?: string } = {},
): () => void {
  const path = mountPath(options.path)
  const entry: Attachment = { path, request: toListener(handler), upgrade: toUpgradeListener(handler) }
  let attached = attachments.get(server)
  if (attached === undefined) {
    attached = listeners(server)
    attachments.set(server, attached)
    server.on('request', attached.onRequest)
    server.on('upgrade', attached.onUpgrade)
  }
  const { entries, onRequest, onUpgrade, restore } = attached
  entries.push(entry)
  entries.sort((a, b) => b.path.length - a.path.length)
  return () => {
    const at = entries.indexOf(entry)
    if (at === -1) return
    entries.splice(at, 1)
    if (entries.length > 0) return
    attachments.delete(server)
    server.off('request', onRequest)
    server.off('upgrade', onUpgrade)
    restore()
  }
}

function listeners(server: AttachableServer): Attached {
  const entries: Attachment[] = []
  const requests = taken(server, 'request')
  const upgrades = taken(server, 'upgrade')
  return {
    entries,
    restore() {
      for (const listener of requests) server.on('request', listener)
      for (const listener of upgrades) server.on('upgrade', listener)
    },
    onRequest(req, res) {
      const entry = match(entries, req)
      if (entry !== undefined) return entry.request(req, res)
      for (const listener of requests) listener.call(server, req, res)
      if (requests.length > 0 || server.listenerCount('request') > 1) return
      res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
      res.end('404 Not Found\n')
    },
    onUpgrade(req, socket, head) {
      const entry = match(entries, req)
      if (entry !== undefined) return entry.upgrade(req, socket, head)
      for (const listener of upgrades) listener.call(server, req, socket, head)
      if (upgrades.length > 0 || server.listenerCount('upgrade') > 1) return
      socket.on('error', () => {})
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    },
  }
}

/** The listeners that a server has for an event, which it has no more. */
function taken(server: AttachableServer, event: 'request' | 'upgrade'): Listener[] {
  const listeners = server.listeners(event) as Listener[]
  for (const listener of listeners) server.off(event, listener)
  return listeners
}

/** The entry whose path holds the request's, with that path stripped from `req.url` and kept in `req.baseUrl`. */
function match(entries: readonly Attachment[], req: IncomingMessage): Attachment | undefined {
  const url = req.url ?? '/'
  for (const entry of entries) {
    const { path } = entry
    if (path === '') return entry
    // RFC 9112 section 3.2.2: a server takes the absolute form too.
    const origin = url[0] === '/' ? '' : (/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i.exec(url)?.[0] ?? '')
    if (!url.startsWith(path, origin.length)) continue
    const rest = url.slice(origin.length + path.length)
    if (rest !== '' && rest[0] !== '/' && rest[0] !== '?') continue
    const mounted = req as IncomingMessage & { baseUrl?: string; originalUrl?: string }
    mounted.originalUrl ??= url
    mounted.baseUrl = (mounted.baseUrl ?? '') + path
    req.url = origin + (rest[0] === '/' ? rest : `/${rest}`)
    return entry
  }
  return undefined
}

/** `/x` for `/x` and `/x/`, nothing for `/`. */
function mountPath(path = ''): string {
  if (path === '' || path === '/') return ''
  if (typeof path !== 'string' || path[0] !== '/' || /[?#\s]/.test(path)) {
    throw new TypeError(
      `path: got ${JSON.stringify(path)}, takes a path that begins with '/', such as '/api'`,
    )
  }
  return path.endsWith('/') ? path.slice(0, -1) : path
}
