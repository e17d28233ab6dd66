import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import {
  type Framing,
  get,
  type HeaderList,
  isAuthority,
  isFieldName,
  judgeFraming,
  parseAuthority,
  parseRequestTarget,
  remove,
  set,
  withoutHopByHop,
} from '@sluice/headers'
import type { BodyInit } from './body.js'
import type { Context, Outbound } from './context.js'
import { ProxyError } from './proxy-error.js'
import { clientBody, RequestBody } from './request-body.js'
import { webSocketKey } from './websocket-handshake.js'

/** What a request is, once it is judged. */
export interface Ingress {
  readonly out: Outbound
  readonly authority: string
  /** What an extended CONNECT of HTTP/2 asks for (RFC 8441). */
  readonly protocol?: string
}

type Inbound = IncomingMessage | Http2ServerRequest

/**
 * Reads a request once, before any layer: judges its framing, removes the fields of this hop, splits the request-target.
 * This can't be switched off: what two parsers could read in two ways must not pass on any mount.
 * @param withBody false: whoever asks has the body from elsewhere, and `out` has none
 * @throws ProxyError http_request_error, whose `reason` names the rule, http_request_header_section_size, body_consumed
 */
export function ingress(req: Inbound, withBody = true): Ingress {
  const raw = req.rawHeaders
  const h2 = 'stream' in req
  if (!h2 && req.httpVersionMajor !== 1)
    refuse('version-unknown', `HTTP/${req.httpVersion} on an HTTP/1 connection`)
  if (!h2 && raw.length >= batch) refuseDropped(req, raw.length)
  const method = req.method as string
  const httpVersion = h2 ? '2.0' : req.httpVersionMinor === 0 ? '1.0' : '1.1'
  const endStream = h2 && (req as Http2ServerRequest).stream.endAfterHeaders
  const framing = judgeFraming(raw, { httpVersion, method, endStream })
  if (!framing.ok) refuse(framing.rule, framing.reason)

  const headers = withoutHopByHop(raw, h2 ? { joinCookies: true } : undefined)
  // RFC 9110 section 10.1.1: what an HTTP/1.0 client expects is ignored.
  if (httpVersion === '1.0') remove(headers, 'expect')
  if (method === 'CONNECT') return connectIngress(req, headers, framing)
  const url = req.url as string
  // Node hands over none without a path: an app has taken a prefix off.
  const target = parseRequestTarget(!h2 && (url === '' || url.startsWith('?')) ? `/${url}` : url, method)
  // RFC 9112 section 3.2: these two forms are for one method each.
  if (target.form === 'asterisk' && method !== 'OPTIONS')
    refuse('target-asterisk', `${method} with the request-target *`)
  if (target.form === 'authority') refuse('target-form', `${method} with a request-target that is no path`)
  // RFC 9113 section 8.3.1. A gateway may have taken TLS off, or put it on, so that either of the two may come.
  if (h2 && !/^https?$/i.test((req as Http2ServerRequest).scheme ?? 'http'))
    refuse('scheme-unknown', 'a :scheme that is neither http nor https')
  // RFC 9113 section 8.3.1: :path is a path. Where :scheme isn't http or https Node doesn't look, and :authority says another.
  if (h2 && target.form === 'absolute') refuse('target-form', 'a :path that is no path')
  const host = hostOf(req, headers)
  // RFC 9112 section 3.2. Node looks too, but not at upgrades, nor where an app has told it not to.
  if (host === undefined && httpVersion === '1.1') refuse('host-missing', 'no Host field')
  if (host !== undefined && !isAuthority(host))
    refuse('host-invalid', `the Host field is not a host: ${JSON.stringify(host)}`)
  // RFC 9112 section 3.2.2: the authority of an absolute target replaces what Host says.
  const authority = target.authority ?? host ?? ''
  if (target.authority !== undefined) {
    if (!isAuthority(target.authority))
      refuse('target-authority', 'the authority of the request-target is not a host')
    set(headers, 'Host', target.authority)
  }

  const body = framing.body === 'none' || !withBody ? null : inboundBody(req, framing.length, headers)
  return { out: { method, path: target.path, headers, body }, authority }
}

/** The Host field of HTTP/1, the :authority of HTTP/2. */
function hostOf(req: Inbound, headers: HeaderList): string | undefined {
  const host = get(headers, 'host')
  if (!('stream' in req)) return host
  // RFC 9113 section 8.3.1: :authority takes the place of Host, and must not differ from it.
  const { authority } = req
  if (authority && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    refuse('authority-differs', ':authority and host differ')
  }
  return authority ?? host
}

/**
 * A CONNECT: its target is host and port and no path (RFC 9110 section 9.3.6), and what follows it is the tunnel's. With a
 * protocol, on HTTP/2, it is what an upgrade is on HTTP/1.1, and takes that form (RFC 8441 section 4).
 */
function connectIngress(req: Inbound, headers: HeaderList, framing: Framing & { ok: true }): Ingress {
  const h2 = 'stream' in req
  const { body, length } = framing
  if (body === 'chunked' || (length ?? 0) > 0) refuse('connect-content', 'a CONNECT with content')
  const host = hostOf(req, headers)
  if (host === undefined && req.httpVersion === '1.1') refuse('host-missing', 'no Host field')
  const protocol = h2 ? (req.headers[':protocol'] as string | undefined)?.toLowerCase() : undefined
  if (protocol === undefined) {
    const target = h2 ? (host ?? '') : (req.url as string)
    // RFC 9110 section 9.3.6: there is no default port.
    if (!((parseAuthority(target)?.port ?? 0) > 0))
      refuse('connect-target', 'the target of a CONNECT is not host and port')
    set(headers, 'Host', target)
    return { out: { method: 'CONNECT', path: target, headers, body: null }, authority: target }
  }
  if (!isFieldName(protocol)) refuse('protocol-invalid', 'the :protocol is no name')
  // A tunnel of h2c would carry requests past every rule of the proxy.
  if (protocol === 'h2c')
    throw new ProxyError('request_unsupported', { reason: 'h2c', message: 'h2c in HTTP/2' })
  const { form, path } = parseRequestTarget(req.url as string)
  if (form !== 'origin') refuse('target-form', 'an extended CONNECT whose :path is no path')
  if (host === undefined || !isAuthority(host)) refuse('host-invalid', 'the :authority is not a host')
  if (protocol === 'websocket') {
    remove(headers, 'sec-websocket-accept')
    set(headers, 'Sec-WebSocket-Key', webSocketKey())
  }
  return { out: { method: 'GET', path, headers, body: null }, authority: host, protocol }
}

function refuse(reason: string, message: string): never {
  throw new ProxyError('http_request_error', { reason, message })
}

/** Values of a head that Node's parser hands over at once: 32 fields. */
const batch = 64

/**
 * Of a head with more fields than its server keeps Node drops those behind them, batch by batch and without a word, though it has framed the body
 * by them: a Host or a length that nobody has judged may be among them. What is there then is at least as much as it keeps.
 */
function refuseDropped(req: Inbound, values: number): void {
  const { server } = req.socket as { server?: { maxHeadersCount?: number | null } }
  const most = server?.maxHeadersCount ?? 1000
  if (most <= 0 || values < most * 2) return
  throw new ProxyError('http_request_header_section_size', {
    reason: 'header-dropped',
    message: `${most} header fields or more`,
    headers: ['connection', 'close'],
  })
}

/** The request's body, or what the host app kept of it if something before the proxy has read it. */
function inboundBody(req: Inbound, length: number | undefined, headers: HeaderList): BodyInit {
  if (length === 0) return null
  if (!req.readableDidRead && !req.readableEnded && !req.destroyed) return new RequestBody(req, length)
  return keptBody(req, length, headers)
}

/** Looks again at a body that a middleware of others may have read since. */
export function reread({ req, out }: Context): void {
  const body = clientBody(out.body)
  if (body === undefined || body.taken || !req.readableDidRead) return
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
