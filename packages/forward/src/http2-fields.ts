import { type OutgoingHttpHeaders, sensitiveHeaders } from 'node:http2'
import { type Outbound, ProxyError } from '@sluice/core'
import { groupByName, type HeaderList, http2Values, isFieldName, isFieldValue } from '@sluice/headers'
import { isEventStream } from './event-stream.js'
import { wireLimits } from './wire-limits.js'
import { cleanTrailers } from './wire-upload.js'

/** Where a request goes, for its pseudo fields (RFC 9113 section 8.3.1). */
export interface Http2Origin {
  readonly scheme: 'http' | 'https'
  /** The target's own name, for a list without `Host`. */
  readonly host: string
}

/** RFC 9113 section 8.2.2: they belong to an HTTP/1 connection, and a target takes a request with them for malformed. */
const ofConnection =
  /^(connection|keep-alive|proxy-connection|transfer-encoding|upgrade|http2-settings|host)$/

/**
 * Never kept in the compression table of a connection: many clients share it, and who can try values and see lengths would
 * find out what others have sent (RFC 7541 section 7.1).
 */
const sensitive = ['authorization', 'cookie', 'proxy-authorization']

/** Of the handshake of RFC 6455 alone: RFC 8441 section 5 has no use for it. */
const ofHandshake = /^(sec-websocket-(key|accept)|content-length)$/

/**
 * A request's fields as HTTP/2 has them: pseudo fields first, names in lower case, `:authority` in place of `Host`, none of a
 * connection, `Cookie` as one line joined by `; ` (RFC 9113 section 8.2.3; a comma would be part of a value).
 * @param upgrade the protocol of an extended CONNECT (RFC 8441), for a request that asked for an upgrade
 * @throws ProxyError http_request_error for what would not be read as this one request
 */
export function http2RequestFields(
  out: Outbound,
  { scheme, host }: Http2Origin,
  upgrade?: string,
): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = {
    ':method': upgrade === undefined ? out.method : 'CONNECT',
    ':scheme': scheme,
    ':authority': host,
    ':path': out.path,
    [sensitiveHeaders]: sensitive,
  }
  if (upgrade !== undefined) fields[':protocol'] = upgrade
  for (const [given, value] of groupByName(out.headers)) {
    const name = given.toLowerCase()
    check(name, value)
    if (name === 'host') fields[':authority'] = typeof value === 'string' ? value : (value[0] as string)
    else if (name === 'te') {
      if (/(^|[,\s])trailers([\s,;]|$)/i.test(String(value))) fields['te'] = 'trailers'
    } else if (!ofConnection.test(name) && (upgrade === undefined || !ofHandshake.test(name)))
      fields[name] = http2Values(name, value)
  }
  // A line break in one would become a field of its own at the next hop that speaks HTTP/1.1 (RFC 9113 section 10.3).
  if (!isFieldName(out.method)) throw unsendable(`the method ${JSON.stringify(out.method)}`)
  if (!/^[\x21-\x7e\x80-\xff]+$/.test(out.path)) throw unsendable(`the path ${JSON.stringify(out.path)}`)
  if (!isFieldValue(String(fields[':authority']))) throw unsendable('the authority')
  return fields
}

/**
 * A next hop that speaks HTTP/1.1 would take the rest of a longer body for a request (RFC 9113 section 8.1.1).
 * @throws ProxyError http_request_error for a Content-Length that is not that of the body
 */
export function checkLength(fields: OutgoingHttpHeaders, length: number | undefined): void {
  const said = fields['content-length']
  if (said !== undefined && said !== String(length)) throw unsendable(`a length of ${said} with this body`)
}

/** Trailers as HTTP/2 has them, without those that have no business there; what can't be sent is left out. */
export function http2TrailerFields(trailers: HeaderList): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = {}
  for (const [given, value] of groupByName(cleanTrailers(trailers, false))) {
    const name = given.toLowerCase()
    if (isFieldName(name) && [value].flat().every(isFieldValue)) fields[name] = http2Values(name, value)
  }
  return fields
}

/** Whether a head is too large, by the measure that settings name (RFC 9113 section 6.5.2). Node counts fields alone. */
export function isTooLarge(raw: HeaderList, most: number = wireLimits.head): boolean {
  let size = raw.length * 16
  for (const text of raw) size += text.length
  return size > most
}

/**
 * The head of a request by the same measure. Node reports one that it can't send as a stream that the target has refused, and ends the
 * connection; one that the target doesn't take is reset, or ends the connection for everybody on it. It is the request that is too large.
 * @param most what the target takes, as it has said, or {@link wireLimits} if that is less
 * @throws ProxyError http_request_header_section_size
 */
export function checkSize(fields: OutgoingHttpHeaders, most: number): void {
  const { size } = measure(fields)
  if (size > most) throw tooLarge(`a head of ${size} bytes, of at most ${most}`)
}

/** Bytes and fields of a head that every server takes by default: Tomcat has the least (8 KB and 100 fields), Node takes 128. */
const takenByAll = { bytes: 8 * 1024, fields: 100 }

/** Whether some servers find a head too large by default, and may not have said so in their settings. */
export function isLarge(fields: OutgoingHttpHeaders | undefined): boolean {
  if (fields === undefined) return false
  const { count, size } = measure(fields)
  return size > takenByAll.bytes || count > takenByAll.fields
}

/** The request, or its trailers, are too large for HTTP/2 or for the target. Another one would take no more (RFC 6585 section 5). */
export function tooLarge(what: string): ProxyError {
  return new ProxyError('http_request_header_section_size', {
    reason: 'http2-head-size',
    message: `the target takes less: ${what}`,
  })
}

function measure(fields: OutgoingHttpHeaders): { size: number; count: number } {
  let size = 0
  let count = 0
  for (const name in fields) {
    const values = fields[name]
    for (const value of Array.isArray(values) ? values : [values]) {
      count++
      size += name.length + String(value).length + 32
    }
  }
  return { size, count }
}

/** Whether streams of this media type rest for long: those of events, and calls of gRPC. */
export function restsLong(type: string | undefined): boolean {
  return type !== undefined && (isEventStream(type) || type.startsWith('application/grpc'))
}

function check(name: string, value: string | string[]): void {
  if (!isFieldName(name)) throw unsendable(`the name of ${JSON.stringify(name)}`)
  const valid = typeof value === 'string' ? isFieldValue(value) : value.every(isFieldValue)
  if (!valid) throw unsendable(`the value of ${name}`)
}

function unsendable(what: string): ProxyError {
  return new ProxyError('http_request_error', { message: `HTTP/2 can't carry ${what}` })
}
