import { type Outbound, ProxyError } from '@sluice/core'
import { fieldLine, isFieldName, isFieldValue } from '@sluice/headers'

/**
 * The head of a request as one text, a character a byte, written in one piece with no object for a field. Order, case and
 * repeated fields stay as they are in the list.
 *
 * A layer may have put anything into it, and what isn't exactly one request is none: each part is looked at once, before
 * it is joined. The length of the body is said here and nowhere else, so that no target takes the body's bytes for its
 * next request: a Content-Length has to be that of the body, and is written where the list has none.
 * @param host the target's own name, for a list without `Host`
 * @param upgrade the protocol to upgrade to
 * @param chunked the body has no length: it goes out in chunks
 * @param close the connection carries no other request (RFC 9112 section 9.6)
 * @throws ProxyError http_request_error for what would not be read as one request
 */
export function requestHead(
  out: Outbound,
  host: string,
  upgrade: string | undefined,
  chunked: boolean,
  close = false,
): string {
  const { headers, method, path } = out
  const { length } = headers
  if (!isFieldName(method)) throw unsendable('method', method)
  if (!isTarget(path)) throw unsendable('request-target', path)
  let fields = ''
  let hasHost = false
  let hasLength = false
  let te = false
  for (let i = 0; i < length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1]
    const line = fieldLine(name, value)
    if (line === undefined)
      throw isFieldName(name) ? unsendable(`value of ${name}`, value) : unsendable('field name', name)
    switch (name.length) {
      case 2:
        te ||= name.toLowerCase() === 'te'
        break
      case 4:
        if (name !== 'Host' && name.toLowerCase() !== 'host') break
        // RFC 9112 section 3.2: two of them are answered 400, or each hop picks another.
        if (hasHost) throw unsendable('second', name)
        hasHost = true
        break
      case 14:
        if (name !== 'Content-Length' && name.toLowerCase() !== 'content-length') break
        if (hasLength) throw unsendable('second', name)
        if (chunked || value !== String(sizeOf(out)))
          throw unsendable('length that is not that of the body', value)
        hasLength = true
        break
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') throw unsendable('field of this hop', name)
        break
    }
    fields += line
  }
  if (chunked) fields += 'Transfer-Encoding: chunked\r\n'
  else if (!hasLength && out.body !== null) fields += `Content-Length: ${sizeOf(out)}\r\n`
  // RFC 9110 section 10.1.4: TE is a field of the connection.
  if (upgrade !== undefined) {
    if (upgrade === '' || !isFieldValue(upgrade)) throw unsendable('protocol to upgrade to', upgrade)
    fields += te ? 'Connection: Upgrade, TE\r\n' : 'Connection: Upgrade\r\n'
    fields += `Upgrade: ${upgrade}\r\n`
  } else if (te || close) {
    fields += te ? (close ? 'Connection: TE, close\r\n' : 'Connection: TE\r\n') : 'Connection: close\r\n'
  }
  if (hasHost) return `${method} ${path} HTTP/1.1\r\n${fields}\r\n`
  if (!isFieldValue(host)) throw unsendable('host', host)
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`
}

/** Bytes of a body that isn't sent in chunks. */
function sizeOf({ body }: Outbound): number {
  if (body === null) return 0
  const size = typeof body === 'string' ? Buffer.byteLength(body) : (body as { length?: number }).length
  if (size === undefined) throw unsendable('body without a length', undefined)
  return size
}

/** A request-target as it came, bytes above ASCII included, but nothing that would end it. */
function isTarget(path: string): boolean {
  return path !== '' && !/[^\x21-\x7e\x80-\xff]/.test(path)
}

function unsendable(what: string, text: string | undefined): ProxyError {
  const message = `the request can't be sent: ${what} ${JSON.stringify(text?.slice(0, 60))}`
  return new ProxyError('http_request_error', { message })
}
