import { STATUS_CODES } from 'node:http'
import { getAll } from '@sluice/headers'
import type { ProxyError } from './proxy-error.js'
import type { Reply } from './reply.js'

/** What a client sees of an error: its status, when to come back if that is known, what layers have to tell of it, and nothing of who serves. */
export function errorReply(error: ProxyError): Reply {
  const { code, status } = error
  const headers = ['content-type', 'text/plain; charset=utf-8', 'cache-control', 'no-store']
  const after = retryAfterOf(error)
  if (after !== undefined) headers.push('retry-after', after)
  if (endsConnection(error)) headers.push('connection', 'close')
  if (error.headers !== undefined) headers.push(...error.headers)
  // The one error that a developer meets in the first minute says what to do: it holds nothing but our own text.
  const hint = code === 'body_consumed' ? `${error.message}\n` : ''
  return { status, headers, body: `${status} ${STATUS_CODES[status] ?? 'Error'}\n${hint}` }
}

/** The same in place of a reply whose body has failed before anything of it went out: what caches have said of it stays true (RFC 9211). */
export function errorReplyInstead(reply: Reply | undefined, error: ProxyError): Reply {
  const page = errorReply(error)
  for (const status of getAll(reply?.headers ?? [], 'cache-status')) page.headers.push('cache-status', status)
  return page
}

/** The most that a recipient has to understand as seconds (RFC 9111 section 1.2.2). */
const longest = 2 ** 31

/**
 * `Retry-After` of an error in whole seconds, if it has one (RFC 9110 section 10.2.3). Rounded up, since sooner would be in vain, and
 * at least 1, since 0 asks clients to come all at once.
 */
export function retryAfterOf({ retryAfter }: ProxyError): string | undefined {
  // What is no number, or never, is best not said.
  if (retryAfter === undefined || !(retryAfter < Number.POSITIVE_INFINITY)) return undefined
  return String(Math.min(longest, Math.max(1, Math.ceil(retryAfter / 1_000))))
}

/** A connection whose framing is in doubt, or that is to end, carries no further request. */
export function endsConnection({ code }: ProxyError): boolean {
  return code === 'http_request_error' || code === 'request_timeout' || code === 'proxy_closing'
}
