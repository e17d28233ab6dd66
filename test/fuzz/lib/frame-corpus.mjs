import { blank } from './mark.mjs'

/** What a connection of HTTP/2 begins with: the preface, and settings that change nothing. */
export const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(4, 0, 0, Buffer.alloc(0)),
])

/** One frame (RFC 9113 section 4.1). */
export function frame(type, flags, stream, payload) {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Fields as literals that no table keeps (RFC 7541 section 6.2.2). */
export function block(...fields) {
  const text = (value) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')])
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

const [END, HEADERS_END, PADDED, PRIORITY] = [1, 4, 8, 32]
const [data, headers, priority, reset, settings, promise, ping, away, window, continuation] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
]

const pseudo = (method, ...more) =>
  block(
    [':method', method],
    [':scheme', 'https'],
    [':path', `/${blank}`],
    [':authority', 'a.example'],
    ...more,
  )
const get = (stream, ...more) => frame(headers, END | HEADERS_END, stream, pseudo('GET', ...more))
const post = (stream, ...more) => frame(headers, HEADERS_END, stream, pseudo('POST', ...more))
const bytes = (...list) => Buffer.from(list)
const ascii = (text) => Buffer.from(text, 'latin1')
const smuggled = ascii(`GET /smuggled-${blank} HTTP/1.1\r\nHost: a.example\r\n\r\n`)

/** Frames that stand alone. */
const frames = [
  get(1),
  get(1, ['cookie', 'a=b'], ['cookie', 'c=d'], ['te', 'trailers']),
  get(3),
  get(5, ['content-length', '5']),
  get(1, ['transfer-encoding', 'chunked']),
  get(1, ['connection', 'close'], ['host', 'b.example']),
  get(1, ['x', 'a\r\nx-injected: b'], ['y\r\nz', 'w']),
  get(1, ['x-exchange', '1'], [':path', '/again'], ['Upper', 'case']),
  frame(headers, END | HEADERS_END, 1, block([':method', 'GET'], [':scheme', 'https'], [':authority', 'a'])),
  frame(
    headers,
    END | HEADERS_END,
    1,
    block(
      [':method', 'GET / HTTP/1.1\r\nHost: b\r\n\r\n'],
      [':scheme', 'https'],
      [':path', `/${blank} HTTP/1.1\r\n`],
    ),
  ),
  frame(
    headers,
    HEADERS_END,
    1,
    block(
      [':method', 'CONNECT'],
      [':protocol', 'websocket'],
      [':scheme', 'https'],
      [':path', `/${blank}`],
      [':authority', 'a'],
    ),
  ),
  frame(headers, HEADERS_END, 1, block([':method', 'CONNECT'], [':authority', 'a.example:443'])),
  frame(headers, END, 1, pseudo('GET').subarray(0, 20)),
  frame(continuation, HEADERS_END, 1, pseudo('GET').subarray(20)),
  frame(continuation, 0, 1, Buffer.alloc(0)),
  frame(headers, END | HEADERS_END | PADDED, 1, Buffer.concat([bytes(4), pseudo('GET'), Buffer.alloc(4)])),
  frame(headers, END | HEADERS_END | PRIORITY, 1, Buffer.concat([bytes(0, 0, 0, 1, 16), pseudo('GET')])),
  post(1),
  post(1, ['content-length', '12']),
  post(3, ['content-length', '1']),
  frame(headers, END | HEADERS_END, 1, block(['x-checksum', blank], ['content-length', '9'])),
  frame(data, END, 1, ascii(blank)),
  frame(data, 0, 1, ascii('hello')),
  frame(data, END, 1, smuggled),
  frame(data, END, 3, Buffer.alloc(0)),
  frame(data, PADDED, 1, Buffer.concat([bytes(255), ascii('x')])),
  frame(priority, 0, 3, bytes(0, 0, 0, 3, 255)),
  frame(reset, 0, 1, bytes(0, 0, 0, 8)),
  frame(settings, 0, 0, bytes(0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)),
  frame(settings, 0, 0, bytes(0, 3, 0, 0, 0, 0, 0, 5, 255, 255, 255, 255)),
  frame(settings, 1, 0, Buffer.alloc(0)),
  frame(promise, HEADERS_END, 1, Buffer.concat([bytes(0, 0, 0, 2), pseudo('GET')])),
  frame(ping, 0, 0, ascii('12345678')),
  frame(away, 0, 0, bytes(0, 0, 0, 0, 0, 0, 0, 0)),
  frame(window, 0, 0, bytes(0, 0, 255, 255)),
  frame(window, 0, 1, bytes(127, 255, 255, 255)),
  frame(window, 0, 0, bytes(0, 0, 0, 0)),
  frame(99, 255, 1, ascii('unknown')),
]

/** What mutated frames are made of. */
export const http2 = {
  whole: [
    get(1),
    Buffer.concat([get(1), get(3), get(5)]),
    Buffer.concat([post(1), frame(data, END, 1, ascii(blank))]),
    Buffer.concat([post(1, ['content-length', '12']), frame(data, END, 1, ascii(blank))]),
    Buffer.concat([
      post(1),
      frame(data, 0, 1, ascii('hello')),
      frame(headers, END | HEADERS_END, 1, block(['x-checksum', blank])),
    ]),
    Buffer.concat([get(1), frame(reset, 0, 1, bytes(0, 0, 0, 8)), get(3)]),
    Buffer.concat([get(1, ['content-length', '5']), frame(data, END, 1, smuggled)]),
  ],
  first: frames,
  parts: frames,
  seam: Buffer.alloc(0),
  last: frames,
  scraps: [
    ...frames,
    bytes(0),
    bytes(0, 0, 0),
    bytes(255, 255, 255),
    bytes(0x80),
    bytes(0x40),
    bytes(0x3f, 0xe1, 0x1f),
    bytes(0x82, 0x84, 0x87),
    ascii('\r\n'),
    smuggled,
  ],
  ahead: frame(ping, 0, 0, ascii('12345678')),
  within: frame(priority, 0, 3, bytes(0, 0, 0, 3, 255)),
}
