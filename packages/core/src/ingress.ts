import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import {
  get,
  type HeaderList,
  isAuthority,
  judgeFraming,
  parseRequestTarget,
  set,
  withoutHopByHop,
} from '@sluice/headers'
import type { BodyInit } from './body.js'
import type { Context, Outbound } from './context.js'
import { ProxyError } from './proxy-error.js'
import { RequestBody } from './request-body.js'

/** What a request is, once it is judged. */
export interface Ingress {
  readonly out: Outbound
  readonly authority: string
}

type Inbound = IncomingMessage | Http2ServerRequest

/**
 * Reads a request once, before any layer: judges its framing, removes the fields of this hop, splits the request-target.
 * This can't be switched off: what two parsers could read in two ways must not pass on any mount.
 * @throws ProxyError http_request_error, body_consumed
 */
export function ingress(req: Inbound): Ingress {
  const raw = req.rawHeaders
  const h2 = 'stream' in req
  if (!h2 && req.httpVersionMajor !== 1) refuse(`HTTP/${req.httpVersion} on an HTTP/1 connection`)
  const method = req.method as string
  const httpVersion = h2 ? '2.0' : req.httpVersionMinor === 0 ? '1.0' : '1.1'
  const endStream = h2 && (req as Http2ServerRequest).stream.endAfterHeaders
  const framing = judgeFraming(raw, { httpVersion, method, endStream })
  if (!framing.ok) refuse(framing.reason)

  const headers = withoutHopByHop(raw, h2 ? { joinCookies: true } : undefined)
  const target = parseRequestTarget(req.url as string)
  // RFC 9112 section 3.2: these two forms are for one method each.
  if (target.form === 'asterisk' && method !== 'OPTIONS') refuse(`${method} with the request-target *`)
  if (target.form === 'authority' && method !== 'CONNECT')
    refuse(`${method} with a request-target that is no path`)
  let host = get(headers, 'host')
  if (h2) {
    // RFC 9113 section 8.3.1: :authority takes the place of Host, and must not differ from it.
    const authority = (req as Http2ServerRequest).authority
    if (authority && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
      refuse(':authority and host differ')
    }
    host = authority ?? host
  }
  // RFC 9112 section 3.2. Node looks too, but not at upgrades, nor where an app has told it not to.
  if (host === undefined && httpVersion === '1.1') refuse('no Host field')
  if (host !== undefined && !isAuthority(host))
    refuse(`the Host field is not a host: ${JSON.stringify(host)}`)
  // RFC 9112 section 3.2.2: the authority of an absolute target replaces what Host says.
  const authority = target.authority ?? host ?? ''
  if (target.authority !== undefined) {
    if (!isAuthority(target.authority)) refuse('the authority of the request-target is not a host')
    set(headers, 'Host', target.authority)
  }

  const body = framing.body === 'none' ? null : inboundBody(req, framing.length, headers)
  return { out: { method, path: target.path, headers, body }, authority }
}

function refuse(message: string): never {
  throw new ProxyError('http_request_error', { message })
}

/** The request's body, or what the host app kept of it if something before the proxy has read it. */
function inboundBody(req: Inbound, length: number | undefined, headers: HeaderList): BodyInit {
  if (length === 0) return null
  if (!req.readableDidRead && !req.readableEnded && !req.destroyed) return new RequestBody(req, length)
  return keptBody(req, length, headers)
}

/** Looks again at a body that a middleware of others may have read since. */
export function reread({ req, out }: Context): void {
  const { body } = out
  if (!(body instanceof RequestBody) || body.taken || !req.readableDidRead) return
  out.body = keptBody(req, body.length, out.headers)
}

function keptBody(req: Inbound, length: number | undefined, headers: HeaderList): Uint8Array {
  const kept = (req as { rawBody?: unknown }).rawBody
  if (!(kept instanceof Uint8Array)) throw new ProxyError('body_consumed', { message: consumed })
  // Body parsers hand over decoded bytes, so a coded body can be sent on only if these are the coded ones.
  if (kept.length !== length && get(headers, 'content-encoding') !== undefined) {
    throw new ProxyError('body_consumed', { message: decoded })
  }
  // Framing is made of the bytes that are sent (CVE-2026-29057 came of doing it otherwise).
  set(headers, 'Content-Length', String(kept.length))
  return kept
}

const consumed =
  'the request body was read before the proxy saw it, by a body parser for instance: mount the proxy before it, ' +
  'or keep the bytes in req.rawBody: express.json({ verify(req, res, bytes) { req.rawBody = bytes } })'

const decoded =
  'req.rawBody holds the decoded bytes of a body with Content-Encoding: mount the proxy before the body parser'
