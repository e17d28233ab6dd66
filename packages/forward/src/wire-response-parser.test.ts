import { ProxyError } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wireLimits } from './wire-limits.js'
import { type Asked, type ResponseEvents, type ResponseHead, ResponseParser } from './wire-response-parser.js'

type Event =
  | { informed: number; headers: HeaderList }
  | { status: number; headers: HeaderList; framing: string; length: number | undefined; keepAlive: boolean }
  | { data: string }
  | { trailers: HeaderList | undefined }

interface Read {
  readonly events: Event[]
  readonly error: string | undefined
  readonly hint: number | undefined
  /** Bytes of the last piece that weren't read. */
  readonly unread: number
}

/** Bytes that make a difference to whoever reads them: each piece lies between two of them. */
const poisons = ['\r\n\r\n', '\n', '0\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n', '\0\xff', '9'].map((text) =>
  Buffer.from(text, 'latin1'),
)
const get: Asked = { method: 'GET', upgrade: false }

/** What a parser says of pieces of a reply. `ends`: the connection ends behind them. */
function read(pieces: readonly Buffer[], asked: Asked = get, ends = false): Read {
  const events: Event[] = []
  let bytes: Buffer = Buffer.alloc(0)
  let from = 0
  let until = 0
  let over = false
  const tell = (event: Event): void => {
    if (over) throw new Error('an event behind the end')
    events.push(event)
  }
  const listener: ResponseEvents = {
    informed: (informed, headers) => tell({ informed, headers: [...headers] }),
    answered: ({ status, headers, framing, length, keepAlive }: ResponseHead) =>
      tell({ status, headers: [...headers], framing, length, keepAlive }),
    data: (start, stop) => {
      if (start < from || stop > until || start >= stop) throw new Error('bytes that were not given')
      const data = bytes.toString('latin1', start, stop)
      const last = events.at(-1)
      if (last !== undefined && 'data' in last) last.data += data
      else tell({ data })
    },
    ended: (trailers) => {
      tell({ trailers })
      over = true
    },
  }
  const parser = new ResponseParser(listener)
  parser.begin(asked)
  let unread = 0
  let error: string | undefined
  try {
    for (const [index, piece] of pieces.entries()) {
      const poison = poisons[(index + piece.length) % poisons.length] as Buffer
      bytes = Buffer.concat([poison, piece, poison])
      from = poison.length
      until = from + piece.length
      unread = until - parser.execute(bytes, from, until)
    }
    if (ends) parser.finish()
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown
    error = `${thrown.code}: ${thrown.message}`
  }
  return { events, error, hint: parser.keptFor, unread }
}

const whole = (text: string): Buffer[] => [Buffer.from(text, 'latin1')]
const bytewise = (text: string): Buffer[] => Array.from(text, (char) => Buffer.from(char, 'latin1'))
const cut = (text: string, at: number): Buffer[] => [
  Buffer.from(text.slice(0, at), 'latin1'),
  Buffer.from(text.slice(at), 'latin1'),
]

/** Reads a text whole, cut in two at every byte, and byte by byte: all must say the same. */
function readInAllWays(text: string, asked: Asked = get, ends = false): Read {
  const one = read(whole(text), asked, ends)
  const others = [bytewise(text), ...Array.from(text, (_, at) => cut(text, at))]
  for (const pieces of others) {
    const other = read(pieces, asked, ends)
    if (one.error === undefined) {
      expect({ ...other, unread: 0 }).toEqual({ ...one, unread: 0 })
    } else {
      // In pieces it may have got further before what is wrong came, never elsewhere, and never through.
      expect(other.error).toBeDefined()
      expect(startsWith(other.events, one.events)).toBe(true)
    }
  }
  return one
}

function startsWith(all: readonly Event[], start: readonly Event[]): boolean {
  return start.every((event, index) => {
    const other = all[index]
    if (other === undefined) return false
    if ('data' in event && 'data' in other) return other.data.startsWith(event.data)
    return JSON.stringify(event) === JSON.stringify(other)
  })
}

const ok = 'HTTP/1.1 200 OK\r\n'
const empty = `Content-Length: 0\r\n\r\n`
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`

/** The body of a reply that has to be read. */
function bodyOf(text: string, asked: Asked = get, ends = false): string {
  const { events, error } = readInAllWays(text, asked, ends)
  expect(error).toBeUndefined()
  expect(events.at(-1)).toHaveProperty('trailers')
  return events.map((event) => ('data' in event ? event.data : '')).join('')
}

function headOf(text: string, asked: Asked = get, ends = false): Extract<Event, { status: number }> {
  const { events, error } = readInAllWays(text, asked, ends)
  expect(error).toBeUndefined()
  const head = events.find((event) => 'status' in event)
  if (head === undefined) throw new Error('no head')
  return head as Extract<Event, { status: number }>
}

function refusal(text: string, asked: Asked = get, ends = false): string {
  const { error } = readInAllWays(text, asked, ends)
  return error ?? 'it was taken'
}

describe('the status line (RFC 9112 section 4)', () => {
  it.each([
    ['HTTP/1.1 200 OK\r\n', 200],
    ['HTTP/1.0 404 Not Found\r\n', 404],
    ['HTTP/1.1 200 \r\n', 200],
    ['HTTP/1.1 200\r\n', 200],
    ['HTTP/1.1 599 \t~\xe9\xff\r\n', 599],
  ])('%j', (line, status) => {
    expect(headOf(line + empty).status).toBe(status)
  })

  it.each([
    'HTTP/1.2 200 OK\r\n',
    'HTTP/2.0 200 OK\r\n',
    'HTTP/0.9 200 OK\r\n',
    'HTTP/11 200 OK\r\n',
    'HTTP/1.10 200 OK\r\n',
    'http/1.1 200 OK\r\n',
    'HTTPS/1.1 200 OK\r\n',
    'ICY 200 OK\r\n',
    ' HTTP/1.1 200 OK\r\n',
    '\r\nHTTP/1.1 200 OK\r\n',
    '\nHTTP/1.1 200 OK\r\n',
    '\r\n',
    'HTTP/1.1  200 OK\r\n',
    'HTTP/1.1\t200 OK\r\n',
    'HTTP/1.1 20 OK\r\n',
    'HTTP/1.1 2000 OK\r\n',
    'HTTP/1.1 2x0 OK\r\n',
    'HTTP/1.1 +20 OK\r\n',
    'HTTP/1.1 099 OK\r\n',
    'HTTP/1.1 000 OK\r\n',
    'HTTP/1.1 600 OK\r\n',
    'HTTP/1.1 999 OK\r\n',
    'HTTP/1.1 200\tOK\r\n',
    'HTTP/1.1 200OK\r\n',
    'HTTP/1.1 200 O\0K\r\n',
    'HTTP/1.1 200 O\x7fK\r\n',
    'HTTP/1.1 200 O\x1bK\r\n',
    'HTTP/1.1 200 O\rK\r\n',
    'HTTP/1.1 200 OK\n',
    'HTTP/1.1 200 OK\r\r\n',
    'HTTP/1.1 200 OK\n\r\n',
    'HTTP/1.1 \xb200 OK\r\n',
    'GET / HTTP/1.1\r\n',
    '\x16\x03\x01',
    '<html>',
  ])('%j is none', (line) => {
    expect(refusal(line + empty)).toMatch(/^http_protocol_error/)
  })
})

describe('fields (RFC 9112 section 5)', () => {
  it('keep order, case and repetition', () => {
    const head = headOf(`${ok}b: 1\r\nA:2\r\nB: \t3 \t\r\nb:\r\nSet-Cookie: x\r\nset-cookie: y\r\n${empty}`)
    expect(head.headers).toEqual(
      ['b', '1', 'A', '2', 'B', '3', 'b', '', 'Set-Cookie', 'x', 'set-cookie', 'y'].concat([
        'Content-Length',
        '0',
      ]),
    )
  })

  it('hold any byte but control bytes', () => {
    expect(headOf(`${ok}x: a\tb \x80\xa0\xff: "\r\n${empty}`).headers[1]).toBe('a\tb \x80\xa0\xff: "')
  })

  it.each([
    ['obs-fold', 'a: b\r\n c'],
    ['obs-fold with a tab', 'a: b\r\n\tc'],
    ['obs-fold at the start', ' a: b'],
    ['a line of blanks', 'a: b\r\n \r\nc: d'],
    ['a blank before the colon', 'a : b'],
    ['a tab before the colon', 'a\t: b'],
    ['a blank in the name', 'a b: c'],
    ['no name', ': b'],
    ['no colon', 'ab'],
    ['a name above ASCII', 'a\xe9: b'],
    ['a control byte in the name', 'a\0: b'],
    ['a bracket in the name', 'a[0]: b'],
    ['NUL in the value', 'a: b\0c'],
    ['DEL in the value', 'a: \x7f'],
    ['a bell in the value', 'a: \x07'],
    ['a line feed alone', 'a: b\nc: d'],
    ['a carriage return alone', 'a: b\rc: d'],
    ['two carriage returns', 'a: b\r'],
    ['a carriage return before the name', '\ra: b'],
    ['a line feed before the name', '\na: b'],
  ])('%s is refused', (_, line) => {
    expect(refusal(`${ok}${line}\r\n${empty}`)).toMatch(/^http_protocol_error/)
  })

  it.each(['\n\n', '\r\n\n', '\n\r\n'])('%j does not end a head', (end) => {
    expect(refusal(`${ok}Content-Length: 0${end}`)).toMatch(/line feed alone/)
  })

  it('a line feed alone is refused before the head is whole', () => {
    expect(read(whole('HTTP/1.1 200 OK\na')).error).toMatch(/line feed alone/)
  })

  it('a carriage return alone is refused before the head is whole', () => {
    expect(read(whole('HTTP/1.1 200 OK\r\r\r\nabc')).error).toMatch(/carriage return/)
    expect(read(cut('HTTP/1.1 200 OK\r\na: b\rc', 22)).error).toMatch(/carriage return/)
    expect(read(whole('HTTP/1.1 200 OK\r\na: b\r')).error).toBeUndefined()
  })

  it('what cannot become a head is refused with its first wrong byte', () => {
    expect(read(whole('HTTX')).error).toMatch(/not HTTP/)
    expect(read(whole('HTTP')).error).toBeUndefined()
  })
})

describe('how long a body is (RFC 9112 section 6.3)', () => {
  it.each([
    ['Content-Length: 3', 'abc', 'abc'],
    ['content-LENGTH:3  ', 'abc', 'abc'],
    ['Content-Length: 003', 'abc', 'abc'],
    ['Content-Length: 0', '', ''],
    ['Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\n\r\n', 'abc'],
    ['transfer-encoding:CHUNKED', '3\r\nabc\r\n0\r\n\r\n', 'abc'],
  ])('%j with %j', (field, body, expected) => {
    expect(bodyOf(`${ok}${field}\r\n\r\n${body}`)).toBe(expected)
  })

  it.each([
    ['the same length twice', 'Content-Length: 3\r\nContent-Length: 3'],
    ['two lengths', 'Content-Length: 3\r\ncontent-length: 4'],
    ['a list of the same length', 'Content-Length: 3, 3'],
    ['a list of two lengths', 'Content-Length: 3,4'],
    ['a plus', 'Content-Length: +3'],
    ['a minus', 'Content-Length: -3'],
    ['a hexadecimal length', 'Content-Length: 0x3'],
    ['an exponent', 'Content-Length: 3e0'],
    ['a fraction', 'Content-Length: 3.0'],
    ['an underscore', 'Content-Length: 1_0'],
    ['two numbers', 'Content-Length: 3 3'],
    ['no number', 'Content-Length:'],
    ['a word', 'Content-Length: abc'],
    ['digits of another script', 'Content-Length: \xb3'],
    ['16 digits', 'Content-Length: 0000000000000003'],
    ['more than 2^53', 'Content-Length: 9007199254740993'],
    ['more than 2^64', 'Content-Length: 18446744073709551619'],
    ['a tab behind it', 'Content-Length: 3\t'],
    ['a tab before it', 'Content-Length: \t3'],
    ['a length with a coding', 'Content-Length: 3\r\nTransfer-Encoding: chunked'],
    ['a coding with a length', 'Transfer-Encoding: chunked\r\nContent-Length: 3'],
    ['a coding twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
    ['another coding, then chunked', 'Transfer-Encoding: gzip, chunked'],
    ['another coding', 'Transfer-Encoding: gzip'],
    ['identity', 'Transfer-Encoding: identity'],
    ['chunked twice', 'Transfer-Encoding: chunked, chunked'],
    ['chunked, then another coding', 'Transfer-Encoding: chunked, gzip'],
    ['an empty member', 'Transfer-Encoding: ,chunked'],
    ['a quoted coding', 'Transfer-Encoding: "chunked"'],
    ['a parameter', 'Transfer-Encoding: chunked;q=1'],
    ['nearly chunked', 'Transfer-Encoding: xchunked'],
    ['chunked with a tab behind it', 'Transfer-Encoding: chunked\t'],
    ['chunked with a tab before it', 'Transfer-Encoding:\tchunked'],
    ['chunked with a control byte', 'Transfer-Encoding: \x0bchunked'],
    ['no coding', 'Transfer-Encoding:'],
    ['a folded coding', 'Transfer-Encoding:\r\n chunked'],
  ])('%s is refused, whatever was asked', (_, fields) => {
    expect(refusal(`${ok}${fields}\r\n\r\n3\r\nabc\r\n0\r\n\r\n`)).toMatch(/^http_protocol_error/)
    expect(refusal(`${ok}${fields}\r\n\r\n`, { method: 'HEAD', upgrade: false })).toMatch(
      /^http_protocol_error/,
    )
    expect(refusal(`HTTP/1.1 103 x\r\n${fields}\r\n\r\n${ok}${empty}`)).toMatch(/^http_protocol_error/)
  })

  it('a coding in HTTP/1.0 is refused (section 6.1)', () => {
    expect(refusal('HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')).toMatch(/HTTP\/1.0/)
  })

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 5],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
    ['HEAD', 'HTTP/1.1 200 OK\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', 5],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 5],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
  ])('an answer to %s, %j, has no body', (method, text, length) => {
    const asked = { method, upgrade: false }
    expect(headOf(text, asked)).toMatchObject({ framing: 'none', length, keepAlive: true })
    expect(bodyOf(text, asked)).toBe('')
    expect(refusal(`${text}x`, asked)).toMatch(/behind the end/)
  })

  it('without a length it ends with the connection', () => {
    const text = `${ok}\r\nabc\r\n\r\n0\r\n\r\n`
    expect(headOf(text, get, true)).toMatchObject({ framing: 'close', keepAlive: false })
    expect(bodyOf(text, get, true)).toBe('abc\r\n\r\n0\r\n\r\n')
    expect(read(whole(text)).events.at(-1)).not.toHaveProperty('trailers')
  })

  it.each([
    ['of a length', `${ok}Content-Length: 4\r\n\r\nabc`],
    ['in chunks', `${chunked}3\r\nabc\r\n`],
    ['in chunks, before its last line', `${chunked}3\r\nabc\r\n0\r\n`],
    ['in its trailers', `${chunked}3\r\nabc\r\n0\r\na: b\r\n`],
  ])('a body %s that the connection cuts off is incomplete', (_, text) => {
    expect(refusal(text, get, true)).toMatch(/^http_response_incomplete/)
  })

  it('a connection that ends before the head has not answered', () => {
    expect(refusal('HTTP/1.1 200 OK\r\nConte', get, true)).toMatch(/^connection_terminated/)
    expect(read([], get, true).error).toMatch(/^connection_terminated/)
    expect(refusal('HTTP/1.1 103 x\r\n\r\n', get, true)).toMatch(/^connection_terminated/)
  })
})

describe('trailers (RFC 9112 section 7.1.2)', () => {
  it('are told with the end', () => {
    const { events } = readInAllWays(`${chunked}3\r\nabc\r\n0\r\nX-A: 1\r\nx-a:2 \r\n\r\n`)
    expect(events.at(-1)).toEqual({ trailers: ['X-A', '1', 'x-a', '2'] })
    expect(readInAllWays(`${chunked}0\r\n\r\n`).events.at(-1)).toEqual({ trailers: undefined })
  })

  it.each([
    'a : b\r\n\r\n',
    ' a: b\r\n\r\n',
    'a: b\r\n c\r\n\r\n',
    'a: b\n\r\n',
    'a: b\0\r\n\r\n',
    'a\r\n\r\n',
    '\n',
    '\rx',
    '\r\r\n',
    'Content-Length: 3\r\n\r\n',
    'a: b\r\ntransfer-encoding: chunked\r\n\r\n',
  ])('%j is refused', (trailers) => {
    expect(refusal(`${chunked}0\r\n${trailers}`)).toMatch(/^http_protocol_error/)
  })

  it('have the limits of a head', () => {
    const line = (i: number): string => `x${i}: ${'v'.repeat(1_000)}\r\n`
    const large = Array.from({ length: 66 }, (_, i) => line(i)).join('')
    expect(read(whole(`${chunked}0\r\n${large}\r\n`)).error).toMatch(/^http_response_header_section_size/)
    const many = 'a:\r\n'.repeat(wireLimits.fields + 1)
    expect(read(whole(`${chunked}0\r\n${many}\r\n`)).error).toMatch(/^http_response_header_section_size/)
  })
})

describe('informational responses (RFC 9110 section 15.2)', () => {
  it('come before the answer, each with its own fields', () => {
    const { events } = readInAllWays(
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: </a>\r\n\r\nHTTP/1.1 199 y\r\n\r\n${ok}${empty}`,
    )
    expect(events.slice(0, 3)).toEqual([
      { informed: 100, headers: [] },
      { informed: 103, headers: ['Link', '</a>'] },
      { informed: 199, headers: [] },
    ])
    expect(events[3]).toMatchObject({ status: 200 })
  })

  it('may be many, but not without end', () => {
    const one = 'HTTP/1.1 102 x\r\n\r\n'
    const last = `${ok}${empty}`
    expect(read(whole(one.repeat(wireLimits.informational) + last)).error).toBeUndefined()
    expect(read(whole(one.repeat(wireLimits.informational + 1) + last)).error).toMatch(/informational/)
    const each = Array.from({ length: wireLimits.informational + 1 }, () => Buffer.from(one))
    expect(read(each).error).toMatch(/informational/)
  })

  it('are counted anew for each request', () => {
    const events: ResponseEvents = { informed: () => {}, answered: () => {}, data: () => {}, ended: () => {} }
    const parser = new ResponseParser(events)
    const bytes = Buffer.from('HTTP/1.1 102 x\r\n\r\n'.repeat(wireLimits.informational) + ok + empty)
    for (let i = 0; i < 3; i++) {
      parser.begin(get)
      expect(parser.untouched).toBe(true)
      expect(parser.execute(bytes, 0, bytes.length)).toBe(bytes.length)
      expect(parser.ended).toBe(true)
    }
  })
})

it('a reply that was cut off, and its hint, are forgotten with the next request', () => {
  let body = ''
  const bytes = Buffer.from(`${chunked}3\r\nabc\r\n0\r\n\r\n`)
  const parser = new ResponseParser({
    informed: () => {},
    answered: () => {},
    data: (from, to) => {
      body += bytes.toString('latin1', from, to)
    },
    ended: () => {},
  })
  const first = Buffer.from(`${ok}Keep-Alive: timeout=5\r\n${empty}`)
  parser.begin(get)
  parser.execute(first, 0, first.length)
  expect(parser.keptFor).toBe(5)
  for (let end = 1; end <= bytes.length; end++) {
    parser.begin(get)
    parser.execute(bytes, 0, end)
    body = ''
    parser.begin(get)
    parser.execute(bytes, 0, bytes.length)
    expect([body, parser.ended, parser.keptFor]).toEqual(['abc', true, undefined])
  }
})

it('a connection at rest holds nothing of the last reply but for how long it may', () => {
  const parser = new ResponseParser({ informed() {}, answered() {}, data() {}, ended() {} })
  const reply = Buffer.from(`HTTP/1.1 200 Fine\r\nKeep-Alive: timeout=5\r\n${empty}`)
  parser.begin(get)
  parser.execute(reply, 0, reply.length)
  expect([parser.headers.length > 0, parser.reason]).toEqual([true, 'Fine'])
  parser.forget()
  expect([parser.headers, parser.reason, parser.keptFor]).toEqual([[], undefined, 5])
})

describe('a change of protocol (RFC 9110 section 15.2.2)', () => {
  const asked = { method: 'GET', upgrade: true }
  const yes = 'HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\n'

  it('leaves what follows to the tunnel', () => {
    const { events, unread } = read(whole(`${yes}\0\xffany`), asked)
    expect(events[0]).toMatchObject({ status: 101, framing: 'tunnel' })
    expect(unread).toBe(5)
    expect(headOf(yes, asked).framing).toBe('tunnel')
  })

  it.each([
    ['that nobody asked for', yes, get],
    ['without Upgrade', 'HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n', asked],
    ['with an empty Upgrade', 'HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade:\r\n\r\n', asked],
    ['without Connection', 'HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\n', asked],
    ['with another Connection', 'HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgraded\r\n\r\n', asked],
  ])('a 101 %s is refused', (_, text, request) => {
    expect(refusal(text, request)).toMatch(/^http_protocol_error: .*101/)
  })

  it('a refusal is an answer as any other', () => {
    expect(bodyOf(`HTTP/1.1 426 x\r\nContent-Length: 3\r\n\r\nabc`, asked)).toBe('abc')
  })

  it('CONNECT has its tunnel with any 2xx, and no other', () => {
    const connect = { method: 'CONNECT', upgrade: false }
    expect(read(whole(`${ok}\r\nany`), connect)).toMatchObject({ unread: 3, error: undefined })
    expect(bodyOf('HTTP/1.1 403 x\r\nContent-Length: 3\r\n\r\nabc', connect)).toBe('abc')
  })
})

describe('whether the connection lasts (RFC 9112 section 9.3)', () => {
  it.each([
    ['HTTP/1.1', '', true],
    ['HTTP/1.1', 'Connection: keep-alive\r\n', true],
    ['HTTP/1.1', 'Connection: close\r\n', false],
    ['HTTP/1.1', 'connection: CLOSE\r\n', false],
    ['HTTP/1.1', 'Connection: x, \tClose \r\n', false],
    ['HTTP/1.1', 'Connection: closed\r\n', true],
    ['HTTP/1.1', 'Connection: x-close\r\n', true],
    ['HTTP/1.1', 'Connection: x\r\nConnection: close\r\n', false],
    ['HTTP/1.1', 'Connection: close, keep-alive\r\n', false],
    ['HTTP/1.1', 'Connection: keep-alive\r\nConnection: close\r\n', false],
    ['HTTP/1.1', 'X-Connection: close\r\n', true],
    ['HTTP/1.0', '', false],
    ['HTTP/1.0', 'Connection: keep-alive\r\n', true],
    ['HTTP/1.0', 'Connection: x, Keep-Alive\r\n', true],
    ['HTTP/1.0', 'Connection: keep-alive\xa0,x\r\n', false],
    ['HTTP/1.0', 'Connection: close, keep-alive\r\n', false],
    ['HTTP/1.0', 'Keep-Alive: timeout=5\r\n', false],
  ])('%s with %j: %s', (version, field, expected) => {
    expect(headOf(`${version} 200 OK\r\n${field}${empty}`).keepAlive).toBe(expected)
  })

  it('keeps the hint of how long', () => {
    expect(read(whole(`${ok}Keep-Alive: max=9, Timeout=5\r\n${empty}`)).hint).toBe(5)
    for (const said of [
      '',
      'Keep-Alive: max=9\r\n',
      'Keep-Alive: timeout=soon\r\n',
      'Keep-Alive: untimeout=5\r\n',
    ])
      expect(read(whole(ok + said + empty)).hint).toBeUndefined()
  })

  it.each([
    ['a length', `${ok}Content-Length: 3\r\n\r\nabc`],
    ['no body', `${ok}${empty}`],
    ['chunks', `${chunked}3\r\nabc\r\n0\r\n\r\n`],
    ['trailers', `${chunked}0\r\na: b\r\n\r\n`],
    ['keep-alive in HTTP/1.0', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc'],
  ])('bytes behind a reply with %s are refused', (_, text) => {
    for (const more of ['x', '\r\n', '\n', '\0', text]) expect(refusal(text + more)).toMatch(/behind the end/)
  })

  it('a reply with bytes behind it that came with it is told to nobody', () => {
    expect(read(whole(`${ok}Content-Length: 3\r\n\r\nabcd`)).events).toEqual([])
    expect(read(whole(`${ok}${empty}d`)).events).toEqual([])
    // Nor is its end, if its head was told before.
    for (const [head, rest] of [
      ['Content-Length: 3\r\n\r\na', 'bcd'],
      ['Transfer-Encoding: chunked\r\n\r\n', '1\r\na\r\n0\r\n\r\nd'],
      ['Transfer-Encoding: chunked\r\n\r\n', '0\r\na: b\r\n\r\nd'],
    ] as const) {
      const { events, error } = read([Buffer.from(ok + head), Buffer.from(rest)])
      expect(error).toMatch(/behind the end/)
      expect(events.some((event) => 'trailers' in event)).toBe(false)
    }
  })

  it('bytes behind a reply that ends its connection are nobody’s', () => {
    for (const [framing, body] of [
      ['Content-Length: 3', 'abc'],
      ['Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\n\r\n'],
    ]) {
      const text = `${ok}Connection: close\r\n${framing}\r\n\r\n${body}`
      expect(bodyOf(`${text}HTTP/1.1 200 OK\r\n\r\n`)).toBe('abc')
    }
  })

  it('bytes before a request are refused', () => {
    const parser = new ResponseParser({
      informed: () => {},
      answered: () => {},
      data: () => {},
      ended: () => {},
    })
    expect(parser.ended).toBe(true)
    expect(() => parser.execute(Buffer.from(ok), 0, ok.length)).toThrow(ProxyError)
  })
})

describe('limits', () => {
  const headOfSize = (size: number): string => {
    const rest = `${ok}Content-Length: 0\r\nx: \r\n\r\n`.length
    return `${ok}Content-Length: 0\r\nx: ${'v'.repeat(size - rest)}\r\n\r\n`
  }
  const inPieces = (text: string, size: number): Buffer[] =>
    (text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []).map((piece) => Buffer.from(piece))

  it.each([4_095, 4_096, 4_097, 20_000, wireLimits.head])(
    'a head of %i bytes is read, however it comes',
    (size) => {
      const text = headOfSize(size)
      for (const step of [size, size - 1, 4_096, 4_097, 1_000, 61])
        expect(read(inPieces(text, step))).toMatchObject({ error: undefined })
    },
  )

  it('a head beyond the limit is refused, whole or before it is', () => {
    const text = headOfSize(wireLimits.head + 1)
    for (const step of [text.length, text.length - 1, 4_096, 1_000, 61])
      expect(read(inPieces(text, step)).error).toMatch(/^http_response_header_section_size/)
    expect(read(whole(`${ok}x: ${'v'.repeat(wireLimits.head)}`)).error).toMatch(/_size/)
  })

  it('a body in the same piece counts for nothing', () => {
    const body = 'b'.repeat(200_000)
    expect(read(whole(`${ok}Content-Length: ${body.length}\r\n\r\n${body}`)).error).toBeUndefined()
  })

  it('fields have a limit', () => {
    const fields = (count: number): string => `${ok}${'a:\r\n'.repeat(count)}\r\n`
    expect(read(whole(fields(wireLimits.fields)), get, true).error).toBeUndefined()
    expect(read(whole(fields(wireLimits.fields + 1)), get, true).error).toMatch(/_size/)
  })
})

const tokenChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
const valueChars = [9, ...Array.from({ length: 256 - 32 }, (_, i) => i + 32).filter((code) => code !== 127)]
const name = fc
  .string({ unit: fc.constantFrom(...tokenChars.split('')), minLength: 1, maxLength: 30 })
  .filter((text) => !/^(content-length|transfer-encoding|connection|keep-alive)$/i.test(text))
const fieldValue = fc
  .array(fc.constantFrom(...valueChars), { maxLength: 40 })
  .map((codes) => String.fromCharCode(...codes).replace(/^[ \t]+|[ \t]+$/g, ''))
const fieldList = fc
  .array(fc.tuple(name, fieldValue), { maxLength: 8 })
  .map((fields) => fields.flat() as HeaderList)
const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString('latin1'))
const extension = fc.constantFrom('', ';a', ';a=b', ';a="b;\\"\xe9";c=d')

function lines(fields: HeaderList): string {
  let text = ''
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`
  return text
}

const framed = fc.oneof(
  bytes.map((body) => ({
    field: ['Content-Length', String(body.length)],
    wire: body,
    body,
    trailers: undefined,
    ends: false,
  })),
  bytes.map((body) => ({ field: [], wire: body, body, trailers: undefined, ends: true })),
  fc
    .tuple(fc.array(fc.tuple(bytes, extension, fc.boolean()), { maxLength: 4 }), fieldList)
    .map(([parts, trailers]) => {
      const chunks = parts.filter(([part]) => part !== '')
      const wire = chunks.map(([part, ext, upper]) => {
        const size = part.length.toString(16)
        return `${upper ? size.toUpperCase() : size}${ext}\r\n${part}\r\n`
      })
      return {
        field: ['Transfer-Encoding', 'chunked'],
        wire: `${wire.join('')}0\r\n${lines(trailers)}\r\n`,
        body: chunks.map(([part]) => part).join(''),
        trailers: trailers.length === 0 ? undefined : trailers,
        ends: false,
      }
    }),
)

/** Cuts a text at any places. */
function pieces(text: string, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((at) => at % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((at, i) => Buffer.from(text.slice(at, places[i]), 'latin1'))
}

const cuts = fc.array(fc.nat(100_000), { maxLength: 12 })

describe('properties', () => {
  it('a well-formed reply gives back what it was made of, however it is cut', () => {
    const informational = fc.array(fc.tuple(fc.constantFrom(100, 102, 103, 199), fieldList), { maxLength: 2 })
    const statuses = fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304)
    fc.assert(
      fc.property(
        informational,
        statuses,
        fieldValue,
        fieldList,
        framed,
        cuts,
        (before, status, reason, fields, one, at) => {
          const headers = [...fields, ...one.field]
          const start = before.map(([early, with_]) => `HTTP/1.1 ${early} x\r\n${lines(with_)}\r\n`).join('')
          const text = `${start}HTTP/1.1 ${status} ${reason}\r\n${lines(headers)}\r\n${one.wire}`
          const { events, error } = read(pieces(text, at), get, one.ends)
          expect(error).toBeUndefined()
          const early = before.map(([informed, with_]) => ({ informed, headers: with_ }))
          expect(events.slice(0, early.length)).toEqual(early)
          expect(events[early.length]).toMatchObject({ status, headers })
          expect(events.map((event) => ('data' in event ? event.data : '')).join('')).toBe(one.body)
          expect(events.at(-1)).toEqual({ trailers: one.trailers })
        },
      ),
      { numRuns: 500 },
    )
  })

  it('any bytes give events or a ProxyError, and the same however they are cut', () => {
    const scraps = [
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.0 200\r\n',
      'HTTP/1.1 100 \r\n\r\n',
      'Content-Length: 3\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Connection: close\r\n',
      'a: b\r\n',
      '\r\n',
      '\n',
      '\r',
      ' ',
      '3\r\nabc\r\n',
      '0\r\n',
      ';x="',
      'abc',
    ]
    const anything = fc.array(fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...scraps) }, bytes), {
      maxLength: 12,
    })
    const anyAsked = fc.record({ method: fc.constantFrom('GET', 'HEAD', 'CONNECT'), upgrade: fc.boolean() })
    fc.assert(
      fc.property(anything, anyAsked, cuts, fc.boolean(), (parts, asked, at, ends) => {
        const text = parts.join('')
        const one = read(whole(text), asked, ends)
        const other = read(pieces(text, at), asked, ends)
        if (one.error === undefined) expect(other.events).toEqual(one.events)
        else expect(startsWith(other.events, one.events)).toBe(true)
        expect(other.error === undefined).toBe(one.error === undefined)
      }),
      { numRuns: 3_000 },
    )
  })
})
