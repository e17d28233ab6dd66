import { connect } from 'node:net'
import { until } from './until.js'

/** What came of a request whose head was written byte by byte. */
export interface HeadAnswer {
  /** Of the answer, if one came. */
  readonly status?: number
  /** The code that the stream, or the connection, was ended with. */
  readonly reset?: number
}

/** A head as it is to be written, and what follows it. */
export interface WrittenHead {
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Bytes of a body; without it the head ends the stream. */
  readonly body?: string
  /** Fields behind the body. */
  readonly trailers?: readonly (readonly [name: string, value: string])[]
}

const types = { data: 0, headers: 1, reset: 3, settings: 4, goaway: 7, continuation: 9 }
const endStream = 1
const endHeaders = 4

/** Sends one request over HTTP/2 without TLS, with fields that no client of Node's would write, and reads how it is answered. */
export async function http2Head(port: number, { fields, body, trailers }: WrittenHead): Promise<HeadAnswer> {
  const last = body === undefined && trailers === undefined
  const parts = [
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(types.settings, 0, 0),
    ...block(hpack(fields), last ? endStream : 0),
  ]
  if (body !== undefined)
    parts.push(frame(types.data, trailers === undefined ? endStream : 0, 1, Buffer.from(body, 'latin1')))
  if (trailers !== undefined) parts.push(frame(types.headers, endHeaders | endStream, 1, hpack(trailers)))
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let received = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
  })
  let ended = false
  socket.on('error', () => {})
  socket.on('close', () => {
    ended = true
  })
  socket.write(Buffer.concat(parts))
  const found = await until(
    () => answerIn(received) ?? (ended ? {} : undefined),
    'an answer or the end',
  ).finally(() => socket.destroy())
  return found
}

function answerIn(bytes: Buffer): HeadAnswer | undefined {
  for (let at = 0; bytes.length >= at + 9; ) {
    const length = bytes.readUIntBE(at, 3)
    if (bytes.length < at + 9 + length) return undefined
    const payload = bytes.subarray(at + 9, at + 9 + length)
    const type = bytes[at + 3]
    if (type === types.headers) return { status: statusIn(payload) }
    if (type === types.reset) return { reset: payload.readUInt32BE(0) }
    if (type === types.goaway) return { reset: payload.readUInt32BE(4) }
    at += 9 + length
  }
  return undefined
}

/** A frame (RFC 9113 section 4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A block of fields, in as many frames as it takes (RFC 9113 section 4.3). */
function block(bytes: Buffer, flags: number): Buffer[] {
  const most = 16_384
  const frames: Buffer[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += most) {
    const ends = at + most >= bytes.length ? endHeaders : 0
    const type = at === 0 ? types.headers : types.continuation
    frames.push(frame(type, ends | (at === 0 ? flags : 0), 1, bytes.subarray(at, at + most)))
  }
  return frames
}

/** Fields as literals that are never indexed, without Huffman's code (RFC 7541 section 6.2.3). */
function hpack(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0x10]), ...literal(name), ...literal(value)]),
  )
}

function literal(text: string): Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  return [integer(bytes.length), bytes]
}

/** An integer with a prefix of 7 bits (RFC 7541 section 5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value])
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

/** The status in the first field of a connection's first answer: nothing is in the dynamic table yet. */
function statusIn(block: Buffer): number {
  const indexed: Record<number, number> = { 8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500 }
  const first = block[0] as number
  if (first >= 0x80) return indexed[first - 0x80] as number
  const size = block[1] as number
  const bytes = block.subarray(2, 2 + (size & 127))
  return Number(size >= 128 ? digits(bytes) : bytes.toString('latin1'))
}

/** Digits in Huffman's code (RFC 7541 appendix B): five bits for 0 to 2, six for the others. */
function digits(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  let text = ''
  for (let at = 0; text.length < 3; ) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2)
    if (five <= 2) {
      text += five
      at += 5
    } else {
      text += Number.parseInt(bits.slice(at, at + 6), 2) - 22
      at += 6
    }
  }
  return text
}
