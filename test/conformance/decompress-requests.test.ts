import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import * as zlib from 'node:zlib'
import { balance, roundRobin } from '@sluice/balance'
import { codings, decompressRequests, encodeSync } from '@sluice/compress'
import { chain, toListener } from '@sluice/core'
import { forward, wireTransport } from '@sluice/forward'
import { ejection } from '@sluice/health'
import { retry } from '@sluice/resilience'
import { createUpstream } from '@sluice/upstream'
import { createProxy } from 'sluice'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import {
  type Front,
  type FrontKind,
  type FrontOptions,
  fronts,
  rawFronts,
  threeFronts,
  twoFronts,
} from '../kit/fronts.js'
import { http2Origin } from '../kit/http2-origin.js'
import { listen } from '../kit/listen.js'
import { observer } from '../kit/observer.js'
import { answerOk, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const text = Buffer.from('What a client sends, which its target is to have plain. '.repeat(2_000))
const gzip = zlib.gzipSync(text)

/** 10 MB each. */
const bomb = zlib.gzipSync(Buffer.alloc(10 * 1024 * 1024), { level: 9 })
const nested = zlib.gzipSync(zlib.gzipSync(bomb))
const small = encodeSync('br', Buffer.alloc(10 * 1024 * 1024), { level: 4 })

/** With targets that are taken out by what they do, as `createProxy` has them. */
async function start(kind: FrontKind, options: FrontOptions): Promise<Front> {
  const front = own(await kind.start({ use: [decompressRequests()], ...options }))
  if (front.proxy === undefined) {
    const watch = ejection(front.upstream)
    own({ close: () => watch[Symbol.dispose]() })
  }
  return front
}

/** Node's HTTP/2 client sends the field once. */
const fieldsOf = (kind: FrontKind, lines: readonly string[]): string[] =>
  (kind.http2 ? [lines.join(', ')] : lines).flatMap((line) => ['Content-Encoding', line])

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

describe.each(fronts)('decompressRequests through $name', (kind) => {
  it('gives the target plain bodies, in chunks, and nothing of the coded ones', async () => {
    const origin = own(await originServer())
    const front = await start(kind, { targets: origin.url })
    const forms: [Uint8Array, ...string[]][] = codings.map((coding) => [
      encodeSync(coding, text, { level: 5 }),
      coding,
    ])
    forms.push([zlib.deflateRawSync(text), 'deflate'])
    forms.push([Buffer.concat([gzip, zlib.gzipSync(''), gzip]), 'X-GZip'])
    forms.push([zlib.brotliCompressSync(gzip), 'gzip, identity , , BR'])
    forms.push([zlib.gzipSync(zlib.gzipSync(gzip)), 'gzip, gzip', 'gzip'])
    for (const [body, ...lines] of forms) {
      const headers = fieldsOf(kind, lines)
      headers.push('Content-MD5', 'x', 'Digest', 'x', 'Content-Digest', 'x', 'Repr-Digest', 'x', 'X-A', '1')
      const chunked = lines[0] === 'deflate'
      expect(await front.client.ask({ method: 'POST', body, headers, chunked })).toMatchObject({
        status: 200,
      })
      const seen = origin.requests.at(-1) as (typeof origin.requests)[number]
      const twice = lines[0] === 'X-GZip'
      expect((await seen.body()).equals(twice ? Buffer.concat([text, text]) : text), lines.join()).toBe(true)
      for (const name of 'content-encoding content-length content-md5 digest content-digest repr-digest'.split(
        ' ',
      ))
        expect(value(seen.rawHeaders, name), name).toBeUndefined()
      expect(value(seen.rawHeaders, 'transfer-encoding')).toBe('chunked')
      expect(value(seen.rawHeaders, 'x-a')).toBe('1')
    }
    await released(front)
  })

  it.each([
    ['one that nobody knows', ['rot13']],
    ['one of them', ['gzip, compress']],
    ['garbage', ['gzip;q=1']],
    ['more garbage', [', "gzip"']],
    ['fifty', [Array.from({ length: 50 }, () => 'gzip').join(', ')]],
    ['four lines', ['gzip', 'gzip', 'gzip', 'gzip']],
  ])('answers %s with 415, says what it takes, and asks no target', async (_name, lines) => {
    const origin = own(await originServer())
    const front = await start(kind, { targets: origin.url })
    const headers = fieldsOf(kind, lines)
    const answer = await front.client.ask({ method: 'POST', body: gzip, headers })
    expect(answer).toMatchObject({ status: 415, complete: true })
    expect(value(answer.headers, 'accept-encoding')).toBe(codings.join(', '))
    expect(origin.requests).toHaveLength(0)
    expect(await front.client.ask({ method: 'POST', body: 'plain' })).toMatchObject({ status: 200 })
    await released(front)
  })

  it('bodies that are cut, damaged or followed by more are 400; they are never whole, and nobody is blamed or asked again', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const first = own(await originServer())
    const second = own(await originServer())
    const watch = observer()
    const front = await start(kind, {
      targets: [first.url, second.url],
      use: [watch.layer, decompressRequests()],
      retry: { methods: ['PUT'] },
    })
    const damaged = Buffer.from(gzip)
    damaged[gzip.length - 6] = (damaged[gzip.length - 6] as number) ^ 1
    const bad: [string, Uint8Array][] = [
      ['gzip', gzip.subarray(0, gzip.length - 5)],
      ['gzip', gzip.subarray(0, 9)],
      ['gzip', damaged],
      ['gzip', text],
      ['gzip', Buffer.concat([gzip, Buffer.from('garbage')])],
      ['gzip', Buffer.concat([gzip, Buffer.alloc(512)])],
      ['br', Buffer.concat([zlib.brotliCompressSync(text), gzip])],
      ['br', randomBytes(900).fill(255, 0, 9)],
      ['deflate', zlib.deflateSync(text).subarray(2, 60)],
    ]
    for (const [coding, body] of bad) {
      const headers = ['Content-Encoding', coding]
      const answer = await front.client.ask({ method: 'PUT', body, headers, chunked: true })
      expect(answer, coding).toMatchObject({ status: 400, text: '400 Bad Request\n' })
    }
    await released(front)
    expect(new Set(watch.codes)).toEqual(new Set(['http_request_error']))
    const asked = [...first.requests, ...second.requests]
    expect(asked.length).toBeLessThanOrEqual(bad.length)
    for (const seen of asked) await expect(seen.body()).rejects.toThrow()
    expect(front.upstream.all.map(({ state }) => state)).toEqual(['unknown', 'unknown'])
    expect(
      await front.client.ask({ method: 'PUT', body: gzip, headers: ['Content-Encoding', 'gzip'] }),
    ).toMatchObject({ status: 200 })
  })

  it('a body of no bytes is an empty one, since the framing says that it is whole', async () => {
    const origin = own(await originServer())
    const front = await start(kind, { targets: origin.url })
    const headers = ['Content-Encoding', 'gzip']
    const body = Buffer.alloc(0)
    expect(await front.client.ask({ method: 'PUT', body, headers, chunked: true })).toMatchObject({
      status: 200,
    })
    const [seen] = origin.requests
    expect((await seen?.body())?.length).toBe(0)
    expect(value(seen?.rawHeaders ?? [], 'content-encoding')).toBeUndefined()
    await released(front)
  })

  it('bombs are 413, of which the target gets what is within the limits', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    let most = 0
    const origin = own(
      await originServer((req) => {
        let came = 0
        req.on('data', (part: Buffer) => {
          came += part.length
          most = Math.max(most, came)
        })
      }),
    )
    expect(bomb.length).toBeLessThan(11_000)
    const watch = observer()
    const front = await start(kind, { targets: origin.url, use: [watch.layer, decompressRequests()] })
    const sized = await start(kind, {
      targets: origin.url,
      use: [watch.layer, decompressRequests({ maxSize: '64kb', maxRatio: 0 })],
    })
    const ask = (front: Front, body: Uint8Array, coding: string): Promise<unknown> =>
      front.client.ask({ method: 'POST', body, headers: ['Content-Encoding', coding] })
    expect(await ask(front, bomb, 'gzip')).toMatchObject({ status: 413, text: '413 Payload Too Large\n' })
    expect(await ask(front, nested, 'gzip, gzip, gzip')).toMatchObject({ status: 413 })
    expect(await ask(front, small, 'br')).toMatchObject({ status: 413 })
    expect(most).toBeLessThanOrEqual(1024 * 1024 + 16_384)
    most = 0
    expect(await ask(sized, gzip, 'gzip')).toMatchObject({ status: 413 })
    expect(most).toBeLessThanOrEqual(65_536)
    await released(front)
    await released(sized)
    await until(() => origin.requests.every(({ aborted }) => aborted), 'the target to be let go')
    expect(new Set(watch.codes)).toEqual(new Set(['http_request_body_size']))
    expect(front.upstream.all[0]?.state).toBe('unknown')
  })

  it('leaves alone what has no body, what must not be changed, and parts', async () => {
    const origin = own(await originServer())
    const front = await start(kind, { targets: origin.url })
    const coded = ['Content-Encoding', 'gzip']
    const left: [Parameters<typeof front.client.ask>[0] & object, Uint8Array][] = [
      [{ headers: coded }, Buffer.alloc(0)],
      [{ headers: ['Content-Encoding', 'rot13'] }, Buffer.alloc(0)],
      [{ method: 'POST', headers: coded }, Buffer.alloc(0)],
      [{ method: 'POST', headers: [...coded, 'Cache-Control', 'no-transform'], body: gzip }, gzip],
      [{ method: 'PUT', headers: [...coded, 'Content-Range', 'bytes 0-9/99'], body: gzip }, gzip],
      [{ method: 'PUT', headers: ['Content-Encoding', 'identity'], body: 'plain' }, Buffer.from('plain')],
    ]
    for (const [ask, bytes] of left) {
      expect(await front.client.ask(ask)).toMatchObject({ status: 200 })
      const seen = origin.requests.at(-1) as (typeof origin.requests)[number]
      expect((await seen.body()).equals(bytes)).toBe(true)
      expect(value(seen.rawHeaders, 'content-encoding')).toBe(
        value(ask.headers as string[], 'content-encoding'),
      )
    }
    await released(front)
  })

  it('where the answer has begun, what turns out bad cuts both connections', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(
      await originServer((req, res) => {
        res.write('begun')
        req.pipe(res)
      }),
    )
    const front = await start(kind, { targets: origin.url })
    const coded = zlib.gzipSync(randomBytes(300_000))
    const call = front.client.call({ method: 'POST', headers: ['Content-Encoding', 'gzip'], open: true })
    call.body.on('error', () => {})
    call.body.write(coded.subarray(0, 200_000))
    const head = await call.head
    expect(head.status).toBe(200)
    const over = call.answer()
    call.body.end(Buffer.alloc(40_000))
    expect((await over).complete).toBe(false)
    await until(() => origin.requests[0]?.aborted, 'the target to be let go')
    await released(front)
    expect(front.upstream.all[0]?.state).toBe('unknown')
  })

  it('a client that leaves in the middle is one that left', async () => {
    const origin = own(await originServer())
    const watch = observer()
    const front = await start(kind, { targets: origin.url, use: [watch.layer, decompressRequests()] })
    const call = front.client.call({ method: 'POST', headers: ['Content-Encoding', 'gzip'], open: true })
    call.body.on('error', () => {})
    call.body.write(gzip.subarray(0, 200))
    const seen = await origin.request()
    call.abort()
    await expect(call.head).rejects.toThrow()
    expect((await watch.outcome()).kind).toBe('client-left')
    await expect(seen.body()).rejects.toThrow()
    await released(front)
    expect(front.upstream.all[0]?.state).toBe('unknown')
  })

  it('a target that answers without reading it all is no trouble', async () => {
    const origin = own(await originServer((_req, res) => void res.writeHead(401).end('no')))
    const front = await start(kind, { targets: origin.url })
    const body = zlib.gzipSync(randomBytes(400_000))
    const answer = await front.client.ask({ method: 'POST', body, headers: ['Content-Encoding', 'gzip'] })
    expect(answer).toMatchObject({ status: 401, text: 'no' })
    await released(front)
  })
})

describe.each(threeFronts)('decompressRequests and retry through $name', (kind) => {
  it('a decoded body that was kept goes to the next target whole', async () => {
    const losing = own(
      await rawOrigin(async (connection) => {
        await connection.until('0\r\n\r\n')
        connection.reset()
      }),
    )
    const well = own(await originServer())
    const front = await start(kind, {
      targets: [losing.url, well.url],
      retry: { methods: ['PUT'], replay: '1mb' },
    })
    for (let i = 0; i < 2; i++) {
      const ask = { method: 'PUT', body: gzip, headers: ['Content-Encoding', 'gzip'] }
      expect(await front.client.ask(ask)).toMatchObject({ status: 200 })
    }
    expect(losing.connections.length).toBeGreaterThan(0)
    for (const seen of well.requests) {
      expect((await seen.body()).equals(text)).toBe(true)
      expect(value(seen.rawHeaders, 'content-encoding')).toBeUndefined()
    }
    await released(front)
  })
})

it.each([
  ['without', {}],
  ['with', { perTry: '5s' }],
] as const)(
  'decompressRequests inside retry, %s a limit: what nobody has read goes to the next target',
  async (_name, limits) => {
    const dead = own(await deadTarget())
    const well = own(await originServer())
    const upstream = own(createUpstream({ name: 'a', targets: [dead.url, well.url] }))
    const transport = own(wireTransport())
    const handler = chain()
      .use(retry(limits))
      .use(decompressRequests())
      .use(balance(upstream, roundRobin()))
      .handle(forward({ transport: [transport] }))
    const { client } = own(await listen(createServer(toListener(handler))))
    for (let i = 0; i < 4; i++) {
      const headers = ['Content-Encoding', 'br, gzip']
      const body = zlib.gzipSync(zlib.brotliCompressSync(text))
      expect(await client.ask({ method: 'POST', body, headers })).toMatchObject({ status: 200 })
    }
    expect(well.requests).toHaveLength(4)
    for (const seen of well.requests) expect((await seen.body()).equals(text)).toBe(true)
  },
)

describe.each(rawFronts)('decompressRequests and upgrades through $name', (kind) => {
  it('leaves tunnels alone', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n',
        )
        await connection.until('bytes of the tunnel')
        await connection.write('and back')
      }),
    )
    const front = await start(kind, { targets: origin.url })
    const client = own(await rawClient(front.port))
    client.write(
      'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\nContent-Encoding: gzip\r\n\r\n',
    )
    await client.until('\r\n\r\n')
    client.write('bytes of the tunnel')
    await client.until('and back')
  })
})

describe.each(twoFronts)('decompressRequests and a client that waits through $name', (kind) => {
  it('says 100 where the body is wanted, and 415 in its place where it is not', async () => {
    const origin = own(await originServer(answerOk))
    const front = await start(kind, { targets: origin.url })
    const client = own(await rawClient(front.port))
    const head = (coding: string): string =>
      `POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Encoding: ${coding}\r\nContent-Length: ${gzip.length}\r\n\r\n`
    client.write(head('gzip'))
    await client.until('100 Continue\r\n\r\n')
    client.write(gzip)
    await client.until('200 OK')
    expect((await (await origin.request()).body()).equals(text)).toBe(true)
    const other = own(await rawClient(front.port))
    other.write(head('rot13'))
    await other.until('415 Unsupported Media Type')
    expect(other.text.startsWith('HTTP/1.1 415')).toBe(true)
  })
})

describe('decompressRequests and targets of HTTP/2', () => {
  it('get plain bodies, and no end of one that is bad', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(await http2Origin())
    const proxy = own(
      createProxy({
        upstreams: { default: { targets: [origin.url], http2: 'prior-knowledge' } },
        use: [decompressRequests()],
      }),
    )
    const { port } = await proxy.listen()
    const client = own(httpClient({ port }))
    const ask = (body: Uint8Array): Promise<{ status: number }> =>
      client.ask({ method: 'POST', body, headers: ['Content-Encoding', 'gzip'] })
    expect(await ask(gzip)).toMatchObject({ status: 200 })
    const seen = await origin.stream()
    expect((await seen.body()).equals(text)).toBe(true)
    expect(seen.fields['content-encoding']).toBeUndefined()
    expect(await ask(gzip.subarray(0, -1))).toMatchObject({ status: 400 })
    expect(await (await origin.stream(1)).closed).not.toBe(0)
    expect(await ask(bomb)).toMatchObject({ status: 413 })
    expect(proxy.upstreams.get('default')?.all[0]?.state).toBe('unknown')
    expect(origin.connections).toBe(1)
  })
})

it('a wrong option is told by its path', () => {
  const wrong =
    (options: object, path?: string): (() => unknown) =>
    () =>
      decompressRequests(options, path)
  expect(wrong({ maxSize: '5 apples' })).toThrow(/decompressRequests\.maxSize: got '5 apples'/)
  expect(wrong({ maxRatio: 0.5 }, 'routes[1].decompressRequests')).toThrow(
    /routes\[1\]\.decompressRequests\.maxRatio: got 0\.5, takes a number from 1 on/,
  )
  expect(wrong({ maxRation: 5, maxSize: -1 })).toThrow(/maxRation[\s\S]*maxSize|maxSize[\s\S]*maxRation/)
})
