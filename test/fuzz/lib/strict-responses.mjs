import { readChunks, readFields, readFraming, readLines, Unclear, valuesOf } from './strict-message.mjs'

// biome-ignore lint/suspicious/noControlCharactersInRegex: a reason phrase has none
const statusLine = /^HTTP\/1\.([01]) ([1-5]\d\d) ([^\0-\x08\x0a-\x1f\x7f]*)$/

/**
 * Takes what a client has received apart, as strictly as {@link StrictRequests} does the other direction.
 * @param {Buffer} bytes
 * @param {{ ended: boolean, heads: boolean, connect?: boolean }} how `ended`: nothing more comes; `heads`: one of the requests may have
 *   been a HEAD, whose answer has no body whatever its fields say; `connect`: or a CONNECT, whose 200 begins a tunnel
 * @returns {{ responses: object[], rest: number, fault?: string }} `rest`: bytes of a response that is not all there
 */
export function readResponses(bytes, { ended, heads, connect = false }) {
  const responses = []
  let at = 0
  try {
    while (at < bytes.length) {
      const found = readResponse(bytes, at, { ended, heads, connect })
      if (found === undefined) break
      responses.push(found)
      at = found.end
      // What follows is no longer HTTP.
      if (found.tunnel) return { responses, rest: 0 }
    }
  } catch (error) {
    if (!(error instanceof Unclear)) throw error
    return { responses, rest: bytes.length - at, fault: error.message }
  }
  return { responses, rest: bytes.length - at }
}

function readResponse(bytes, at, { ended, heads, connect }) {
  const head = readLines(bytes, at)
  if (head === undefined) {
    const first = bytes.toString('latin1', at, at + 9)
    if (!'HTTP/1.1 '.startsWith(first)) throw new Unclear(`no response: ${JSON.stringify(first)}`)
    return undefined
  }
  const line = statusLine.exec(head.lines[0] ?? '')
  if (line === null)
    throw new Unclear(`the status line ${JSON.stringify((head.lines[0] ?? '').slice(0, 80))}`)
  const status = Number(line[2])
  const fields = readFields(head.lines.slice(1))
  const framing = readFraming(fields)
  const response = { status, fields, framing, body: bytes.subarray(0, 0), trailers: [], end: head.end }
  if (status === 101 || (connect && status < 300 && status >= 200 && framing === undefined))
    return { ...response, tunnel: true }
  if (status < 200 || status === 204 || status === 304) {
    if (framing !== undefined && status !== 304) throw new Unclear(`a ${status} with a body`)
    return response
  }
  // The answer to a HEAD: the next one begins behind its head, or nothing does.
  if (heads && (head.end === bytes.length || bytes.toString('latin1', head.end, head.end + 7) === 'HTTP/1.'))
    return response
  if (framing === 'chunked') {
    const read = readChunks(bytes, head.end)
    return read && { ...response, ...read }
  }
  if (framing === undefined) {
    // Its end is that of the connection.
    if (valuesOf(fields, 'connection').every((value) => value.toLowerCase() !== 'close') && line[1] === '1')
      throw new Unclear('a response without an end on a connection that is kept')
    return ended ? { ...response, body: bytes.subarray(head.end), end: bytes.length } : undefined
  }
  const end = head.end + framing
  return bytes.length < end ? undefined : { ...response, body: bytes.subarray(head.end, end), end }
}
