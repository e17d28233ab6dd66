import type { Http2ServerResponse } from 'node:http2'
import type { HeaderList } from '@sluice/headers'
import { http2Fields } from './connection-fields.js'
import { isSendable, notSendable } from './http2-head-size.js'
import { mergeField } from './merge-field.js'
import { ProxyError } from './proxy-error.js'
import { discard, type Reply } from './reply.js'
import { isValid } from './trailer-fields.js'

/**
 * Looks at the head of an answer before its body is taken.
 * @throws ProxyError http_response_header_section_size if it is too large, with what the app has set; the reply is let go
 */
export function checkHttp2Head(res: Http2ServerResponse, reply: Reply): void {
  if (isSendable(res.stream, withOwn(res, reply.headers))) return
  discard(reply)
  throw notSendable()
}

/** The fields of an answer, and those that the app has put on its response. */
function withOwn(res: Http2ServerResponse, headers: HeaderList): HeaderList {
  const own = res.getHeaderNames()
  if (own.length === 0) return headers
  const all = headers.slice()
  for (const name of own) for (const value of [res.getHeader(name)].flat()) all.push(name, String(value))
  return all
}

/**
 * Puts the fields of an answer on its response.
 * @throws ProxyError proxy_internal_error for a value that is none
 */
export function putHttp2Fields(res: Http2ServerResponse, headers: HeaderList): void {
  for (const [name, value] of http2Fields(headers)) {
    // On HTTP/1 Node looks at values, here it doesn't; a line break becomes a field at the next hop (RFC 9113 section 8.2.1).
    if (!isValid(value))
      throw new ProxyError('proxy_internal_error', { message: `a reply has a value of ${name} that is none` })
    mergeField(res, name, value)
  }
}
