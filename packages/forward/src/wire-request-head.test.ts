import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type Outbound, ProxyError } from '@sluice/core'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requestHead } from './wire-request-head.js'

function head(given: Partial<Outbound> = {}, upgrade?: string, chunked = false, host = 'target:80'): string {
  return requestHead({ method: 'GET', path: '/', headers: [], body: null, ...given }, host, upgrade, chunked)
}

/** The head, or the code of why there is none. */
function headOr(...args: Parameters<typeof head>): string {
  try {
    return head(...args)
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error
    return error.code
  }
}

const refused = 'http_request_error'

interface Parsed {
  readonly method: string
  readonly target: string
  readonly fields: string[]
}

/** A strict reader, written after the grammar of RFC 9112 alone: one head and nothing else, or an error. */
function readRequest(text: string): Parsed {
  if (Array.from(text, (char) => char.charCodeAt(0)).some((code) => code > 255))
    throw new Error('more than a byte')
  const end = text.indexOf('\r\n\r\n')
  if (end !== text.length - 4) throw new Error('not exactly one head')
  const [line = '', ...rest] = text.slice(0, end).split('\r\n')
  const request = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.1$/.exec(line)
  if (request === null) throw new Error(`no request line: ${line}`)
  const fields = rest.flatMap((each) => {
    const field =
      /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*$/.exec(
        each,
      )
    if (field === null) throw new Error(`no field: ${each}`)
    return [field[1] as string, field[2] as string]
  })
  return { method: request[1] as string, target: request[2] as string, fields }
}

it('is written as it stands in the list', () => {
  const headers = ['b', '1', 'Host', 'x:1', 'A', '', 'b', '\x80\xff\t~', 'Content-Length', '0']
  expect(head({ method: 'OPTIONS', path: '*', headers })).toBe(
    'OPTIONS * HTTP/1.1\r\nb: 1\r\nHost: x:1\r\nA: \r\nb: \x80\xff\t~\r\nContent-Length: 0\r\n\r\n',
  )
})

it('has the target’s name where it has none', () => {
  expect(head({ headers: ['a', 'b'] })).toBe('GET / HTTP/1.1\r\nHost: target:80\r\na: b\r\n\r\n')
  expect(head({ headers: ['hOST', 'c'] })).toBe('GET / HTTP/1.1\r\nhOST: c\r\n\r\n')
  expect(headOr({}, undefined, false, 'a\r\nb: c')).toBe(refused)
})

it('names the fields of this hop (RFC 9110 sections 7.8 and 10.1.4)', () => {
  const start = 'GET / HTTP/1.1\r\nHost: target:80\r\n'
  const te = { headers: ['te', 'trailers'] }
  expect(head(te)).toBe(`${start}te: trailers\r\nConnection: TE\r\n\r\n`)
  expect(head({}, 'websocket')).toBe(`${start}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
  expect(head(te, 'h2c')).toBe(`${start}te: trailers\r\nConnection: Upgrade, TE\r\nUpgrade: h2c\r\n\r\n`)
  for (const upgrade of ['', 'a\r\nb: c', 'a\nb', 'a\0', 'aŁ']) expect(headOr({}, upgrade)).toBe(refused)
})

describe('the length of the body stands in it once (RFC 9112 section 6.2)', () => {
  const post = (body: Outbound['body'], headers: string[] = []): Partial<Outbound> => ({
    method: 'POST',
    headers: ['Host', 'x', ...headers],
    body,
  })
  const start = 'POST / HTTP/1.1\r\nHost: x\r\n'
  const stream = { length: 5 } as unknown as Outbound['body']

  it.each([
    ['nothing', null, ''],
    ['an empty text', '', 'Content-Length: 0\r\n'],
    ['a text', 'aé€', 'Content-Length: 6\r\n'],
    ['bytes', Buffer.from('abc'), 'Content-Length: 3\r\n'],
    ['a body of known length', stream, 'Content-Length: 5\r\n'],
  ])('of %s', (_, body, line) => {
    expect(head(post(body))).toBe(`${start}${line}\r\n`)
  })

  it('and is in chunks where it isn’t known', () => {
    expect(head(post(stream), undefined, true)).toBe(`${start}Transfer-Encoding: chunked\r\n\r\n`)
    expect(headOr(post({} as Outbound['body']))).toBe(refused)
  })

  it('as the list has it, if that is right', () => {
    expect(head(post(stream, ['content-length', '5']))).toBe(`${start}content-length: 5\r\n\r\n`)
    expect(head(post(null, ['Content-Length', '0']))).toBe(`${start}Content-Length: 0\r\n\r\n`)
  })

  it.each([
    ['too short', 'abc', ['Content-Length', '2'], false],
    ['too long', 'abc', ['Content-Length', '4'], false],
    ['without a body', null, ['Content-Length', '3'], false],
    ['no number', 'abc', ['Content-Length', '3, 3'], false],
    ['with a sign', 'abc', ['Content-Length', '+3'], false],
    ['empty', '', ['Content-Length', ''], false],
    ['twice', 'abc', ['Content-Length', '3', 'content-length', '3'], false],
    ['with chunks', stream, ['Content-Length', '5'], true],
    ['with a coding', 'abc', ['Content-Length', '3', 'Transfer-Encoding', 'chunked'], false],
    ['a coding of its own', stream, ['transfer-encoding', 'chunked'], true],
    ['another coding', stream, ['Transfer-Encoding', 'gzip'], true],
  ])('a length %s is refused', (_, body, headers, chunked) => {
    expect(headOr(post(body as Outbound['body'], headers), undefined, chunked)).toBe(refused)
  })
})

describe('what would not be one request is refused', () => {
  it.each([
    '',
    ' ',
    'G T',
    'GET ',
    ' GET',
    'GET\t',
    'GET\r\n',
    'GÉT',
    'GET:',
    'GET/',
    'G(T',
    'GET\0',
    'GETŁ',
  ])('the method %j', (method) => {
    expect(headOr({ method })).toBe(refused)
  })

  it.each([
    '',
    ' ',
    '/a b',
    '/a ',
    ' /a',
    '/\t',
    '/\r\n',
    '/\r',
    '/\n',
    '/\0',
    '/\x7f',
    '/Ł',
    '/a HTTP/1.1\r\nb: c',
  ])('the request-target %j', (path) => {
    expect(headOr({ path })).toBe(refused)
  })

  it.each([
    '',
    ' ',
    'a b',
    'a ',
    ' a',
    'a:',
    'a: b',
    ':a',
    'a\r\nb',
    'a\t',
    'a\0',
    'aé',
    'aŁ',
    'a\r',
    'a\n',
    'a\r\n\r\nb',
  ])('the name %j', (name) => {
    expect(headOr({ headers: [name, 'v'] })).toBe(refused)
    expect(headOr({ headers: ['x', 'y', name, 'v'] })).toBe(refused)
  })

  it.each([
    '\r',
    '\n',
    '\r\n',
    'a\r\nb: c',
    'a\r\n\r\nGET / HTTP/1.1\r\n\r\n',
    '\0',
    'a\x7fb',
    '\x0b',
    'Ł',
    '€',
    '\ud800',
  ])('the value %j', (value) => {
    expect(headOr({ headers: ['a', value] })).toBe(refused)
    expect(headOr({ headers: ['Host', value] })).toBe(refused)
  })

  it('characters above a byte, whose lower half is a line break', () => {
    expect(headOr({ headers: ['a', 'b\u010d\u010ac: d'] })).toBe(refused)
    expect(headOr({ path: '/\u0120HTTP/1.1\u010d\u010a' })).toBe(refused)
  })

  it('two hosts, and a list that lacks its last value', () => {
    expect(headOr({ headers: ['Host', 'a', 'host', 'a'] })).toBe(refused)
    expect(headOr({ headers: ['a'] })).toBe(refused)
  })
})

const wild = fc.oneof(
  fc.constantFrom(
    '\r',
    '\n',
    '\r\n',
    '\0',
    ' ',
    '\t',
    ':',
    '\x7f',
    '\x80',
    'é',
    'ÿ',
    '\u010a',
    '\u010d',
    '€',
    '\ud83d',
  ),
  fc.constantFrom(
    'a',
    'B',
    '/',
    '?',
    '1',
    ',',
    ' HTTP/1.1',
    '\r\n\r\nGET / HTTP/1.1\r\n',
    'Host',
    'Content-Length',
  ),
)
const tame = fc.constantFrom('a', 'B', '1', '-', '_', 'x')
const text = (share: number): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof({ weight: share, arbitrary: tame }, { weight: 1, arbitrary: wild }), { maxLength: 8 })
    .map((p) => p.join(''))
const bodies = fc.constantFrom<Outbound['body']>(null, '', 'abc', Buffer.from('xyz'))
const anyName = fc.oneof(
  { weight: 4, arbitrary: text(60) },
  fc.constantFrom('Host', 'Content-Length', 'Transfer-Encoding', 'TE', 'a', 'Connection'),
)
const anyValue = fc.oneof(
  { weight: 4, arbitrary: text(30) },
  fc.constantFrom('0', '3', 'chunked', 'trailers'),
)
const anyRequest = fc.record({
  method: fc.oneof({ weight: 3, arbitrary: fc.constantFrom('GET', 'POST', 'M-SEARCH') }, text(40)),
  path: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('/', '*', '/a?b=c', 'a:443', '/\xe9') },
    text(40).map((t) => `/${t}`),
  ),
  fields: fc.array(fc.tuple(anyName, anyValue), { maxLength: 5 }),
  body: bodies,
  chunked: fc.boolean(),
  upgrade: fc.option(fc.oneof(fc.constant('websocket'), text(20)), { nil: undefined }),
})

it('any method, target and fields are refused, or one head with the same fields in the same order', () => {
  let written = 0
  fc.assert(
    fc.property(anyRequest, ({ method, path, fields, body, chunked, upgrade }) => {
      const headers = fields.flat()
      const said = headOr({ method, path, headers, body }, upgrade, chunked)
      if (said === refused) return
      written++
      const parsed = readRequest(said)
      expect([parsed.method, parsed.target]).toEqual([method, path])
      const given = headers.map((each, i) => (i % 2 === 0 ? each : each.replace(/^[ \t]+|[ \t]+$/g, '')))
      const hosted = headers.some((each, i) => i % 2 === 0 && each.toLowerCase() === 'host')
      expect(parsed.fields.slice(0, hosted ? 0 : 2)).toEqual(hosted ? [] : ['Host', 'target:80'])
      const from = hosted ? 0 : 2
      expect(parsed.fields.slice(from, from + given.length)).toEqual(given)
      const added = parsed.fields.slice(from + given.length).filter((_, i) => i % 2 === 0)
      for (const name of added)
        expect(['Content-Length', 'Transfer-Encoding', 'Connection', 'Upgrade']).toContain(name)
      const framing = parsed.fields.filter(
        (each, i) => i % 2 === 0 && /^(content-length|transfer-encoding)$/i.test(each),
      )
      expect(framing.length).toBeLessThanOrEqual(1)
      expect(framing.length).toBe(body === null && !chunked ? framing.length : 1)
    }),
    { numRuns: 5_000 },
  )
  // Else it would have shown nothing.
  expect(written).toBeGreaterThan(500)
})

describe('at a server', () => {
  const seen: string[] = []
  const server = createServer((req: IncomingMessage, res) => {
    seen.push(`${req.method} ${req.url} ${req.rawHeaders.join('|')}`)
    req.resume()
    res.end()
  })
  beforeAll(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterAll(() => void server.close())

  /** Sends text on a raw connection of its own, and waits for its end. */
  async function sent(raw: string): Promise<string[]> {
    seen.length = 0
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.end(raw, 'latin1')
    socket.resume()
    await once(socket, 'close')
    return [...seen]
  }

  it('each head that is written is one request', async () => {
    const attacks = [
      'b\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n',
      'b\r\nX: y',
      'b\n\nGET /second HTTP/1.1\n\n',
      'b',
      '\xe9',
    ]
    let requests = 0
    for (const attack of attacks) {
      for (const given of [
        { method: attack },
        { path: `/${attack}` },
        { headers: [attack, 'v'] },
        { headers: ['a', attack] },
        { headers: ['Host', attack] },
        { method: 'POST', headers: ['Content-Length', attack], body: 'abc' },
      ]) {
        const said = headOr(given)
        if (said === refused) continue
        const body = 'body' in given ? given.body : ''
        const all = await sent(said + body)
        expect(all.length, said).toBeLessThanOrEqual(1)
        requests += all.length
      }
    }
    expect(requests).toBeGreaterThan(4)
  })
})
