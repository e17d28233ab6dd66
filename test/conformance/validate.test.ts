import diagnostics from 'node:diagnostics_channel'
import { createServer } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { attach, type Context, type Outcome, toListener } from '@sluice/core'
import { serverOptions, type ValidateOptions, validate } from '@sluice/guard'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { attachedRawFronts } from '../kit/attached-fronts.js'
import {
  chainOf,
  type FrontKind,
  type FrontOptions,
  frontOf,
  fronts,
  http2Fronts,
  listening,
  rawFronts,
} from '../kit/fronts.js'
import { http2Head } from '../kit/http2-head.js'
import { listen } from '../kit/listen.js'
import { nodeMajor } from '../kit/node-major.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** The rules that requests were refused by, as somebody hears of them who counts. */
const reasons: (string | undefined)[] = []
const note = (message: unknown): void => {
  const { outcome } = message as { ctx: Context; outcome: Outcome }
  reasons.push(outcome.error?.reason)
}
beforeEach(() => {
  reasons.length = 0
  diagnostics.subscribe('sluice:request:end', note)
})
afterEach(() => void diagnostics.unsubscribe('sluice:request:end', note))

const get = (target: string, ...fields: string[]): string =>
  `GET ${target} HTTP/1.1\r\n${(fields.length === 0 ? ['Host: a'] : fields).map((each) => `${each}\r\n`).join('')}\r\n`
const post = (...fields: string[]): string =>
  `POST / HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`
const chunks = (body: string): string => `${post('Transfer-Encoding: chunked')}${body}`
const many = <T = string>(count: number, field: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => field(i))

/** Who refuses it: Node's parser, the rule that every mount has (of what the parser may refuse just behind the head, both), or the one of `validate`. */
type By = 'parser' | `${'ingress' | 'both' | 'validate'} ${string}`
type Case = readonly [name: string, bytes: string, status: number, by: By]

/** What the issue names, each in one spelling or more: refused by whom, and with what. */
const refused: readonly Case[] = [
  ['a length twice', `${post('Content-Length: 5', 'Content-Length: 5')}hello`, 400, 'parser'],
  ['two lengths', `${post('Content-Length: 5', 'Content-Length: 6')}hello`, 400, 'parser'],
  ['a list of lengths', `${post('Content-Length: 5, 5')}hello`, 400, 'parser'],
  ['a length with zeros ahead', `${post('Content-Length: 005')}hello`, 400, 'ingress length-invalid'],
  ['a length of 16 digits', `${post('Content-Length: 1000000000000000')}`, 400, 'ingress length-invalid'],
  ['a length in hex', `${post('Content-Length: 0x5')}hello`, 400, 'parser'],
  ['a negative length', post('Content-Length: -1'), 400, 'parser'],
  ['a length in quotes', `${post('Content-Length: "5"')}hello`, 400, 'parser'],
  ['length and coding', `${post('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`, 400, 'parser'],
  ['coding and length', `${post('Transfer-Encoding: chunked', 'Content-Length: 5')}0\r\n\r\n`, 400, 'parser'],
  [
    'chunked after another coding',
    `${post('Transfer-Encoding: gzip, chunked')}0\r\n\r\n`,
    400,
    'ingress coding-unknown',
  ],
  [
    'chunked after an empty member',
    `${post('Transfer-Encoding: ,chunked')}0\r\n\r\n`,
    400,
    'ingress coding-unknown',
  ],
  ['chunked with a parameter', post('Transfer-Encoding: chunked;a=b'), 400, 'both coding-unknown'],
  ['chunked in quotes', post('Transfer-Encoding: "chunked"'), 400, 'both coding-unknown'],
  ['identity', post('Transfer-Encoding: identity'), 400, 'both coding-unknown'],
  ['chunked behind VT', post('Transfer-Encoding: \vchunked'), 400, 'parser'],
  [
    'chunked in HTTP/1.0',
    'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'ingress coding-of-version',
  ],
  ['bare LF', 'GET / HTTP/1.1\nHost: a\n\n', 400, 'parser'],
  ['bare LF behind one field', 'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n', 400, 'parser'],
  ['bare LF at the end', 'GET / HTTP/1.1\r\nHost: a\r\n\n', 400, 'parser'],
  ['a folded field', get('/', 'Host: a', 'X: a', ' b'), 400, 'parser'],
  ['a folded Host', get('/', 'Host:', '\ta'), 400, 'parser'],
  ['a blank ahead of the first field', get('/', ' X: y', 'Host: a'), 400, 'parser'],
  ['a control byte in a value', get('/', 'Host: a', 'X: a\x01b'), 400, 'parser'],
  ['NUL in a value', get('/', 'Host: a', 'X: a\0b'), 400, 'parser'],
  ['DEL in a value', get('/', 'Host: a', 'X: a\x7fb'), 400, 'parser'],
  ['a name with a blank', get('/', 'Host: a', 'X Y: b'), 400, 'parser'],
  ['a name with a blank behind', get('/', 'Host: a', 'X : b'), 400, 'parser'],
  ['no name', get('/', 'Host: a', ': b'), 400, 'parser'],
  ['a high byte in a name', get('/', 'Host: a', 'X\xe9: b'), 400, 'parser'],
  ['no Host', get('/', 'X: y'), 400, 'parser'],
  ['an empty Host', get('/', 'Host:'), 400, 'ingress host-invalid'],
  ['Host twice', get('/', 'Host: a', 'Host: a'), 400, 'ingress host-repeated'],
  ['two Hosts', get('/', 'Host: a', 'Host: b'), 400, 'ingress host-repeated'],
  ['a list of hosts', get('/', 'Host: a, b'), 400, 'ingress host-invalid'],
  ['a list of hosts without a blank', get('/', 'Host: a,b'), 400, 'ingress host-invalid'],
  ['a Host with userinfo', get('/', 'Host: u@a'), 400, 'ingress host-invalid'],
  ['a Host with a path', get('/', 'Host: a/b'), 400, 'ingress host-invalid'],
  ['a Host with a scheme', get('/', 'Host: http://a'), 400, 'ingress host-invalid'],
  ['a Host with a port that is none', get('/', 'Host: a:x'), 400, 'ingress host-invalid'],
  ['a Host with high bytes', get('/', 'Host: \xe9'), 400, 'ingress host-invalid'],
  ['an IPv6 address without brackets', get('/', 'Host: ::1'), 400, 'ingress host-invalid'],
  ['a Host with a port beyond all', get('/', 'Host: a:65536'), 400, 'validate host-port'],
  ['a Host with an escape', get('/', 'Host: a%00b'), 400, 'validate host-invalid'],
  ['brackets around no address', get('/', 'Host: [:::]'), 400, 'validate host-invalid'],
  ['a Host at odds with the target', get('http://b/', 'Host: a'), 400, 'validate target-differs'],
  ['a port at odds with the target', get('http://a:81/', 'Host: a'), 400, 'validate target-differs'],
  ['an absolute target with userinfo', get('http://u@a/', 'Host: a'), 400, 'ingress target-authority'],
  ['an absolute target of another scheme', get('ftp://a/', 'Host: a'), 400, 'validate target-scheme'],
  ['a backslash', get('/a\\..\\b'), 400, 'validate path-backslash'],
  ['an encoded NUL', get('/a%00.html'), 400, 'validate path-nul'],
  ['an overlong NUL', get('/a%C0%80.html'), 400, 'validate path-nul'],
  ['an encoded line break', get('/a%0d%0aSet-Cookie:x'), 400, 'validate path-line-break'],
  ['an encoded LF', get('/a%0A'), 400, 'validate path-line-break'],
  [
    'two types',
    `${post('Content-Type: a/b', 'content-type: c/d', 'Content-Length: 0')}`,
    400,
    'validate header-repeated',
  ],
  [
    'credentials twice',
    get('/', 'Host: a', 'Authorization: a', 'X: y', 'Authorization: a'),
    400,
    'validate header-repeated',
  ],
  ['a fragment', get('/a#b'), 400, 'validate target-fragment'],
  ['NUL in the target', get('/a\0b'), 400, 'parser'],
  ['a tab in the target', get('/a\tb'), 400, 'parser'],
  ['a high byte in the target', get('/\xe9'), 400, 'parser'],
  ['a blank in the target', get('/a b'), 400, 'parser'],
  ['a long target', get(`/${'a'.repeat(8192)}`), 414, 'validate target-length'],
  ['many parameters', get(`/?${'a&'.repeat(1001)}`), 400, 'validate query-parameters'],
  ['many fields', get('/', 'Host: a', ...many(100, (i) => `X-${i}: y`)), 431, 'validate header-count'],
  [
    'more fields than Node keeps',
    get('/', 'Host: a', ...many(1500, () => 'X: y')),
    431,
    'ingress header-dropped',
  ],
  ['many cookies', get('/', 'Host: a', `Cookie: ${'a=b; '.repeat(200)}c=d`), 431, 'validate cookie-count'],
  [
    'many lines of cookies',
    get('/', 'Host: a', ...many(201, () => 'Cookie: a=b')),
    431,
    'validate cookie-count',
  ],
]

/** Of chunks: Node's parser reads them, and what is refused is refused when the head has passed. */
const refusedChunks: readonly (readonly [name: string, bytes: string])[] = [
  ['an extension of no name', chunks('5;\r\nhello\r\n0\r\n\r\n')],
  ['an extension with bare CR', chunks('5;a\rX\r\nhello\r\n0\r\n\r\n')],
  ['an extension with bare LF', chunks('5;a\nhello\r\n0\r\n\r\n')],
  ['an extension with NUL', chunks('5;a\0\r\nhello\r\n0\r\n\r\n')],
  ['an extension with a control byte', chunks('5;a=\x01\r\nhello\r\n0\r\n\r\n')],
  ['an extension with a quote that stays open', chunks('5;a="b\r\nhello\r\n0\r\n\r\n')],
  ['an extension with a blank', chunks('5;a=b c\r\nhello\r\n0\r\n\r\n')],
  ['a blank behind the size', chunks('5 \r\nhello\r\n0\r\n\r\n')],
  ['a blank ahead of an extension', chunks('5 ;a=b\r\nhello\r\n0\r\n\r\n')],
  ['an extension of 17 KB', chunks(`5;a=${'b'.repeat(17_000)}\r\nhello\r\n0\r\n\r\n`)],
  ['a size with a sign', chunks('+5\r\nhello\r\n0\r\n\r\n')],
  ['a size with 0x', chunks('0x5\r\nhello\r\n0\r\n\r\n')],
  ['no size', chunks('\r\nhello\r\n0\r\n\r\n')],
  ['a size beyond numbers', chunks('fffffffffffffffff\r\nhello')],
  ['bare LF behind the size', chunks('5\nhello\r\n0\r\n\r\n')],
  ['bare LF behind a chunk', chunks('5\r\nhello\n0\r\n\r\n')],
  ['more than the size', chunks('5\r\nhelloX\r\n0\r\n\r\n')],
  ['bare LF at the end', chunks('5\r\nhello\r\n0\r\n\n')],
  ['a length among the trailers', chunks('5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n')],
  ['a folded trailer', chunks('5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n')],
]

/** Not refused, since there is one reading: all that is odd of them stays here. */
const passedChunks: readonly (readonly [name: string, bytes: string])[] = [
  ['an extension', chunks('5;a=b\r\nhello\r\n0\r\n\r\n')],
  ['an extension in quotes', chunks('5;a="b;c"\r\nhello\r\n0\r\n\r\n')],
  ['extensions of no name', chunks('5;;a\r\nhello\r\n0\r\n\r\n')],
  ['an extension of no value', chunks('5;a=\r\nhello\r\n0\r\n\r\n')],
  ['a size with zeros ahead', chunks('005\r\nhello\r\n0\r\n\r\n')],
]

const text = (status: number): RegExp => new RegExp(`^${status} [\\w -]+\n$`)

/** A proxy of `createProxy` has it as an option of its guard; any other chain, as a layer. */
async function start(kind: FrontKind, options: ValidateOptions = {}) {
  const origin = own(await originServer())
  return { origin, front: own(await kind.start(judging(kind, origin.url, options))) }
}

/** A server that is hardened keeps all fields that it has room for, so that each is judged. */
const keepsAll = ({ name }: FrontKind): boolean => name === listening.name

function judging({ name }: FrontKind, targets: string, options: ValidateOptions): FrontOptions {
  return name.startsWith('createProxy')
    ? { targets, guard: { validate: options } }
    : { targets, use: [validate(options)] }
}

describe.each(rawFronts)('validate through $name', (kind) => {
  it.each(refused)('%s', async (_name, bytes, status, who) => {
    const { origin, front } = await start(kind)
    const { responses } = await rawRequest(front.port, bytes, { responses: 1 })
    expect(responses.map((each) => each.status)).toEqual([status])
    expect(origin.requests).toHaveLength(0)
    const [layer, reason] = who.split(' ')
    // From 22 on Node itself refuses more fields than it keeps.
    const isDropped = reason === 'header-dropped' && !keepsAll(kind)
    if (layer === 'parser' || (isDropped && nodeMajor >= 22)) {
      expect(reasons).toEqual([])
      return
    }
    await until(() => reasons.length > 0, 'the end of the exchange')
    expect(reasons).toEqual([reason === 'header-dropped' && keepsAll(kind) ? 'header-count' : reason])
    // What a client sees is the same text for everybody.
    if (layer !== 'both') expect(responses[0]?.body.toString()).toMatch(text(status))
  })

  // A hardened server keeps all fields.
  it.each(keepsAll(kind) ? [] : [1500])(
    'nothing follows where Node has cut a head of %s fields short',
    async (count) => {
      const { front } = await start(kind)
      const head = get('/', 'Host: a', ...many(count, () => 'X: y'))
      const { responses, ended } = await rawRequest(front.port, head + get('/second'))
      expect(responses.map((each) => each.status)).toEqual([431])
      expect(ended).not.toBe('open')
    },
  )

  it.each(refusedChunks)('chunks: %s: refused, and never whole at a target', async (_name, bytes) => {
    const { origin, front } = await start(kind)
    const { responses } = await rawRequest(front.port, bytes)
    expect(responses.filter((each) => each.status < 400)).toEqual([])
    for (const request of origin.requests) await expect(request.body()).rejects.toThrow()
  })

  it.each(passedChunks)('chunks: %s: read in one way, and sent on in the one form', async (_name, bytes) => {
    const { origin, front } = await start(kind)
    const { responses } = await rawRequest(front.port, bytes, { responses: 1 })
    expect(responses.map((each) => each.status)).toEqual([200])
    expect((await origin.requests[0]?.body())?.toString()).toBe('hello')
  })
})

type Field = readonly [name: string, value: string]
const plain: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
]
const with_ = (...more: Field[]): Field[] => [...plain, ...more]
const changed = (name: string, to: string): Field[] =>
  plain.map(([each, had]) => (each === name ? [each, to] : [each, had]))
const without = (name: string, ...more: Field[]): Field[] => [
  ...plain.filter(([each]) => each !== name),
  ...more,
]

/** By HTTP/2, byte by byte: Node resets the stream, or it is refused by a rule. */
const refusedHeads: readonly (readonly [
  name: string,
  fields: Field[],
  by: 'reset' | readonly [number, string],
])[] = [
  ['no :method', without(':method'), 'reset'],
  ['no :scheme', without(':scheme'), 'reset'],
  ['no :path', without(':path'), 'reset'],
  ['neither :authority nor host', without(':authority'), 'reset'],
  ['an empty :authority', changed(':authority', ''), 'reset'],
  [':method twice', [[':method', 'GET'], ...plain], 'reset'],
  [':path twice', [[':path', '/x'], ...plain], 'reset'],
  [':scheme twice', [[':scheme', 'http'], ...plain], 'reset'],
  [':authority twice', [[':authority', 'a'], ...plain], 'reset'],
  ['a pseudo field that nobody knows', [[':x', 'y'], ...plain], 'reset'],
  ['one of answers', [[':status', '200'], ...plain], 'reset'],
  ['a pseudo field behind others', [...plain.slice(0, 3), ['x', 'y'], [':authority', 'a']], 'reset'],
  [':protocol without CONNECT', [[':protocol', 'websocket'], ...plain], 'reset'],
  ['a CONNECT with a path', changed(':method', 'CONNECT'), 'reset'],
  ['a CONNECT to nowhere', [[':method', 'CONNECT']], 'reset'],
  ['capitals in a name', with_(['X-Foo', 'y']), 'reset'],
  ['connection', with_(['connection', 'close']), 'reset'],
  ['keep-alive', with_(['keep-alive', 'x']), 'reset'],
  ['proxy-connection', with_(['proxy-connection', 'x']), 'reset'],
  ['upgrade', with_(['upgrade', 'h2c']), 'reset'],
  ['transfer-encoding', with_(['transfer-encoding', 'chunked']), 'reset'],
  ['te with another member', with_(['te', 'trailers, gzip']), 'reset'],
  ['an empty :path', changed(':path', ''), 'reset'],
  ['a :path without a slash', changed(':path', 'x'), 'reset'],
  ['* with GET', changed(':path', '*'), 'reset'],
  ['a URL for a :path', changed(':path', 'http://b/'), 'reset'],
  [
    'a URL for a :path, of another scheme',
    [
      [':method', 'GET'],
      [':scheme', 'x'],
      [':path', 'http://b/'],
      [':authority', 'a'],
    ],
    [400, 'scheme-unknown'],
  ],
  ['a blank in the :path', changed(':path', '/a b'), 'reset'],
  ['the rest of a request line', changed(':path', '/ HTTP/1.1\r\nx: y'), 'reset'],
  ['NUL in the :path', changed(':path', '/a\0'), 'reset'],
  ['a high byte in the :path', changed(':path', '/\xe9'), [400, 'target-bytes']],
  ['an encoded line break', changed(':path', '/%0D'), [400, 'path-line-break']],
  ['two types', with_(['content-type', 'a/b'], ['content-type', 'a/b']), [400, 'header-repeated']],
  ['two ranges', with_(['range', 'bytes=0-1'], ['range', 'bytes=0-1']), [400, 'header-repeated']],
  ['a fragment', changed(':path', '/a#b'), [400, 'target-fragment']],
  ['a backslash', changed(':path', '/a\\b'), [400, 'path-backslash']],
  ['an encoded NUL', changed(':path', '/a%00'), [400, 'path-nul']],
  ['a long :path', changed(':path', `/${'a'.repeat(8192)}`), [414, 'target-length']],
  ['many parameters', changed(':path', `/?${'a;'.repeat(1001)}`), [400, 'query-parameters']],
  ['a method of a request line', changed(':method', 'GET / HTTP/1.1'), 'reset'],
  ['an empty method', changed(':method', ''), 'reset'],
  ['a method in lower case', changed(':method', 'get'), [400, 'method-case']],
  ['an empty :scheme', changed(':scheme', ''), 'reset'],
  ['a :scheme of another protocol', changed(':scheme', 'ftp'), [400, 'scheme-unknown']],
  ['a URL for a :scheme', changed(':scheme', 'http://a/?'), 'reset'],
  ['userinfo', changed(':authority', 'u@a'), nodeMajor >= 22 ? 'reset' : [400, 'host-invalid']],
  ['a path in :authority', changed(':authority', 'a/b'), 'reset'],
  ['a list of hosts', changed(':authority', 'a,b'), [400, 'host-invalid']],
  ['a port beyond all', changed(':authority', 'a:65536'), [400, 'host-port']],
  ['a line break in :authority', changed(':authority', 'a\r\nx: y'), 'reset'],
  ['another host', with_(['host', 'b']), [400, 'authority-differs']],
  ['host twice', without(':authority', ['host', 'a'], ['host', 'a']), 'reset'],
  ['a length twice', with_(['content-length', '0'], ['content-length', '0']), 'reset'],
  ['a length that is none', with_(['content-length', '+0']), 'reset'],
  ['a length of a body that is not there', with_(['content-length', '5']), 'reset'],
  [
    'more fields than 100',
    with_(...many(101, (i) => `x-${i}`).map((name): Field => [name, 'y'])),
    [431, 'header-count'],
  ],
  ['fields of more than 16 KB', with_(['x', 'y'.repeat(16_384)]), [431, 'header-size']],
  ['many cookies', with_(['cookie', `${'a=b; '.repeat(200)}c=d`]), [431, 'cookie-count']],
]

/** nghttp2 drops a field that is none, though RFC 9113 section 8.2.1 calls the request malformed, and tells nobody. */
const droppedFields: readonly Field[] = [
  ['x y', 'z'],
  ['x:y', 'z'],
  ['', 'z'],
  ['x\r\ny', 'z'],
  ['x\xe9', 'z'],
  ['x', 'y\r\nz: a'],
  ['x', 'y\0'],
  ['x', 'y\x01'],
  ['x', 'y\x7f'],
]

const bodies: readonly { name: string; length: string; body: string; trailers?: readonly Field[] }[] = [
  { name: 'longer than its length', length: '2', body: 'hello' },
  { name: 'shorter than its length', length: '9', body: 'hello' },
  { name: 'with a pseudo field behind it', length: '5', body: 'hello', trailers: [[':path', '/x']] },
  { name: 'with a length behind it', length: '5', body: 'hello', trailers: [['content-length', '9']] },
  {
    name: 'with a coding behind it',
    length: '5',
    body: 'hello',
    trailers: [['transfer-encoding', 'chunked']],
  },
]

describe.each(http2Fronts.filter(({ tls }) => !tls))('validate through $name', (kind) => {
  it.each(refusedHeads)('%s', async (_name, fields, who) => {
    const { origin, front } = await start(kind)
    const answer = await http2Head(front.port, { fields })
    if (who === 'reset') expect(answer.reset).toBe(1)
    else {
      expect(answer).toEqual({ status: who[0] })
      await until(() => reasons.length > 0, 'the end of the exchange')
      expect(reasons).toEqual([who[1]])
    }
    expect(origin.requests).toHaveLength(0)
  })

  it.each(droppedFields)('%j: %j never reaches a target', async (...field) => {
    const { origin, front } = await start(kind)
    expect(await http2Head(front.port, { fields: with_(field, ['x-last', 'here']) })).toEqual({ status: 200 })
    const fields = origin.requests[0]?.rawHeaders ?? []
    expect(value(fields, 'x-last')).toBe('here')
    expect(fields.join('\n')).not.toMatch(/x y|x:y|\bz\b/)
  })

  it.each(bodies)('a body $name is never whole at a target', async ({ length, body, trailers }) => {
    const { origin, front } = await start(kind)
    const fields: Field[] = [[':method', 'POST'], ...plain.slice(1), ['content-length', length]]
    await http2Head(front.port, { fields, body, ...(trailers === undefined ? {} : { trailers }) })
    for (const request of origin.requests) {
      const came = await request.body().catch(() => undefined)
      if (came !== undefined) expect([came.length, request.rawTrailers]).toEqual([Number(length), []])
    }
  })

  it('one cookie a field is what HTTP/2 is used with', async () => {
    const { origin, front } = await start(kind)
    const crumbs = many(110, (i) => `c${i}=x`).map((cookie): Field => ['cookie', cookie])
    expect(await http2Head(front.port, { fields: with_(...crumbs) })).toEqual({ status: 200 })
    expect(value(origin.requests[0]?.rawHeaders ?? [], 'cookie')?.split('; ')).toHaveLength(110)
  })
})

it('as many cookies as browsers keep for a site pass over HTTP/2 where the server has serverOptions()', async () => {
  const origin = own(await originServer())
  const built = own(chainOf({ targets: origin.url, use: [validate()] }))
  const front = own(await listen(createHttp2Server(serverOptions(), toListener(built.handler) as never)))
  const fields = (cookies: number): Field[] => [
    ...with_(...many(cookies, (i): Field => ['cookie', `c${i}=x`])),
    ...many(90, (i): Field => [`x-${i}`, 'x']),
  ]
  expect(await http2Head(front.port, { fields: fields(180) })).toEqual({ status: 200 })
  expect(value(origin.requests[0]?.rawHeaders ?? [], 'cookie')?.split('; ')).toHaveLength(180)
  expect(await http2Head(front.port, { fields: fields(201) })).toEqual({ status: 431 })
})

describe.each(fronts)('what honest clients send, through $name', (kind) => {
  it('passes with its bytes', async () => {
    const { origin, front } = await start(kind)
    const paths = [
      '/',
      '/a/../b',
      '/%2e%2e/x',
      '/a%5Cb?c=\\&d=%00%0d%0A',
      '/?a=1&b=2;c',
      '/{x}|^"<>`',
      '//x',
      `/${'a'.repeat(8000)}`,
    ]
    for (const path of paths) expect(await front.client.ask({ path }), path).toMatchObject({ status: 200 })
    expect(origin.requests.map(({ url }) => url)).toEqual(paths)
    const fields = many(60, (i) => [`X-${i}`, '\xe9\t!']).flat()
    const cookie = many(150, (i) => `c${i}=x`).join('; ')
    const big = ['X-Big', 'x'.repeat(8_000), 'Cookie', cookie, 'X_Own', 'mine']
    expect(await front.client.ask({ headers: [...fields, ...big] })).toMatchObject({ status: 200 })
    expect(value(origin.requests.at(-1)?.rawHeaders ?? [], 'x_own')).toBe('mine')
    expect(reasons.filter((each) => each !== undefined)).toEqual([])
  })

  it('names with an underscore: those that would pass for a field of proxies or of framing go, always', async () => {
    const owned = [
      'X_Forwarded_For',
      '10.0.0.1',
      'x_real-ip',
      '10.0.0.1',
      'Content_Length',
      '5',
      'TRANSFER_ENCODING',
      'x',
      'client_cert',
      'x',
    ]
    const named = (request: { rawHeaders: readonly string[] } | undefined): string[] =>
      (request?.rawHeaders ?? [])
        .filter((name, i) => i % 2 === 0 && name.includes('_'))
        .map((name) => name.toLowerCase())
    const headers = [...owned, 'X_Own', 'mine', 'X-After', 'y']
    const passing = await start(kind)
    expect(await passing.front.client.ask({ headers })).toMatchObject({ status: 200 })
    expect(named(passing.origin.requests[0])).toEqual(['x_own'])
    expect(value(passing.origin.requests[0]?.rawHeaders ?? [], 'x-after')).toBe('y')
    const dropping = await start(kind, { underscores: 'drop' })
    expect(await dropping.front.client.ask({ headers })).toMatchObject({ status: 200 })
    expect(named(dropping.origin.requests[0])).toEqual([])
    const rejecting = await start(kind, { underscores: 'reject' })
    expect(await rejecting.front.client.ask({ headers: ['X_Own', 'mine'] })).toMatchObject({ status: 400 })
    expect(rejecting.origin.requests).toHaveLength(0)
    await until(() => reasons.length === 3, 'the end of the exchanges')
    expect(reasons).toEqual([undefined, undefined, 'header-underscore'])
  })

  it('lists of methods and hosts: 405 with Allow, and 421', async () => {
    const { origin, front } = await start(kind, {
      methods: ['GET', 'POST'],
      hosts: ['a.example', '*.b.example'],
    })
    const ask = (host: string, method = 'GET') => front.client.ask({ method, headers: ['Host', host] })
    for (const host of ['a.example', 'A.Example:81', 'x.b.example', 'x.y.b.example', 'a.example.'])
      expect(await ask(host), host).toMatchObject({ status: 200 })
    for (const host of ['b.example', 'x.a.example', 'xb.example', 'a.example.evil', '10.0.0.1'])
      expect(await ask(host), host).toMatchObject({ status: 421 })
    const denied = await ask('a.example', 'DELETE')
    expect(denied).toMatchObject({ status: 405, text: '405 Method Not Allowed\n' })
    expect(value(denied.headers, 'allow')).toBe('GET, POST')
    expect(origin.requests).toHaveLength(5)
    await until(() => reasons.length === 11, 'the end of the exchanges')
    expect(new Set(reasons)).toEqual(new Set([undefined, 'host-denied', 'method-denied']))
  })

  it('each limit is off at 0, and each rule that has a choice can be turned', async () => {
    const { origin, front } = await start(kind, {
      maxHeaders: 0,
      maxHeaderBytes: 0,
      maxUrl: 0,
      maxCookies: 0,
      maxQueryParameters: 0,
      backslash: 'pass',
      encodedNul: 'pass',
      encodedLineBreaks: 'pass',
      dotSegments: 'reject',
    })
    const headers = [...many(105, (i) => [`X-${i}`, 'y']).flat(), 'Cookie', 'a=b; '.repeat(300)]
    const passing = [`/?${'a&'.repeat(4_500)}`, '/a\\b', '/%00', '/%0d%0a', '/a.b/c..d/...']
    for (const path of passing)
      expect(await front.client.ask({ path, headers }), path).toMatchObject({ status: 200 })
    expect(origin.requests).toHaveLength(5)
    for (const path of ['/..', '/a/%2E%2e/b', '/a/.', '/..;x', '/a\\..', '/.%zz'])
      expect(await front.client.ask({ path }), path).toMatchObject({ status: 400 })
    expect(origin.requests).toHaveLength(5)
  })
})

/** A server that its app has told to be lenient: what Node's parser lets through then. */
const lenient: readonly (readonly [
  name: string,
  bytes: string,
  status: number,
  reason: string | undefined,
])[] = [
  ['a control byte in a value', get('/', 'Host: a', 'X: a\x01b'), 400, 'header-bytes'],
  ['NUL in a value', get('/', 'Host: a', 'X: a\0b'), 400, 'header-bytes'],
  ['chunked behind VT', `${post('Transfer-Encoding: \vchunked')}0\r\n\r\n`, 400, 'coding-unknown'],
  [
    'length and coding',
    `${post('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    400,
    'length-with-coding',
  ],
  ['a folded field', get('/', 'Host: a', 'X: a', ' b'), 200, undefined],
  ['bare LF', 'GET / HTTP/1.1\nHost: a\nX: a b\n\n', 200, undefined],
]

describe('validate on a server with insecureHTTPParser', () => {
  it.each(lenient)('%s', async (_name, bytes, status, reason) => {
    const origin = own(await rawOrigin(answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')))
    const built = chainOf({ targets: origin.url, use: [validate()] })
    const server = createServer({ insecureHTTPParser: true })
    attach(server, built.handler)
    const front = own(frontOf(built, await listen(server)))
    const { responses } = await rawRequest(front.port, bytes, { responses: 1 })
    expect(responses[0]?.status).toBe(status)
    await until(() => reasons.length > 0, 'the end of the exchange')
    expect(reasons).toEqual([reason])
    expect(origin.connections).toHaveLength(status === 200 ? 1 : 0)
    // What is odd of it stays here: one line, with CRLF.
    if (status === 200) expect(origin.connections[0]?.text).toContain('\r\nX: a b\r\n')
  })
})

describe.each(attachedRawFronts)('validate, of what leads to tunnels, through $name', (kind) => {
  const handshake = (target: string, ...more: string[]): string =>
    get(
      target,
      'Host: a',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ...more,
    )

  it('upgrades are judged like any other request', async () => {
    const { origin, front } = await start(kind)
    for (const bytes of [
      handshake('/a\\b'),
      handshake('/%00'),
      handshake('/', 'Authorization: a', 'Authorization: b'),
    ]) {
      const { responses } = await rawRequest(front.port, bytes, { responses: 1 })
      expect(responses.map(({ status }) => status)).toEqual([400])
    }
    expect(origin.requests).toHaveLength(0)
    // The client may have its answer before the exchange is over.
    await until(() => reasons.length === 3, 'all exchanges have ended')
    expect(reasons).toEqual(['path-backslash', 'path-nul', 'header-repeated'])
  })

  it('a CONNECT is 501 unless it is allowed, by its name or among the methods', async () => {
    const bytes = 'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n'
    const statusOf = async (options: ValidateOptions): Promise<number | undefined> => {
      const origin = own(await rawOrigin(answering('HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno')))
      const front = own(await kind.start(judging(kind, origin.url, options)))
      return (await rawRequest(front.port, bytes, { responses: 1, methods: ['CONNECT'] })).responses[0]
        ?.status
    }
    expect(await statusOf({})).toBe(501)
    expect(await statusOf({ methods: ['GET'] })).toBe(501)
    expect(await statusOf({ methods: ['CONNECT'], connect: 'reject' })).toBe(501)
    expect(await statusOf({ methods: ['GET'], connect: 'pass' })).toBe(405)
    expect(await statusOf({ connect: 'pass' })).toBe(403)
    expect(await statusOf({ methods: ['CONNECT'] })).toBe(403)
  })
})
