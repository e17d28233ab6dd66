import type { ClientRequest } from 'node:http'
import type { Outbound } from '@sluice/core'
import { get, groupByName, type HeaderList } from '@sluice/headers'

/** Fields as http-proxy wants them: it copies those of its own, and asks for lower-case names. */
export type RequestFields = Record<string, string | string[] | undefined>

/** How the target learns where the body ends (RFC 9112 section 6): a length, chunks, or there is no body. */
export type RequestFraming = number | 'chunked' | 'none'

/**
 * What frames this request. A length that the list says of a body without one is kept where it is 0.
 * @param length of the body; `undefined` where it isn't known, `null` where there is none
 */
export function framingOf(out: Outbound, length: number | undefined | null): RequestFraming {
  if (length === null) return get(out.headers, 'content-length') === undefined ? 'none' : 0
  return length ?? 'chunked'
}

/**
 * The fields of a request as an object: names as they are written, in their order, each once with all its values. Asked by a
 * lower-case name they answer too, which is what http-proxy does; that isn't copied, so no field goes out twice.
 * @param upgrade the protocol to upgrade to
 */
export function requestFields(
  headers: Readonly<HeaderList>,
  framing: RequestFraming,
  upgrade: string | undefined,
): RequestFields {
  const lower: RequestFields = Object.create(null)
  const fields: RequestFields = Object.create(lower)
  const put = (name: string, value: string | string[]): void => {
    lower[name.toLowerCase()] = value
    fields[name] = value
  }
  for (const [name, value] of groupByName(headers)) {
    if (!isFraming(name)) put(name, value)
    else if (typeof framing === 'number') put(name, String(framing))
  }
  if (framing === 'chunked') put('Transfer-Encoding', 'chunked')
  else if (framing !== 'none' && lower['content-length'] === undefined) put('Content-Length', String(framing))
  if (upgrade !== undefined) {
    put('Connection', 'Upgrade')
    put('Upgrade', upgrade)
  } else if (lower['te'] !== undefined) put('Connection', 'keep-alive, TE')
  return fields
}

/** Puts the fields of http-proxy's request in the order that they have here: http-proxy copies them from the last to the first. */
export function restoreOrder(request: ClientRequest, fields: RequestFields): void {
  for (const name of Object.keys(fields)) {
    const value = request.getHeader(name)
    if (value === undefined) continue
    request.removeHeader(name)
    request.setHeader(name, value)
  }
}

/**
 * Makes the framing of http-proxy's request that of the body which is sent, whatever its passes, its options and listeners
 * have made of it. http-proxy gives a chunked DELETE or OPTIONS a length of 0 and takes its Transfer-Encoding away, and the
 * target takes the body for the next request (CVE-2026-29057).
 */
export function enforceFraming(request: ClientRequest, framing: RequestFraming): void {
  const length = request.getHeader('content-length')
  const coding = request.getHeader('transfer-encoding')
  if (framing === 'chunked') {
    if (length !== undefined) request.removeHeader('content-length')
    if (coding !== 'chunked') request.setHeader('Transfer-Encoding', 'chunked')
    return
  }
  if (coding !== undefined) request.removeHeader('transfer-encoding')
  if (framing === 'none') {
    if (length !== undefined) request.removeHeader('content-length')
    // Else Node says a length of 0 for methods that it doesn't know.
    request.useChunkedEncodingByDefault = false
  } else if (String(length) !== String(framing)) request.setHeader('Content-Length', String(framing))
}

function isFraming(name: string): boolean {
  if (name.length !== 14 && name.length !== 17) return false
  const lower = name.toLowerCase()
  return lower === 'content-length' || lower === 'transfer-encoding'
}
