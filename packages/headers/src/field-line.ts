import { isFieldName, isFieldValue } from './field.js'

/** Lines that are kept, and what of a field is kept at most, in characters. */
const slots = 512
const longestName = 32
const longestValue = 64

const names = Array.from({ length: slots }, () => '')
const values: (string | undefined)[] = Array.from({ length: slots }, () => undefined)
const lines = Array.from({ length: slots }, () => '')

/**
 * A field as a line of a head, with its end; `undefined` for what would be no line, or more than one (RFC 9112 section 5).
 *
 * Most lines come again: what a proxy says of itself with every request, much of what clients say with many. To look at each
 * character of a field and to join its parts costs several times what it costs to compare it, so a short line is kept until
 * another of its shape takes its place.
 */
export function fieldLine(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  const slot = (name.length * 7 + name.charCodeAt(0) + value.length * 31) & (slots - 1)
  if (names[slot] === name && values[slot] === value) return lines[slot]
  if (!isFieldName(name) || !isFieldValue(value)) return undefined
  const line = `${name}: ${value}\r\n`
  if (name.length <= longestName && value.length <= longestValue) {
    names[slot] = name
    values[slot] = value
    lines[slot] = line
  }
  return line
}
