import { STATUS_CODES } from 'node:http'
import type { ProxyError } from './proxy-error.js'
import type { Reply } from './reply.js'

/** What a client sees of an error: its status, and nothing of who serves. */
export function errorReply(error: ProxyError): Reply {
  const { code, status } = error
  const headers = ['content-type', 'text/plain; charset=utf-8', 'cache-control', 'no-store']
  if (endsConnection(error)) headers.push('connection', 'close')
  // The one error that a developer meets in the first minute says what to do: it holds nothing but our own text.
  const hint = code === 'body_consumed' ? `${error.message}\n` : ''
  return { status, headers, body: `${status} ${STATUS_CODES[status] ?? 'Error'}\n${hint}` }
}

/** A connection whose framing is in doubt, or that is to end, carries no further request. */
export function endsConnection({ code }: ProxyError): boolean {
  return code === 'http_request_error' || code === 'request_timeout' || code === 'proxy_closing'
}
