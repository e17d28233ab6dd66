import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { type HeaderList, isFieldName, isFieldValue } from '@sluice/headers'
import { http2Fields } from './connection-fields.js'
import { isSendable } from './http2-head-size.js'

/** What an informational response may go out on. */
export type InformedResponse = ServerResponse | Http2ServerResponse

/** An informational response on `res`, if its connection can carry one now. */
export function inform(res: InformedResponse, status: number, headers: HeaderList): void {
  if (res.headersSent || !Number.isInteger(status) || status < 102 || status > 199) return
  const valid: HeaderList = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    if (isFieldName(name) && isFieldValue(value) && !frames(name)) valid.push(name, value)
  }
  if ('stream' in res) {
    const { stream } = res
    // A stream that its client has reset may be closed for a while before it is destroyed, and Node throws in either case.
    if (stream === undefined || stream.destroyed || stream.closed || stream.headersSent) return
    // The answer itself would be lost with it.
    if (!isSendable(stream, valid)) return
    const fields: Record<string, string | string[] | number> = { ':status': status }
    for (const [name, value] of http2Fields(valid)) fields[name.toLowerCase()] = value
    stream.additionalHeaders(fields)
    return
  }
  // Without a socket another response of a pipelining client is ahead; HTTP/1.0 knows no 1xx (RFC 9110 section 15.2).
  if (res.socket === null || res.req.httpVersionMinor === 0) return
  let head = `HTTP/1.1 ${status} ${status === 103 ? 'Early Hints' : 'Processing'}\r\n`
  for (let i = 0; i < valid.length; i += 2) head += `${valid[i]}: ${valid[i + 1]}\r\n`
  res.socket.write(`${head}\r\n`, 'latin1')
}

/**
 * It has no body, whatever it says of one (RFC 9112 section 6.3), and must not speak of it (RFC 9110 section 8.6): a client that believed it
 * would take the answer behind it for that body.
 */
function frames(name: string): boolean {
  return /^(content-length|transfer-encoding)$/i.test(name)
}
