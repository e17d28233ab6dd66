import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'

/** One response as it came. */
export interface RawAnswer {
  readonly status: number
  readonly line: string
  /** Each as `name: value`. */
  readonly fields: readonly string[]
  /** Without chunks. */
  readonly body: Buffer
  readonly trailers: readonly string[]
  /** It has come to its own end, and not to that of the bytes. */
  readonly whole: boolean
}

/** What a server has sent. */
export interface Answers {
  readonly list: readonly RawAnswer[]
  /** Bytes behind them that are none: those of another protocol, say. */
  readonly rest: Buffer
}

/**
 * Takes the bytes of a connection apart, as far as they are HTTP/1.1: one that is cut ends where it was cut.
 * @param method of the one request on it
 */
export function readAnswers(bytes: Buffer, method: string): Answers {
  const list: RawAnswer[] = []
  let at = 0
  while (at < bytes.length) {
    const head = bytes.indexOf('\r\n\r\n', at)
    const end = head === -1 ? bytes.length : head
    const [line = '', ...fields] = bytes.toString('latin1', at, end).split('\r\n')
    const status = Number(/^HTTP\/\d\.\d (\d{3})/.exec(line)?.[1] ?? Number.NaN)
    if (Number.isNaN(status)) break
    at = Math.min(bytes.length, end + 4)
    const bare = status < 200 || status === 204 || status === 304 || method === 'HEAD'
    const read: Body = bare
      ? { body: Buffer.alloc(0), trailers: [], end: at, whole: head !== -1 }
      : bodyOf(bytes, at, fields)
    at = read.end
    list.push({ status, line, fields, body: read.body, trailers: read.trailers, whole: read.whole })
    if (status === 101) break
  }
  return { list, rest: bytes.subarray(at) }
}

/** The value of a field, in lower case. */
function valueOf(fields: readonly string[], name: string): string | undefined {
  const field = fields.find((each) => each.toLowerCase().startsWith(`${name}:`))
  return field
    ?.slice(name.length + 1)
    .trim()
    .toLowerCase()
}

interface Body {
  readonly body: Buffer
  readonly trailers: string[]
  readonly end: number
  readonly whole: boolean
}

function bodyOf(bytes: Buffer, start: number, fields: readonly string[]): Body {
  if (valueOf(fields, 'transfer-encoding')?.includes('chunked') === true) return chunked(bytes, start)
  const length = Number(valueOf(fields, 'content-length') ?? Number.POSITIVE_INFINITY)
  // What is no number is looked at up to the end.
  const end = Number.isNaN(length) ? bytes.length : Math.min(bytes.length, start + length)
  return { body: bytes.subarray(start, end), trailers: [], end, whole: end === start + length }
}

function chunked(bytes: Buffer, start: number): Body {
  const parts: Buffer[] = []
  let at = start
  for (;;) {
    const line = bytes.indexOf('\r\n', at)
    const size = line === -1 ? Number.NaN : Number.parseInt(bytes.toString('latin1', at, line), 16)
    // It is cut, or no chunk: what is there is looked at all the same.
    if (Number.isNaN(size)) {
      parts.push(bytes.subarray(at))
      return { body: Buffer.concat(parts), trailers: [], end: bytes.length, whole: false }
    }
    at = line + 2
    if (size === 0) break
    parts.push(bytes.subarray(at, at + size))
    at = Math.min(bytes.length, at + size + 2)
  }
  const blank = bytes.indexOf('\r\n\r\n', at - 2)
  const last = blank === -1 ? bytes.length : blank
  const trailers = bytes.toString('latin1', at, Math.max(at, last)).split('\r\n').filter(Boolean)
  return { body: Buffer.concat(parts), trailers, end: Math.min(bytes.length, last + 4), whole: blank !== -1 }
}

const cut = { finishFlush: constants.Z_SYNC_FLUSH }

/** A body without its codings, as far as it can be decoded; `undefined` for one that has none. */
export function decodedBody(body: Buffer, fields: readonly string[]): Buffer | undefined {
  const codings = (valueOf(fields, 'content-encoding') ?? '').split(',').map((each) => each.trim())
  let plain = body
  for (const coding of codings.reverse()) {
    try {
      if (coding === 'gzip' || coding === 'x-gzip') plain = gunzipSync(plain, cut)
      else if (coding === 'deflate') plain = inflated(plain)
      else if (coding === 'br')
        plain = brotliDecompressSync(plain, { finishFlush: constants.BROTLI_OPERATION_FLUSH })
    } catch {
      return undefined
    }
  }
  return plain === body ? undefined : plain
}

function inflated(bytes: Buffer): Buffer {
  try {
    return inflateSync(bytes, cut)
  } catch {
    return inflateRawSync(bytes, cut)
  }
}
