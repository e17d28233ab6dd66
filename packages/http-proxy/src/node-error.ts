import { ProxyError, type ProxyErrorCode } from '@sluice/core'
import type { ServerOptions } from './server-options.js'

/** An error with the `code` that apps of http-proxy look at; what the forwarder says of it is its `cause`. */
export type NodeError = Error & { code?: string }

/** Codes where no error of Node's is underneath. */
const codes: Partial<Record<ProxyErrorCode, string>> = {
  dns_error: 'ENOTFOUND',
  destination_ip_unroutable: 'EHOSTUNREACH',
  connection_refused: 'ECONNREFUSED',
  http_protocol_error: 'HPE_INVALID_CONSTANT',
  http_response_header_section_size: 'HPE_HEADER_OVERFLOW',
  http_request_error: 'ERR_INVALID_CHAR',
  tls_protocol_error: 'EPROTO',
  body_consumed: 'ERR_BODY_CONSUMED',
}

/** What the listeners of `error` get. */
export function nodeError(error: ProxyError, { connectTimeout }: ServerOptions = {}): NodeError {
  const { cause } = error
  // Without the option a connection that takes too long is a hang-up, as any of http-proxy's timeouts is.
  if (connectTimeout && error.code === 'connection_timeout')
    return Object.assign(new Error('ECONNECT_TIMEOUT', { cause: error }), { code: 'ECONNECT_TIMEOUT' })
  if (cause instanceof Error && !(cause instanceof ProxyError)) return cause
  const code = codes[error.code] ?? 'ECONNRESET'
  // Timeouts too: apps know http-proxy's own as a hang-up. The cause tells them apart.
  const message = code === 'ECONNRESET' ? 'socket hang up' : error.message
  return Object.assign(new Error(message, { cause: error }), { code })
}
