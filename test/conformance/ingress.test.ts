import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { join } from 'node:path'
import { createProxyServer } from '@sluice/http-proxy'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { testCertificate } from '../kit/certificate.js'
import { http2Fronts, rawFronts, twoFronts } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { parseResponses, rawClient, rawRequest } from '../kit/raw-request.js'
import { shared } from '../kit/shared.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const post = (...fields: string[]): string =>
  `POST / HTTP/1.1\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

/** Requests that two parsers could read in two ways. */
const ambiguous: readonly (readonly [name: string, bytes: string])[] = [
  [
    'Content-Length and Transfer-Encoding',
    `${post('Host: a', 'Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n${smuggled}`,
  ],
  [
    'Transfer-Encoding and Content-Length',
    `${post('Host: a', 'Transfer-Encoding: chunked', 'Content-Length: 5')}0\r\n\r\n${smuggled}`,
  ],
  ['two differing lengths', `${post('Host: a', 'Content-Length: 5', 'Content-Length: 6')}hello${smuggled}`],
  ['two equal lengths', `${post('Host: a', 'Content-Length: 5', 'Content-Length: 5')}hello`],
  ['a list of lengths', `${post('Host: a', 'Content-Length: 5, 5')}hello`],
  ['a length with a sign', `${post('Host: a', 'Content-Length: +5')}hello`],
  ['a length that is no number', `${post('Host: a', 'Content-Length: 5x')}hello`],
  ['an empty length', `${post('Host: a', 'Content-Length:')}hello`],
  ['a coding before chunked', `${post('Host: a', 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n`],
  ['a coding after chunked', `${post('Host: a', 'Transfer-Encoding: chunked, gzip')}0\r\n\r\n`],
  ['chunked twice', `${post('Host: a', 'Transfer-Encoding: chunked, chunked')}0\r\n\r\n`],
  [
    'two Transfer-Encoding fields',
    `${post('Host: a', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n`,
  ],
  ['a coding that nobody knows', `${post('Host: a', 'Transfer-Encoding: xchunked')}0\r\n\r\n`],
  [
    'Transfer-Encoding in HTTP/1.0',
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a space before the colon', `${post('Host: a', 'Transfer-Encoding : chunked')}0\r\n\r\n`],
  ['a folded line', `${post('Host: a', 'X: a', ' Transfer-Encoding: chunked')}0\r\n\r\n`],
  ['a NUL in a field', `${post('Host: a', 'X: a\0b')}`],
  ['a bare CR in a field', `${post('Host: a', 'X: a\rTransfer-Encoding: chunked')}`],
  ['two equal Host fields', `GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n`],
  ['two Host fields', `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`],
  ['a list of hosts', `GET / HTTP/1.1\r\nHost: a, b\r\n\r\n`],
  ['a Host with userinfo', `GET / HTTP/1.1\r\nHost: user@a\r\n\r\n`],
  ['a Host with a path', `GET / HTTP/1.1\r\nHost: a/b\r\n\r\n`],
  ['a Host with a space', `GET / HTTP/1.1\r\nHost: a b\r\n\r\n`],
  ['no Host', `GET / HTTP/1.1\r\nX: y\r\n\r\n`],
  ['an empty Host', `GET / HTTP/1.1\r\nHost:\r\n\r\n`],
  ['a request-target without a slash', `GET path HTTP/1.1\r\nHost: a\r\n\r\n`],
  [
    'a chunk size that is no number',
    `${post('Host: a', 'Transfer-Encoding: chunked')}zz\r\nhello\r\n0\r\n\r\n`,
  ],
]

describe.each(rawFronts)('ambiguous requests through $name', (kind) => {
  it.each(ambiguous)(
    '%s: 400, the end of the connection, and nothing at the target',
    async (_name, bytes) => {
      const origin = own(await originServer())
      const front = own(await kind.start(origin.url))
      const { responses, ended } = await rawRequest(front.port, bytes)
      expect(responses.map(({ status }) => status)).toEqual([400])
      expect(ended).not.toBe('open')
      expect(origin.requests).toHaveLength(0)
    },
  )
})

describe.each(rawFronts)('requests that make no sense, through $name', (kind) => {
  it.each([
    [
      'an asterisk that is not for OPTIONS',
      'GET * HTTP/1.1\r\nHost: a\r\n\r\n',
      kind.framework ? [400, 404] : [400],
    ],
    ['HTTP/2.0 in the words of HTTP/1', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', [400, 505]],
    ['HTTP/0.9 with fields', 'GET / HTTP/0.9\r\nHost: a\r\n\r\n', [400, 505]],
    ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', [400, 505]],
    ['HTTP/3.0', 'GET / HTTP/3.0\r\nHost: a\r\n\r\n', [400, 505]],
  ])('%s: refused, and nothing at the target', async (_name, bytes, statuses) => {
    const warn = vi.spyOn(process, 'emitWarning')
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const { responses } = await rawRequest(front.port, bytes, { responses: 1 })
    const [response, ...rest] = responses
    expect(statuses).toContain(response?.status)
    expect(rest).toEqual([])
    expect(origin.requests).toHaveLength(0)
    // What a client sends is no fault of the app's code.
    expect(warn).not.toHaveBeenCalled()
  })
})

describe.each(http2Fronts)('ambiguous requests through $name', (kind) => {
  it('a host that differs from :authority gets 400, and nothing arrives at the target', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const ca = kind.tls ? testCertificate()?.cert : undefined
    const session = connect(
      `${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`,
      ca === undefined ? {} : { ca },
    )
    own({ close: () => session.destroy() })
    const status = (host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ':path': '/', ':authority': 'a.example', host })
        stream.on('response', (fields) => resolve(fields[':status']))
        stream.on('error', reject)
        stream.resume()
      })
    expect(await status('b.example')).toBe(400)
    expect(origin.requests).toHaveLength(0)
    expect(await status('a.example')).toBe(200)
  })

  it('a :path that names another host gets 400, whatever the :scheme, and nothing arrives at the target', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const ca = kind.tls ? testCertificate()?.cert : undefined
    const session = connect(
      `${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`,
      ca === undefined ? {} : { ca },
    )
    own({ close: () => session.destroy() })
    const fields = { ':scheme': 'other', ':path': 'http://b.example/', ':authority': 'a.example' }
    const [head] = await once(session.request(fields).resume(), 'response')
    expect(head[':status']).toBe(400)
    expect(origin.requests).toHaveLength(0)
  })

  it('a length that is no number gets 400 or a reset stream, and nothing arrives at the target', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const call = front.client.call({ method: 'POST', headers: ['content-length', '5x'], body: 'hello' })
    const status = await call.head.then((head) => head.status).catch(() => 'reset')
    expect([400, 'reset']).toContain(status)
    expect(origin.requests).toHaveLength(0)
  })

  it.each([
    ['shorter than its length', 'hell'],
    ['longer than its length', 'hello!'],
  ])('a body %s never reaches the target as a whole', async (_name, body) => {
    const whole: string[] = []
    const origin = own(
      await originServer(async (_req, res, request) => {
        whole.push((await request.body()).toString())
        res.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call({ method: 'POST', headers: ['content-length', '5'], body })
    const status = await call.head.then((head) => head.status).catch(() => 'reset')
    expect([400, 502, 'reset']).toContain(status)
    expect(whole).toEqual([])
  })
})

interface Case {
  readonly id: string
  readonly expect: 'accept' | 'reject' | 'reject-or-close' | 'either'
  readonly raw: string
  readonly gunicorn_config?: boolean
  /** What gunicorn raises. */
  readonly exc?: string | null
}

/** Why a case that gunicorn rejects may be answered: what arrives at the target is judged all the same. */
function harmless({ id, gunicorn_config, exc }: Case): boolean {
  // A setting or a size limit of that server; a trailer field that isn't sent on; a body that may still go on, while the
  // target of these tests answers as soon as it has the head.
  const open = id.includes('trailer_forbidden') || id.includes('missing_final_crlf')
  return gunicorn_config === true || (exc ?? '').startsWith('Limit') || open
}

const folder = shared === undefined ? undefined : join(shared, 'smuggling')
const present = folder !== undefined && existsSync(join(folder, 'README.md'))
const files = ['desync-guardian.json', 'gunicorn.json']
const cases = (file: string): Case[] =>
  JSON.parse(readFileSync(join(folder as string, file), 'utf8')) as Case[]

/** Why what has arrived at a target is not one well-formed request, or undefined if it is (or nothing has arrived). */
function fault(bytes: Buffer): string | undefined {
  if (bytes.length === 0) return undefined
  const text = bytes.toString('latin1')
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return 'a head without an end'
  const [line = '', ...lines] = text.slice(0, end).split('\r\n')
  if (!/^([A-Z][A-Z-]* \/[\x21-\xff]*|OPTIONS \*|CONNECT [^/@\s]+:\d+) HTTP\/1\.1$/.test(line))
    return `the request line ${JSON.stringify(line)}`
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are looked for
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(lines.join(''))) return 'a control character'
  if (lines.some((each) => !/^[!#$%&'*+.^`|~\w-]+:/.test(each)))
    return `a line that is no field: ${lines.join('|')}`
  const all = (name: string): string[] =>
    lines
      .filter((each) => each.toLowerCase().startsWith(`${name}:`))
      .map((each) => each.slice(name.length + 1).trim())
  const [lengths, codings] = [all('content-length'), all('transfer-encoding')]
  if (all('host').length !== 1) return 'not one Host'
  if (lengths.length + codings.length > 1) return `lengths ${lengths.join()}, codings ${codings.join()}`
  const body = text.slice(end + 4)
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') return `the coding ${codings[0]}`
    return chunksFault(body)
  }
  if (lengths.length === 1 && !/^\d+$/.test(lengths[0] as string)) return `the length ${lengths[0]}`
  return body.length > Number(lengths[0] ?? 0) ? 'bytes behind the request' : undefined
}

/** Likewise for chunks; a body that is still on its way is no fault. */
function chunksFault(body: string): string | undefined {
  let rest = body
  for (;;) {
    const size = /^([\da-f]+)\r\n/i.exec(rest)
    if (size === null)
      return rest === '' || /^[\da-f]+\r?$/i.test(rest)
        ? undefined
        : `a chunk line ${JSON.stringify(rest.slice(0, 20))}`
    const length = Number.parseInt(size[1] as string, 16)
    rest = rest.slice(size[0].length)
    if (length === 0) return rest === '\r\n' || rest === '' ? undefined : 'bytes behind the last chunk'
    if (rest.length < length + 2) return undefined
    if (rest.slice(length, length + 2) !== '\r\n') return 'a chunk longer than its size'
    rest = rest.slice(length + 2)
  }
}

describe.skipIf(skipUnless(present, 'requests of other test suites: there is no shared/smuggling'))(
  'requests of other test suites',
  () => {
    describe.each([...twoFronts, migrated])('through $name', (kind) => {
      it.each(files)('%s: nothing arrives, or one well-formed request on each connection', async (file) => {
        const all = cases(file)
        // Side by side, each with a target of its own, so that it is clear what has come of which request.
        const lanes = Array.from({ length: 8 }, (_, lane) => all.filter((_case, i) => i % 8 === lane))
        const faults = await Promise.all(lanes.map((lane) => faultsOf(kind, lane)))
        expect(faults.flat()).toEqual([])
      })
    })
  },
)

/** What starts a proxy in front of a target. */
interface Started {
  readonly name: string
  start(options: { targets: string; retry: false }): Promise<{ readonly port: number; close(): unknown }>
}

/** An app of http-proxy with one import changed. */
const migrated: Started = {
  name: 'createProxyServer',
  async start({ targets }) {
    const proxy = createProxyServer({ target: targets })
    const front = await originServer((req, res) => proxy.web(req, res))
    front.server.on('upgrade', (req, socket, head) => proxy.ws(req, socket, head))
    const close = (): Promise<void> => {
      proxy.close()
      return front.close()
    }
    return { port: front.port, close }
  },
}

/** Sends one request after another, and tells what is wrong with what has arrived or was answered. */
async function faultsOf(kind: Started, lane: readonly Case[]): Promise<string[]> {
  const faults: string[] = []
  // Each request comes on a connection of its own: the target says that it closes.
  const origin = own(
    await rawOrigin(async (connection) => {
      await connection.head()
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
      connection.end()
    }),
  )
  const front = own(await kind.start({ targets: origin.url, retry: false }))
  for (const each of lane) {
    const before = origin.connections.length
    const statuses = await statusesOf(front.port, Buffer.from(each.raw, 'base64'))
    for (const { received } of origin.connections.slice(before)) {
      const why = fault(received)
      if (why !== undefined) faults.push(`${each.id}: ${why}`)
    }
    const rejected = statuses.every((status) => status >= 400) && statuses.length <= 1
    if (each.expect === 'reject' && !harmless(each) && !rejected) {
      faults.push(`${each.id}: must be rejected, got ${statuses.join()}`)
    }
  }
  return faults
}

/**
 * Sends bytes and reads what comes until the proxy closes, or has answered, or waits for more: then nothing comes for a
 * while. Going on too early would only miss what is still to come.
 */
async function statusesOf(port: number, bytes: Buffer): Promise<number[]> {
  const client = await rawClient(port)
  client.write(bytes)
  const limit = performance.now() + 100
  await until(
    () => client.ended !== 'open' || client.socket.destroyed || performance.now() > limit,
    'the proxy to answer or to wait',
  )
  client.reset()
  return parseResponses(client.received).map(({ status }) => status)
}
