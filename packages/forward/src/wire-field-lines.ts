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

/** Whether `text` is a token, as methods and field names have to be (RFC 9110 section 5.6.2). */
export function isToken(text: string): boolean {
  const { length } = text
  for (let i = 0; i < length; i++) if (tokenBytes[text.charCodeAt(i)] !== 1) return false
  return length > 0
}

/** Whether `text` may stand in a field's value: no control character but the tab, nothing above a byte (section 5.5). */
export function isFieldValue(text: string): boolean {
  const { length } = text
  for (let i = 0; i < length; i++) if (valueBytes[text.charCodeAt(i)] !== 1) return false
  return true
}

/** Whether a field says how long its message is: a name that no part of a message may give twice, nor oddly. */
export function isFraming(name: string): boolean {
  const { length } = name
  if (length !== 14 && length !== 17) return false
  if (name === 'Content-Length') return true
  const lower = name.toLowerCase()
  return lower === 'content-length' || lower === 'transfer-encoding'
}

/** Index of the first character from `at` on that may not stand in a value. Each character of `text` is one byte. */
export function endOfValue(text: string, at: number): number {
  let i = at
  while (valueBytes[text.charCodeAt(i)] === 1) i++
  return i
}

/**
 * Reads field lines, from `at` up to `end`, where the last line ends. Strict where parsers differ: no blank before the
 * colon, no line that goes on in the next (obs-fold), no line feed alone, no control byte (RFC 9112 sections 2.2, 5.1
 * and 5.2, which leaves a proxy the choice to answer 502). A tab beside a length or a transfer coding is refused too: it
 * is allowed, but there are parsers that then don't see `chunked` in it, and take the chunks for the body.
 * @throws ProxyError http_protocol_error
 */
export function readFieldLines(text: string, at: number, end: number, list: HeaderList): void {
  while (at < end) {
    let i = at
    while (tokenBytes[text.charCodeAt(i)] === 1) i++
    if (i === at || text.charCodeAt(i) !== 58) throw badLine(text, at)
    const name = text.slice(at, i)
    let code = text.charCodeAt(++i)
    let tab = false
    while (code === 32 || code === 9) {
      if (code === 9) tab = true
      code = text.charCodeAt(++i)
    }
    const from = i
    i = endOfValue(text, i)
    if (text.charCodeAt(i) !== 13 || text.charCodeAt(i + 1) !== 10) throw badLine(text, at)
    at = i + 2
    code = text.charCodeAt(i - 1)
    while (i > from && (code === 32 || code === 9)) {
      if (code === 9) tab = true
      code = text.charCodeAt(--i - 1)
    }
    if (tab && isFraming(name)) throw malformed(`a tab beside the value of ${name}`)
    list.push(name, text.slice(from, i))
  }
}

function badLine(text: string, at: number): ProxyError {
  const line = text.slice(at, at + 60)
  if (line[0] === ' ' || line[0] === '\t')
    return malformed('a field that goes on in the next line (obs-fold)')
  return malformed(`a line that is no field: ${JSON.stringify(line)}`)
}
