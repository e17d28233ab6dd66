// What requests and responses have in common, read as strictly as RFC 9112 lets one. It shares no line with the parsers of the
// proxy: one that has their fault would not see it.

const fieldLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/s
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are looked for
const control = /[\0-\x08\x0a-\x1f\x7f]/

/** Bytes of a message cannot be read in one way only. */
export class Unclear extends Error {}

/**
 * The lines of a head or of trailers from `at` on, up to the blank line.
 * @returns {{ lines: string[], end: number } | undefined} undefined: it is not all there
 */
export function readLines(bytes, at) {
  const lines = []
  let from = at
  for (;;) {
    const stop = bytes.indexOf('\r\n', from)
    if (stop === -1) return undefined
    const line = bytes.toString('latin1', from, stop)
    from = stop + 2
    if (line === '') return { lines, end: from }
    lines.push(line)
  }
}

/** Lower-case names and values by turns. */
export function readFields(lines) {
  const fields = []
  for (const line of lines) {
    const match = fieldLine.exec(line)
    if (match === null) throw new Unclear(`a line that is no field: ${JSON.stringify(line.slice(0, 80))}`)
    if (control.test(match[2]))
      throw new Unclear(`a control character in a field: ${JSON.stringify(line.slice(0, 80))}`)
    fields.push(match[1].toLowerCase(), match[2])
  }
  return fields
}

/** All values of a field. */
export function valuesOf(fields, name) {
  return fields.filter((_each, i) => i % 2 === 1 && fields[i - 1] === name)
}

/** How a message says where its body ends: a length, `'chunked'`, or undefined if it doesn't. */
export function readFraming(fields) {
  const lengths = valuesOf(fields, 'content-length')
  const codings = valuesOf(fields, 'transfer-encoding')
  if (lengths.length + codings.length > 1)
    throw new Unclear(`framed twice: lengths ${lengths.join(' and ')}, codings ${codings.join(' and ')}`)
  if (codings.length === 1) {
    if (codings[0].toLowerCase() !== 'chunked')
      throw new Unclear(`the transfer coding ${JSON.stringify(codings[0])}`)
    return 'chunked'
  }
  if (lengths.length === 0) return undefined
  if (!/^\d{1,15}$/.test(lengths[0])) throw new Unclear(`the length ${JSON.stringify(lengths[0])}`)
  return Number(lengths[0])
}

/**
 * A chunked body from `at` on.
 * @returns {{ body: Buffer, trailers: string[], end: number } | undefined} undefined: it is not all there
 */
export function readChunks(bytes, at) {
  const parts = []
  let from = at
  for (;;) {
    const stop = bytes.indexOf('\r\n', from)
    if (stop === -1) {
      if (bytes.length - from > 16) throw new Unclear('a chunk size without an end')
      return undefined
    }
    const line = bytes.toString('latin1', from, stop)
    if (!/^[\da-f]{1,13}$/i.test(line))
      throw new Unclear(`the chunk size ${JSON.stringify(line.slice(0, 40))}`)
    const size = Number.parseInt(line, 16)
    from = stop + 2
    if (size === 0) {
      const rest = readLines(bytes, from)
      if (rest === undefined) return undefined
      const trailers = readFields(rest.lines)
      for (const name of ['content-length', 'transfer-encoding', 'host', 'trailer'])
        if (valuesOf(trailers, name).length > 0) throw new Unclear(`${name} in the trailers`)
      return { body: Buffer.concat(parts), trailers, end: rest.end }
    }
    if (bytes.length < from + size + 2) return undefined
    if (bytes[from + size] !== 13 || bytes[from + size + 1] !== 10)
      throw new Unclear('a chunk that is longer than its size')
    parts.push(bytes.subarray(from, from + size))
    from += size + 2
  }
}
