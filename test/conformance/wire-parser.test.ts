import { readFileSync } from 'node:fs'
import { Agent, request as ask } from 'node:http'
import { createRequire } from 'node:module'
import { Duplex } from 'node:stream'
import { ProxyError } from '@sluice/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ResponseParser } from '../../packages/forward/dist/wire-response-parser.js'

/*
 * The same bytes before three parsers: ours, Node's and undici's. Ours may refuse more, each time for a reason of the list
 * below; what it reads, the others read alike or refuse. See docs/decisions/007-the-wire-parser-is-strict.md.
 */

interface Asked {
  readonly method: 'GET' | 'HEAD'
}

/** What a parser made of a reply. */
interface Verdict {
  readonly kind: 'read' | 'refused'
  /** Why it was refused. */
  readonly why: string
  readonly status: number | undefined
  readonly headers: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
  readonly informational: readonly unknown[]
  readonly keepAlive: boolean
}

/** Where ours refuses what another one reads. */
const stricter: Readonly<Record<string, RegExp>> = {
  'bytes behind the end': /bytes behind the end of the reply/,
  'transfer coding other than chunked alone': /a Transfer-Encoding other than chunked/,
  'transfer coding twice': /more than one Transfer-Encoding/,
  'transfer coding in HTTP/1.0': /Transfer-Encoding in HTTP\/1\.0/,
  'framing fields in trailers': /(content-length|transfer-encoding) in the trailers/i,
  'tab beside a framing field': /a tab beside the value of/,
  'length of too many digits': /a Content-Length that is no number/,
  'chunk size of too many digits': /the size of a chunk has too many digits/,
  'chunk extension': /a chunk extension/,
  'status line': /a status line that is none|this is not HTTP\/1/,
  'carriage return alone': /a carriage return that ends no line/,
  '101 unasked': /101 without a request for an upgrade/,
}

/**
 * Where one of the others, never both, refuses what ours reads. `parser`: it is its parser that does, and not the client
 * around it, which has read the reply and doesn't like it.
 */
const lenient: Readonly<Record<string, { who: 'node' | 'undici'; why: RegExp; parser: boolean }>> = {
  '100 Continue unasked': { who: 'undici', why: /bad response/, parser: false },
  'length without a body': {
    who: 'undici',
    why: /Response body length does not match content-length header/,
    parser: false,
  },
  // The latter where HTTP/1.0 says both keep-alive and close: Node believes the first, and looks for another reply.
  'bytes behind a reply that ends its connection': {
    who: 'node',
    why: /HPE_(CLOSED_CONNECTION|INVALID_CONSTANT)/,
    parser: true,
  },
}

/** What was met, so that nothing stands in the lists that no longer is so. */
const met = new Set<string>()

function ours(pieces: readonly Buffer[], { method }: Asked): Verdict {
  let bytes: Buffer = Buffer.alloc(0)
  let status: number | undefined
  let headers: string[] = []
  let body = ''
  let trailers: string[] = []
  let whole = false
  const informational: unknown[] = []
  const parser = new ResponseParser({
    informed: (code, fields) => void informational.push([code, fields]),
    answered: (head) => {
      status = head.status
      headers = head.headers
    },
    data: (from, to) => {
      body += bytes.toString('latin1', from, to)
    },
    ended: (fields) => {
      whole = true
      trailers = fields ?? []
    },
  })
  parser.begin({ method, upgrade: false })
  let why = ''
  try {
    for (const piece of pieces) {
      bytes = piece
      parser.execute(piece, 0, piece.length)
    }
    parser.finish()
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error
    why = error.message
  }
  const kind = whole && why === '' ? 'read' : 'refused'
  return { kind, why, status, headers, body, trailers, informational, keepAlive: parser.keepAlive }
}

/** A connection to nobody: once a request is written, the pieces come, one a turn of the event loop, then the end. */
class Wire extends Duplex {
  private begun = false
  constructor(private readonly pieces: readonly Buffer[]) {
    super({ allowHalfOpen: true })
    this.on('error', () => {})
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done()
    if (this.begun) return
    this.begun = true
    const left = [...this.pieces]
    const next = (): void => {
      if (this.destroyed) return
      const piece = left.shift()
      this.push(piece ?? null)
      if (piece !== undefined) setImmediate(next)
    }
    setImmediate(next)
  }

  // What clients ask of a socket.
  ref = (): this => this
  unref = (): this => this
  setNoDelay = (): this => this
  setKeepAlive = (): this => this
  setTimeout = (): this => this
}

function nodes(pieces: readonly Buffer[], { method }: Asked): Promise<Verdict> {
  return new Promise((resolve) => {
    const wire = new Wire(pieces)
    const informational: unknown[] = []
    let status: number | undefined
    let headers: string[] = []
    let trailers: string[] = []
    let body = ''
    const end = (kind: Verdict['kind'], why = ''): void => {
      const keepAlive = (request as { shouldKeepAlive?: boolean }).shouldKeepAlive ?? false
      resolve({ kind, why, status, headers, body, trailers, informational, keepAlive })
      wire.destroy()
    }
    const refuse = (error: NodeJS.ErrnoException): void => end('refused', `${error.code} ${error.message}`)
    const agent = new Agent({ keepAlive: true })
    agent.createConnection = () => wire
    const request = ask({ method, agent, host: 'x', maxHeaderSize: 100_000 })
    request.on('error', refuse)
    // Whatever else becomes of it, a change of protocol that nobody waits for among it.
    request.on('close', () => setImmediate(end, 'refused', 'closed without an answer'))
    request.on(
      'information',
      ({ statusCode, rawHeaders }) => void informational.push([statusCode, rawHeaders]),
    )
    request.on('response', (response) => {
      status = response.statusCode
      headers = response.rawHeaders
      response.setEncoding('latin1')
      response.on('error', refuse)
      response.on('data', (text: string) => {
        body += text
      })
      response.on('end', () => {
        trailers = response.rawTrailers
        end('read')
      })
    })
    request.end()
  })
}

interface UndiciHandler {
  onConnect(): void
  onHeaders(status: number, raw: Buffer[]): boolean
  onData(chunk: Buffer): boolean
  onComplete(raw: Buffer[] | null): void
  onError(error: Error): void
}
type Connected = (error: null, socket: Duplex) => void
interface UndiciClient {
  dispatch(options: object, handler: UndiciHandler): boolean
  destroy(): Promise<void>
}
// The root doesn't depend on undici; the package that does has the one to compare with.
const { Client } = createRequire(new URL('../../packages/forward/package.json', import.meta.url))(
  'undici',
) as {
  Client: new (origin: string, options: object) => UndiciClient
}

function undicis(pieces: readonly Buffer[], { method }: Asked): Promise<Verdict> {
  return new Promise((resolve) => {
    const wire = new Wire(pieces)
    const informational: unknown[] = []
    let status: number | undefined
    let headers: string[] = []
    let body = ''
    const strings = (raw: Buffer[] | null): string[] => (raw ?? []).map((each) => each.toString('latin1'))
    const client = new Client('http://x', {
      connect: (_: unknown, done: Connected) => setImmediate(done, null, wire),
      maxHeaderSize: 100_000,
    })
    const end = (kind: Verdict['kind'], trailers: string[], why = ''): void => {
      const destroyed = wire.destroyed
      resolve({ kind, why, status, headers, body, trailers, informational, keepAlive: !destroyed })
      client.destroy().catch(() => {})
    }
    wire.on('close', () => setImmediate(() => setImmediate(end, 'refused', [], 'closed without an answer')))
    client.dispatch(
      { method, path: '/', headers: ['host', 'x'] },
      {
        onConnect: () => {},
        onHeaders: (code, raw) => {
          if (code < 200) {
            informational.push([code, strings(raw)])
            return true
          }
          status = code
          headers = strings(raw)
          return true
        },
        onData: (chunk) => {
          body += chunk.toString('latin1')
          return true
        },
        onComplete: (raw) => end('read', strings(raw)),
        onError: (error) => end('refused', [], `${(error as NodeJS.ErrnoException).code} ${error.message}`),
      },
    )
  })
}

/** Without the blank space around values: undici leaves some. */
function reading({ status, headers, body, trailers, informational }: Verdict): unknown {
  const trimmed = (fields: readonly string[]): string[] =>
    fields.map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''))
  return {
    status,
    headers: trimmed(headers),
    body,
    trailers: trimmed(trailers),
    informational: (informational as [number, string[]][]).map(([code, fields]) => [code, trimmed(fields)]),
  }
}

/** Holds ours against the others, and names what differs. */
async function compare(pieces: readonly Buffer[], asked: Asked): Promise<void> {
  const mine = ours(pieces, asked)
  const others = { node: await nodes(pieces, asked), undici: await undicis(pieces, asked) }
  const refusing: string[] = []
  for (const who of ['node', 'undici'] as const) {
    const other = others[who]
    if (mine.kind === 'read' && other.kind === 'read') {
      expect(reading(other), who).toEqual(reading(mine))
    } else if (mine.kind === 'read') {
      const name = Object.keys(lenient).find(
        (key) => lenient[key]?.who === who && lenient[key]?.why.test(other.why),
      )
      expect(name, `${who} refuses: ${other.why}`).toBeDefined()
      if (lenient[name as string]?.parser) refusing.push(who)
      met.add(name as string)
    } else if (other.kind === 'read') {
      const name = Object.keys(stricter).find((key) => stricter[key]?.test(mine.why))
      expect(name, `ours refuses what ${who} reads: ${mine.why}`).toBeDefined()
      met.add(name as string)
    }
  }
  expect(refusing, 'ours alone reads it').not.toHaveLength(2)
  if (mine.kind === 'read' && mine.keepAlive && others.node.kind === 'read' && !others.node.keepAlive) {
    // Node asks whether a length is missing before it knows that there is no body.
    const framed = mine.headers.some(
      (name, i) => i % 2 === 0 && /^(content-length|transfer-encoding)$/i.test(name),
    )
    expect(asked.method === 'HEAD' && !framed, 'kept by ours alone').toBe(true)
    met.add('connection kept behind HEAD')
  }
}

const ok = 'HTTP/1.1 200 OK\r\n'
const statusLine = fc.oneof(
  { weight: 8, arbitrary: fc.constant(ok) },
  fc.constantFrom(
    'HTTP/1.0 200 OK\r\n',
    'HTTP/1.1 404 \r\n',
    'HTTP/1.1 204 x\r\n',
    'HTTP/1.1 304\r\n',
    `HTTP/1.1 100 Continue\r\n\r\n${ok}`,
    `HTTP/1.1 103 x\r\nLink: </a>\r\n\r\n${ok}`,
    `HTTP/1.1 103 x\r\nContent-Length: 3\r\n\r\n${ok}`,
    'HTTP/1.1 101 x\r\n',
    'HTTP/1.1 999 x\r\n',
    'HTTP/2.0 200 x\r\n',
    `\r\n${ok}`,
  ),
)
const field = fc.constantFrom(
  'Content-Length: 3',
  'Content-Length: 3',
  'content-length:3',
  'Content-Length: 3\t',
  'Content-Length: 3, 3',
  'Content-Length: 0000000000000003',
  'Content-Length: +3',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: Chunked ',
  'Transfer-Encoding: chunked\t',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: gzip',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: identity',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: x, close',
  'Connection: upgrade',
  'Upgrade: x',
  'a: b',
  'A:\t\x80 \xff\t',
  'a:',
  'a : b',
  ' a: b',
  'Set-Cookie: x',
)
const body = fc.constantFrom(
  'abc',
  'abc',
  '',
  'abcd',
  '3\r\nabc\r\n0\r\n\r\n',
  '3\r\nabc\r\n0\r\n\r\n',
  '3\r\nabc\r\n0\r\nT: u\r\n\r\n',
  '3;a=b\r\nabc\r\n0\r\n\r\n',
  '3;a="b;c"\r\nabc\r\n0\r\n\r\n',
  '3; a\r\nabc\r\n0\r\n\r\n',
  '3;a=\r\nabc\r\n0\r\n\r\n',
  '3 \r\nabc\r\n0\r\n\r\n',
  '00000000000000003\r\nabc\r\n0\r\n\r\n',
  '3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n',
  '3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n',
  `abc${ok}\r\n`,
)
const scrap = fc.constantFrom(
  ...[
    '\r\n',
    '\n',
    '\r',
    '\0',
    ' ',
    '\t',
    '\x7f',
    '\xff',
    ':',
    ';',
    ',',
    '=',
    '"',
    '0',
    '1',
    '9',
    'a',
    'x',
    '-',
    '+',
  ],
)
interface Change {
  readonly at: number
  readonly remove: number
  readonly put: string
}
const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(10_000),
  remove: fc.nat(2),
  put: fc.oneof(scrap, fc.constant('')),
})
const stream = fc
  .tuple(
    statusLine,
    fc.array(field, { maxLength: 4 }),
    body,
    fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(change, { minLength: 1, maxLength: 2 })),
  )
  .map(([line, fields, rest, changes]) => {
    let text = `${line}${fields.map((each) => `${each}\r\n`).join('')}\r\n${rest}`
    for (const { at, remove, put } of changes as Change[]) {
      const place = at % (text.length + 1)
      text = text.slice(0, place) + put + text.slice(place + remove)
    }
    return text
  })
const cuts = fc.array(fc.nat(10_000), { maxLength: 3 })
const asked: fc.Arbitrary<Asked> = fc.record({
  method: fc.oneof({ weight: 5, arbitrary: fc.constant('GET' as const) }, fc.constant('HEAD' as const)),
})

function cut(text: string, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...places]
    .map((from, i) => Buffer.from(text.slice(from, places[i]), 'latin1'))
    .filter((p) => p.length > 0)
}

describe('the parser of the wire transport, Node’s and undici’s', () => {
  it('the harness itself gives what was sent', async () => {
    const text = `HTTP/1.1 103 x\r\na: b\r\n\r\n${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n`
    const expected = {
      kind: 'read',
      status: 200,
      headers: ['Transfer-Encoding', 'chunked'],
      body: 'abc',
      trailers: ['T', 'u'],
      informational: [[103, ['a', 'b']]],
      keepAlive: true,
    }
    for (const judge of [ours, nodes, undicis])
      expect(await judge(cut(text, [5, 60]), { method: 'GET' }), judge.name).toMatchObject(expected)
    for (const judge of [ours, nodes, undicis])
      expect(await judge(cut(`${ok}a : b\r\n\r\n`, []), { method: 'GET' }), judge.name).toMatchObject({
        kind: 'refused',
      })
  })

  it('read the same, or ours is the stricter one for a reason that has a name', async () => {
    await fc.assert(
      fc.asyncProperty(stream, cuts, asked, async (text, at, request) => {
        await compare(cut(text, at), request)
      }),
      { numRuns: 3_000 },
    )
  })

  it('read a reply alike however it is cut', async () => {
    const texts = [
      `${ok}Content-Length: 3\r\na: b\r\n\r\nabc`,
      `HTTP/1.1 103 x\r\n\r\n${ok}Transfer-Encoding: chunked\r\n\r\n3;a="b"\r\nabc\r\n0\r\nT: u\r\n\r\n`,
      `HTTP/1.0 200 OK\r\n\r\nabc`,
    ]
    for (const text of texts)
      for (let at = 1; at < text.length; at++) await compare(cut(text, [at]), { method: 'GET' })
  })

  const differences: [name: string, text: string, asked?: Asked][] = [
    ['bytes behind the end', `${ok}Content-Length: 3\r\n\r\nabcd`],
    ['transfer coding other than chunked alone', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['transfer coding twice', `${ok}${'Transfer-Encoding: chunked\r\n'.repeat(2)}\r\n0\r\n\r\n`],
    ['transfer coding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [
      'framing fields in trailers',
      `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n`,
    ],
    ['tab beside a framing field', `${ok}Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n`],
    ['length of too many digits', `${ok}Content-Length: 0000000000000003\r\n\r\nabc`],
    ['chunk size of too many digits', `${ok}Transfer-Encoding: chunked\r\n\r\n00000000000000\r\n\r\n`],
    ['chunk extension', `${ok}Transfer-Encoding: chunked\r\n\r\n0;a=\r\n\r\n`],
    ['status line', 'HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n'],
    ['status line', 'HTTP/2.0 200 x\r\nContent-Length: 0\r\n\r\n'],
    ['status line', 'HTTP/1.1 200 \0\r\nContent-Length: 0\r\n\r\n'],
    ['status line', `\r\n${ok}Content-Length: 0\r\n\r\n`],
    ['carriage return alone', 'HTTP/1.1 200 OK\r\r\r\nabc'],
    ['101 unasked', 'HTTP/1.1 101 x\r\n\r\n'],
    ['100 Continue unasked', `HTTP/1.1 100 Continue\r\n\r\n${ok}Content-Length: 0\r\n\r\n`],
    ['length without a body', 'HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n'],
    [
      'bytes behind a reply that ends its connection',
      `${ok}Connection: close\r\nContent-Length: 3\r\n\r\nabcd`,
    ],
    ['connection kept behind HEAD', `${ok}\r\n`, { method: 'HEAD' }],
  ]

  it.each(differences)('differ in: %s, %j', async (name, text, request = { method: 'GET' }) => {
    met.clear()
    await compare(cut(text, []), request)
    expect([...met]).toEqual([name])
  })

  it('differ in nothing that is not shown above, and explained', () => {
    const shown = [...new Set(differences.map(([name]) => name))].sort()
    const named = [...Object.keys(stricter), ...Object.keys(lenient), 'connection kept behind HEAD'].sort()
    expect(shown).toEqual(named)
    const page = readFileSync(
      new URL('../../docs/decisions/007-the-wire-parser-is-strict.md', import.meta.url),
      'utf8',
    )
    const explained = [...page.matchAll(/^\| ([^|]+?) \| /gm)].map(([, name = '']) => name)
    expect(named.filter((name) => !explained.includes(name))).toEqual([])
  })
})
