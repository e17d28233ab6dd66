import { STATUS_CODES } from 'node:http'
import { endOfValue, malformed } from './wire-field-lines.js'

/**
 * `HTTP/1.1 200 Reason`. The blank before an empty reason is often left out, which nobody reads in another way.
 * @returns where the next line begins
 * @throws ProxyError http_protocol_error
 */
export function endOfStatusLine(bytes: Uint8Array, at: number, text: string): number {
  const version = text.slice(0, 9)
  if (version !== 'HTTP/1.1 ' && version !== 'HTTP/1.0 ')
    throw malformed(`a status line that is none: ${JSON.stringify(text.slice(0, 20))}`)
  const status = statusAt(bytes, at)
  const end = bytes[at + 12] === 32 ? endOfValue(bytes, at + 13) : at + 12
  if (!(status >= 100 && status <= 599) || bytes[end] !== 13 || bytes[end + 1] !== 10)
    throw malformed(`a status line that is none: ${JSON.stringify(text.slice(0, 40))}`)
  return end + 2
}

/** Its three digits; NaN where they are none. */
export function statusAt(bytes: Uint8Array, at: number): number {
  return digit(bytes, at + 9) * 100 + digit(bytes, at + 10) * 10 + digit(bytes, at + 11)
}

/** What the target calls the status: nearly always that is the usual name, which nobody has to be told. */
export function readReason(text: string, status: number, end: number): string | undefined {
  const reason = end > 12 ? text.slice(13, end) : undefined
  return reason === STATUS_CODES[status] ? undefined : reason
}

function digit(bytes: Uint8Array, at: number): number {
  const byte = bytes[at] as number
  return byte >= 48 && byte <= 57 ? byte - 48 : Number.NaN
}
