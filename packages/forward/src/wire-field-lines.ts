import { ProxyError } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'

/** 1 for the bytes of a token (RFC 9110 section 5.6.2). */
export const tokenBytes = new Uint8Array(256)
for (const byte of Buffer.from(
  "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
))
  tokenBytes[byte] = 1

/** 1 for the bytes of a field's value and of a reason: tab, blank, visible ones, and those above ASCII (section 5.5). */
export const valueBytes = new Uint8Array(256)
valueBytes[9] = 1
valueBytes.fill(1, 32, 127)
valueBytes.fill(1, 128)

/** A reply that isn't HTTP as RFC 9112 has it: 502, and the end of its connection. */
export function malformed(message: string): ProxyError {
  return new ProxyError('http_protocol_error', { message })
}

/** Whether a field says how long its message is: a name that no part of a message may give twice, nor oddly. */
export function isFraming(name: string): boolean {
  const { length } = name
  if (length !== 14 && length !== 17) return false
  if (name === 'Content-Length') return true
  const lower = name.toLowerCase()
  return lower === 'content-length' || lower === 'transfer-encoding'
}

/** Index of the first byte from `at` on that may not stand in a value. */
export function endOfValue(bytes: Uint8Array, at: number): number {
  let i = at
  while (valueBytes[bytes[i] as number] === 1) i++
  return i
}

/**
 * Reads field lines, from `at` up to `end`, where the last line ends. Strict where parsers differ: no blank before the
 * colon, no line that goes on in the next (obs-fold), no line feed alone, no control byte (RFC 9112 sections 2.2, 5.1
 * and 5.2, which leaves a proxy the choice to answer 502). A tab beside a length or a transfer coding is refused too: it
 * is allowed, but there are parsers that then don't see `chunked` in it, and take the chunks for the body.
 * @param text the same bytes as text, from `from` on: bytes are quicker to look at, and names and values are parts of a text
 * @throws ProxyError http_protocol_error
 */
export function readFieldLines(
  bytes: Uint8Array,
  at: number,
  end: number,
  text: string,
  from: number,
  list: HeaderList,
): void {
  while (at < end) {
    let i = at
    while (tokenBytes[bytes[i] as number] === 1) i++
    if (i === at || bytes[i] !== 58) throw badLine(text.slice(at - from))
    const name = text.slice(at - from, i - from)
    let byte = bytes[++i]
    let tab = false
    while (byte === 32 || byte === 9) {
      if (byte === 9) tab = true
      byte = bytes[++i]
    }
    const value = i
    i = endOfValue(bytes, i)
    if (bytes[i] !== 13 || bytes[i + 1] !== 10) throw badLine(text.slice(at - from))
    const next = i + 2
    byte = bytes[i - 1]
    while (i > value && (byte === 32 || byte === 9)) {
      if (byte === 9) tab = true
      byte = bytes[--i - 1]
    }
    if (tab && isFraming(name)) throw malformed(`a tab beside the value of ${name}`)
    list.push(name, text.slice(value - from, i - from))
    at = next
  }
}

function badLine(rest: string): ProxyError {
  const line = rest.slice(0, 60)
  if (line[0] === ' ' || line[0] === '\t')
    return malformed('a field that goes on in the next line (obs-fold)')
  return malformed(`a line that is no field: ${JSON.stringify(line)}`)
}
