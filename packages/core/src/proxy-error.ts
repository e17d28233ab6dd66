import { inspect } from 'node:util'
import type { HeaderList } from '@sluice/headers'

/** Whose fault an error is: decides whether a target's health suffers for it. */
export type ErrorSource = 'client' | 'upstream' | 'proxy'

/** How far the exchange had come. */
export type ErrorPhase = 'select' | 'connect' | 'request' | 'headers' | 'body' | 'upgrade'

interface ErrorKind {
  readonly status: number
  readonly source: ErrorSource
  readonly phase: ErrorPhase
  /** The target processed nothing, so any method may be sent again, to another one. */
  readonly retryable: boolean
  readonly message: string
}

function kind(
  status: number,
  source: ErrorSource,
  phase: ErrorPhase,
  message: string,
  retryable = false,
): ErrorKind {
  return { status, source, phase, retryable, message }
}

/**
 * Every error that Sluice makes: the closed list of codes with status, side, phase and whether any request may be
 * retried. Names are the error types of RFC 9209 section 2.3 where it has one.
 */
export const proxyErrors = {
  destination_unavailable: kind(503, 'proxy', 'select', 'no target is available'),
  request_unsupported: kind(501, 'proxy', 'select', 'no transport can carry this request'),
  proxy_closing: kind(503, 'proxy', 'select', 'the proxy is closing'),
  proxy_internal_error: kind(500, 'proxy', 'select', 'a handler failed'),
  proxy_loop_detected: kind(508, 'proxy', 'request', 'the request has passed this proxy before'),
  body_consumed: kind(500, 'proxy', 'request', 'the request body was read before the proxy saw it'),
  total_timeout: kind(504, 'proxy', 'headers', 'the exchange took longer than its total timeout'),
  proxy_overloaded: kind(503, 'proxy', 'select', 'the proxy has more to do than it can'),
  proxy_maintenance: kind(503, 'proxy', 'select', 'the site is closed for maintenance'),

  http_request_error: kind(400, 'client', 'request', 'the request is malformed'),
  http_request_unauthorized: kind(401, 'client', 'request', 'the request has no valid credentials'),
  http_request_denied: kind(403, 'client', 'request', 'the client may not make this request'),
  http_request_method_denied: kind(405, 'client', 'request', 'the method is not allowed'),
  http_request_body_size: kind(413, 'client', 'request', 'the body of the request is too large'),
  http_request_uri_length: kind(414, 'client', 'request', 'the request-target is too long'),
  http_request_misdirected: kind(421, 'client', 'request', 'the host is not served here'),
  http_request_upgrade_version: kind(
    426,
    'client',
    'upgrade',
    'the version of the protocol is none that there is',
  ),
  http_request_rate: kind(429, 'client', 'request', 'the client has made too many requests'),
  http_request_header_section_size: kind(431, 'client', 'request', 'the head of the request is too large'),
  request_timeout: kind(408, 'client', 'request', 'the client stopped sending its body'),
  client_left: kind(499, 'client', 'request', 'the client left'),

  dns_error: kind(502, 'upstream', 'connect', 'the name of the target does not resolve', true),
  destination_ip_prohibited: kind(502, 'proxy', 'connect', 'the target is at an address that is not allowed'),
  destination_ip_unroutable: kind(502, 'upstream', 'connect', 'there is no route to the target', true),
  connection_refused: kind(502, 'upstream', 'connect', 'the target refused the connection', true),
  connection_timeout: kind(
    504,
    'upstream',
    'connect',
    'the target did not accept the connection in time',
    true,
  ),
  tls_protocol_error: kind(502, 'upstream', 'connect', 'the TLS handshake with the target failed', true),
  tls_certificate_error: kind(
    502,
    'upstream',
    'connect',
    'the certificate of the target was not accepted',
    true,
  ),

  connection_write_timeout: kind(504, 'upstream', 'request', 'the target stopped reading the request'),
  http_request_refused: kind(502, 'upstream', 'request', 'the target did not process the request', true),
  connection_terminated: kind(
    502,
    'upstream',
    'headers',
    'the target closed the connection before it answered',
  ),
  http_response_timeout: kind(504, 'upstream', 'headers', 'the target did not answer in time'),
  http_protocol_error: kind(502, 'upstream', 'headers', 'the answer of the target is not valid HTTP'),
  http_response_header_section_size: kind(502, 'upstream', 'headers', 'the head of the answer is too large'),
  http_response_incomplete: kind(502, 'upstream', 'body', 'the target ended its body too early'),
  http_response_content_coding: kind(502, 'upstream', 'body', 'the body of the answer can not be decoded'),
  connection_read_timeout: kind(504, 'upstream', 'body', 'the target stopped sending its body'),
  http_upgrade_failed: kind(502, 'upstream', 'upgrade', 'the upgraded connection failed'),
} as const satisfies Record<string, ErrorKind>

/** A code of {@link proxyErrors}. */
export type ProxyErrorCode = keyof typeof proxyErrors

/** What to know beyond the code. */
export interface ProxyErrorOptions {
  /** For the log; the table's text if left out. Clients never see it. */
  readonly message?: string
  /** The error underneath. */
  readonly cause?: unknown
  /** The name of the rule that refused it, in kebab case: `host-missing`. For the log alone. */
  readonly reason?: string
  /** The id of the target that was tried. For the log alone. */
  readonly target?: string
  /** The connection was a kept one. */
  readonly reused?: boolean
  /**
   * Milliseconds after which another request may fare better: a place or a breaker that is known to open then. Clients are told in
   * `Retry-After`, so it must not be what somebody outside should not know. Default: nothing is said.
   */
  readonly retryAfter?: number
  /** Fields of whatever answer is made of it: what a layer has to tell its client of what it did, such as `Cache-Status`. */
  readonly headers?: HeaderList
}

/**
 * The one error of the proxy: whose fault, where, and may it be retried. Its status is what the client gets, and `retryAfter`
 * where that is known, with `headers`; nothing else of it goes to the client.
 */
export class ProxyError extends Error {
  override readonly name = 'ProxyError'
  readonly code: ProxyErrorCode
  readonly status: number
  readonly source: ErrorSource
  readonly phase: ErrorPhase
  readonly retryable: boolean
  readonly target?: string
  /** The name of the rule that refused the request, where a rule did: what to count and to search a log for. */
  declare readonly reason?: string
  /**
   * Of `connection_terminated`: the connection had been kept from before. A target may close such a one at any time (RFC 9112
   * section 9.3.1), and a request that is on its way to it then says nothing of the target's health.
   */
  declare readonly reused?: boolean
  /** Milliseconds after which another request may fare better, where that is known. */
  readonly retryAfter?: number
  /** Fields of whatever answer is made of it. */
  declare readonly headers?: HeaderList

  constructor(code: ProxyErrorCode, options: ProxyErrorOptions = {}) {
    const known = proxyErrors[code]
    super(
      options.message ?? known.message,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.code = code
    this.status = known.status
    this.source = known.source
    this.phase = known.phase
    this.retryable = known.retryable
    if (options.target !== undefined) this.target = options.target
    if (options.reason !== undefined) this.reason = options.reason
    if (options.reused === true) this.reused = true
    if (options.retryAfter !== undefined) this.retryAfter = options.retryAfter
    if (options.headers !== undefined) this.headers = options.headers
  }
}

/**
 * The error itself if it is a {@link ProxyError}, else a `proxy_internal_error` with it as cause. Never throws.
 * @param what what has happened, in words for the log
 */
export function asProxyError(error: unknown, what = 'a handler threw'): ProxyError {
  try {
    if (error instanceof ProxyError) return error
    const said = error instanceof Error ? error.message : typeof error === 'string' ? error : inspect(error)
    return new ProxyError('proxy_internal_error', { message: `${what}: ${said}`, cause: error })
  } catch {
    // Anything may be thrown, also what throws when it is looked at; as the cause it would do so in the log.
    return new ProxyError('proxy_internal_error', { message: `${what}: something that can't be read` })
  }
}

/**
 * An error with more fields for the answer that is made of it, behind those that it has. It is another one, since several who have waited for
 * the same may get the same error, each with fields of its own. Never throws.
 * @param instead in place of those that it has
 */
export function withFields(error: unknown, fields: HeaderList, instead = false): ProxyError {
  const from = asProxyError(error)
  const { cause, code, message, reason, retryAfter, reused, stack, target } = from
  const made = new ProxyError(code, {
    message,
    cause,
    ...(target === undefined ? undefined : { target }),
    ...(reason === undefined ? undefined : { reason }),
    ...(reused === undefined ? undefined : { reused }),
    ...(retryAfter === undefined ? undefined : { retryAfter }),
    headers: instead ? fields : [...(from.headers ?? []), ...fields],
  })
  // Where it has happened, and not where it was told of.
  if (stack !== undefined) made.stack = stack
  return made
}
