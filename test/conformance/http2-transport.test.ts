import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { balance } from '@sluice/balance'
import {
  attach,
  type Client,
  type Context,
  chain,
  clientAddress,
  type Layer,
  toListener,
  toUpgradeListener,
} from '@sluice/core'
import {
  forward,
  type HostPolicy,
  type Http2TransportOptions,
  http2Transport,
  type TimeoutOptions,
} from '@sluice/forward'
import { createUpstream, type TargetInit } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { ask, targetOf } from '../kit/attempt.js'
import { testCertificate } from '../kit/certificate.js'
import { type Front, frontOf } from '../kit/fronts.js'
import { type Http2Origin, type Http2OriginHandler, http2Origin } from '../kit/http2-origin.js'
import { listen } from '../kit/listen.js'
import { mountNamed, mounts } from '../kit/mounts.js'
import { observer } from '../kit/observer.js'
import { owner } from '../kit/owner.js'
import { rawClient, value, values } from '../kit/raw-request.js'
import { streamWebSocket } from '../kit/stream-websocket.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

interface Options {
  targets: readonly TargetInit[]
  transport?: Http2TransportOptions
  timeouts?: TimeoutOptions
  host?: HostPolicy
  use?: Layer<Context & Client>
}

const pass: Layer<Context & Client> = (next) => next

/** A chain made by hand over the transport, on a mount. */
async function front(mount: string, options: Options | Http2Origin): Promise<Front> {
  const {
    targets,
    transport: settings,
    timeouts,
    host,
    use = pass,
  }: Options = 'streams' in options ? { targets: [options.url] } : options
  const upstream = createUpstream({ name: 'test', targets })
  const transport = http2Transport(settings)
  const handler = chain()
    .use(clientAddress())
    .use(use)
    .use(balance(upstream))
    .handle(
      forward({
        // Nothing else takes what it can't carry.
        transport: [transport],
        ...(timeouts === undefined ? {} : { timeouts }),
        ...(host === undefined ? {} : { host }),
      }),
    )
  const close = async (): Promise<void> => {
    await transport.close(true)
    await upstream.close()
  }
  const built = { handler, upstream, close }
  if (mount.startsWith('attach')) {
    const http2 = mount !== 'attach'
    const server = http2 ? createHttp2Server() : createServer()
    attach(server, handler)
    return own(frontOf(built, await listen(server, { http2 })))
  }
  const served = { listener: toListener(handler), upgrade: toUpgradeListener(handler) }
  return own(frontOf(built, await mountNamed(mount).serve(served)))
}

const origin = async (...args: Parameters<typeof http2Origin>): Promise<Http2Origin> =>
  own(await http2Origin(...args))

/** Sends the request's body back. */
const echo: Http2OriginHandler = (stream) => {
  stream.respond({ ':status': 200 })
  stream.pipe(stream)
}

const names = mounts.map(({ name }) => name).filter((name) => /^node:http2? ?|with TLS/.test(name))
const short = '100ms'
const certificate = testCertificate()
const tls = certificate === undefined ? [] : [certificate]

describe.each(names)('HTTP/2 to targets, on %s', (mount) => {
  it('sends the fields of the request as HTTP/2 has them', async () => {
    const target = await origin()
    const { client, port } = await front(mount, { targets: [target.url], host: 'original' })
    const headers = ['X-Two', 'a', 'X-One', '1', 'x-two', 'b, c', 'Cookie', 'a=1; b=2', 'TE', 'trailers']
    expect(await client.ask({ path: '/p/%7e?q=%20', headers })).toMatchObject({ status: 200, text: 'ok' })
    const { raw } = await target.stream()
    const seen = [...raw]
    expect(seen.slice(0, 8)).toEqual([
      ...[':method', 'GET', ':scheme', 'http', ':authority', `127.0.0.1:${port}`],
      ...[':path', '/p/%7e?q=%20'],
    ])
    expect([values(seen, 'x-two'), values(seen, 'x-one')]).toEqual([['a', 'b, c'], ['1']])
    expect([values(seen, 'cookie').join('; '), values(seen, 'te')]).toEqual(['a=1; b=2', ['trailers']])
    expect(seen.filter((_, i) => i % 2 === 0 && /host$|connection|[A-Z]/.test(seen[i] as string))).toEqual([
      'x-forwarded-host',
    ])
  })

  it('relays the fields of the answer, repeated ones in their order', async () => {
    const target = await origin((stream) => {
      stream.respond({ ':status': 201, 'set-cookie': ['a=1', 'b=2'], 'x-list': ['1', '2', '3'], server: 'x' })
      stream.end('made')
    })
    const { client } = await front(mount, target)
    const { status, headers, text } = await client.ask()
    expect([status, text, values(headers, 'set-cookie')]).toEqual([201, 'made', ['a=1', 'b=2']])
    expect(values(headers, 'x-list').join(', ')).toBe('1, 2, 3')
  })

  it('carries bodies both ways, with a length and without', async () => {
    const target = await origin(echo)
    const { client } = await front(mount, target)
    const body = Buffer.alloc(1024 * 1024 + 7, 'abc')
    for (const chunked of [false, true]) {
      const answer = await client.ask({ method: 'POST', body, chunked })
      expect(answer.complete && answer.body.equals(body)).toBe(true)
    }
    const lengths = target.streams.map(({ fields }) => fields['content-length'])
    expect(lengths).toEqual([String(body.length), undefined])
  })

  it.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('frames the answer to %s with %i as one without a body', async (method, status) => {
    const target = await origin((stream) => {
      stream.respond({ ':status': status, ...(status === 204 ? {} : { 'content-length': '5' }), etag: '"x"' })
      stream.end()
    })
    const { client } = await front(mount, target)
    const answer = await client.ask({ method })
    expect(answer).toMatchObject({ status, text: '', complete: true })
    if (status !== 204) expect(value(answer.headers, 'content-length')).toBe('5')
  })

  it('keeps the length of an answer, and cuts off one with a body of another', async () => {
    const target = await origin((stream, { fields }) => {
      stream.respond({ ':status': 200, 'content-length': '5' })
      stream.end(fields[':path'] === '/right' ? '12345' : '123')
    })
    const { client } = await front(mount, target)
    const right = await client.ask({ path: '/right' })
    expect([right.complete, value(right.headers, 'content-length')]).toEqual([true, '5'])
    const wrong = await client.ask({ path: '/wrong' })
    expect(wrong.status === 502 || !wrong.complete).toBe(true)
  })

  it('relays trailers of the request and of the answer', async () => {
    const target = await origin(async (stream, seen) => {
      await seen.body()
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': ['1', '2'], 'x-last': 'z' }))
      stream.end('body')
    })
    const { client } = await front(mount, target)
    const call = client.call({ method: 'POST', headers: ['Trailer', 'X-Sent'], open: true })
    call.body.write('part')
    if ('addTrailers' in call.body) {
      ;(call.body as unknown as { addTrailers(list: object): void }).addTrailers({ 'X-Sent': 'yes' })
      call.body.end()
    } else call.body.end()
    const { trailers, text } = await call.answer()
    expect([text, values(trailers, 'x-sum').join(', '), values(trailers, 'x-last')]).toEqual([
      'body',
      '1, 2',
      ['z'],
    ])
    if (!mount.includes('http2'))
      expect(value([...(await target.stream()).rawTrailers], 'x-sent')).toBe('yes')
  })

  it('relays informational answers with their fields', async () => {
    const target = await origin((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>; rel=preload' })
      stream.additionalHeaders({ ':status': 103, link: '</b>; rel=preload' })
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
    const { client } = await front(mount, target)
    const call = client.call()
    expect((await call.answer()).text).toBe('ok')
    expect(call.informed.map(({ status, headers }) => [status, value(headers, 'link')])).toEqual([
      [103, '</a>; rel=preload'],
      [103, '</b>; rel=preload'],
    ])
  })

  it('resets the stream with CANCEL when the client leaves', async () => {
    const target = await origin((stream) => {
      stream.respond({ ':status': 200 })
      stream.write('part')
    })
    const { client, upstream } = await front(mount, target)
    const call = client.call()
    await call.head
    call.abort()
    expect(await within((await target.stream()).closed, 'the reset')).toBe(8)
    await until(() => upstream.all[0]?.inFlight === 0, 'the lease')
    expect(target.sessions.size).toBe(1)
  })

  it('resets an upload that is cut off: half a body is not a whole one', async () => {
    const ended = deferred<string>()
    const target = await origin((stream) => {
      stream.on('aborted', () => ended.resolve('aborted'))
      stream.on('end', () => ended.resolve('whole'))
      stream.resume()
    })
    const { client } = await front(mount, target)
    const call = client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    call.body.write('part')
    await target.stream()
    call.abort()
    expect(await within(ended.promise, 'the end of the upload')).toBe('aborted')
  })

  it.each<[string, (stream: ServerHttp2Stream) => void]>([
    ['CANCEL', (stream) => stream.close(8)],
    ['no error', (stream) => stream.destroy()],
    ['INTERNAL_ERROR', (stream) => stream.destroy(new Error('broken'))],
    ['the end of the connection', (stream) => stream.session?.destroy()],
  ])('ends the body when the target resets it with %s, and not as a whole one', async (_name, end) => {
    const seen = observer()
    const target = await origin((stream) => {
      // Else Node ends the body as if it were whole, ahead of the reset. Where the target says that there is no error only
      // the length tells.
      stream.respond({ ':status': 200, 'content-length': '10' }, { waitForTrailers: true })
      stream.write('part', () => setImmediate(end, stream))
    })
    const { client } = await front(mount, { targets: [target.url], use: seen.layer })
    expect(await client.ask()).toMatchObject({ status: 200, complete: false })
    expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code: 'http_response_incomplete' } })
  })

  it('takes it from a target that there is no error, where there is no length', async () => {
    const target = await origin((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.write('all', () => setImmediate(() => stream.destroy()))
    })
    const { client } = await front(mount, target)
    expect(await client.ask()).toMatchObject({ status: 200, text: 'all', complete: true })
  })

  it('relays an answer that comes before the request is whole', async () => {
    const target = await origin((stream) => {
      stream.respond({ ':status': 413 })
      stream.end('too large')
    })
    const { client } = await front(mount, target)
    const call = client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    call.body.write('part')
    const answer = await call.answer()
    expect(answer).toMatchObject({ status: 413, text: 'too large' })
    call.abort()
    expect(await (await front(mount, target)).client.ask()).toMatchObject({ status: 413 })
  })

  it('tells the phases of an attempt by their timeouts', async () => {
    const target = await origin((stream, { fields }) => {
      if (fields[':path'] === '/head') return
      const type = fields[':path'] === '/stream' ? 'text/event-stream' : 'text/plain'
      if (fields[':path'] !== '/upload') stream.respond({ ':status': 200, 'content-type': type })
      if (fields[':path'] !== '/upload') stream.write('part')
    })
    const seen = observer()
    const timeouts = { head: short, body: short, stream: short, requestBody: short } as const
    const { client } = await front(mount, { targets: [target.url], timeouts, use: seen.layer })
    expect(await client.ask({ path: '/head' })).toMatchObject({ status: 504 })
    expect(await client.ask({ path: '/body' })).toMatchObject({ status: 200, complete: false })
    expect(await client.ask({ path: '/stream' })).toMatchObject({ status: 200, complete: false })
    const call = client.call({ method: 'POST', path: '/upload', open: true })
    call.body.on('error', () => {})
    call.body.write('part')
    expect((await within(call.head, 'the answer')).status).toBe(408)
    expect(seen.codes).toEqual(['http_response_timeout', 'request_timeout'])
    const codes = ['connection_read_timeout', 'connection_read_timeout']
    expect(await Promise.all([1, 2].map(async (i) => (await seen.outcome(i)).error?.code))).toEqual(codes)
    for (const each of target.streams) expect(await within(each.closed, 'the reset')).toBe(8)
  })

  it('has one limit for all of it', async () => {
    const target = await origin((stream) => {
      stream.respond({ ':status': 200 })
      const timer = setInterval(() => stream.write('x'), 10)
      stream.on('close', () => clearInterval(timer))
    })
    const seen = observer()
    const { client } = await front(mount, {
      targets: [target.url],
      timeouts: { total: '200ms' },
      use: seen.layer,
    })
    expect(await client.ask()).toMatchObject({ status: 200, complete: false })
    expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code: 'total_timeout' } })
  })

  it('tells a target that stops reading', async () => {
    const target = await origin(() => {})
    const seen = observer()
    const timeouts = { requestBody: short, head: 0 } as const
    const { client } = await front(mount, { targets: [target.url], timeouts, use: seen.layer })
    const call = client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    let over = false
    call.head.finally(() => (over = true)).catch(() => {})
    const piece = Buffer.alloc(64 * 1024)
    await until(() => {
      while (!over && !call.body.destroyed && call.body.writableLength < 8 * piece.length)
        call.body.write(piece)
      return over
    }, 'the answer')
    expect((await call.head).status).toBe(504)
    expect(seen.codes).toEqual(['connection_write_timeout'])
  })

  it('holds a target back whose client does not read, and goes on when it does', async () => {
    let sent = 0
    const total = 16 * 1024 * 1024
    const target = await origin((stream) => {
      stream.respond({ ':status': 200 })
      const piece = Buffer.alloc(64 * 1024)
      const more = (): void => {
        while (sent < total) {
          sent += piece.length
          if (!stream.write(piece)) return void stream.once('drain', more)
        }
        stream.end()
      }
      more()
    })
    const seen = observer()
    const { client } = await front(mount, { targets: [target.url], use: seen.layer })
    const call = client.call()
    await call.head
    expect(await atRest(() => sent)).toBeLessThan(total / 2)
    const answer = await call.answer()
    expect(await seen.outcome()).toMatchObject({ kind: 'done', bytes: total })
    expect([answer.complete, answer.body.length]).toEqual([true, total])
  })

  it('holds a client back whose target does not read, and goes on when it does', async () => {
    const go = deferred()
    const total = 16 * 1024 * 1024
    const target = await origin(async (stream, seen) => {
      await go.promise
      const { length } = await seen.body()
      stream.respond({ ':status': 200 })
      stream.end(String(length))
    })
    const { client } = await front(mount, target)
    const call = client.call({ method: 'POST', open: true })
    let sent = 0
    const piece = Buffer.alloc(64 * 1024)
    const more = (): void => {
      while (sent < total) {
        sent += piece.length
        if (!call.body.write(piece)) return void call.body.once('drain', more)
      }
      call.body.end()
    }
    more()
    expect(await atRest(() => sent)).toBeLessThan(total / 2)
    go.resolve()
    expect((await call.answer()).text).toBe(String(total))
  })

  it('answers with 502 for a target that is gone, and with 200 when it is back', async () => {
    const first = await http2Origin()
    const { client } = await front(mount, { targets: [first.url], use: pass })
    expect(await client.ask()).toMatchObject({ status: 200 })
    await first.close()
    expect(await client.ask()).toMatchObject({ status: 502 })
    const second = await origin(undefined, { port: first.port })
    expect(await client.ask()).toMatchObject({ status: 200 })
    expect(second.streams).toHaveLength(1)
  })
})

describe('a head that is too large', () => {
  const many = (count: number, size: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'.repeat(size)]))

  it.each([
    ['has too many fields', many(1_200, 1)],
    ['has too many bytes', many(900, 45)],
  ])('%s: 502, and its name in the log', async (_name, fields) => {
    const target = await origin((stream) => {
      stream.respond({ ':status': 200, ...fields })
      stream.end()
    })
    const seen = observer()
    const { client } = await front('node:http', { targets: [target.url], use: seen.layer })
    expect(await client.ask()).toMatchObject({ status: 502 })
    expect(seen.codes).toEqual(['http_response_header_section_size'])
  })
})

describe.each(tls)('over TLS', ({ cert }) => {
  const secured = (url: string): TargetInit => ({ url, tls: { ca: cert } })

  it('speaks HTTP/2 where ALPN says so', async () => {
    const target = await origin(undefined, { tls: true })
    const { client } = await front('node:http', { targets: [secured(target.url)] })
    expect(await client.ask({ method: 'POST', body: 'x' })).toMatchObject({ status: 200, text: 'ok' })
    const { fields } = await target.stream()
    expect([fields[':scheme'], fields[':authority']]).toEqual(['https', `127.0.0.1:${target.port}`])
  })

  it('refuses a certificate that nobody vouches for', async () => {
    const target = await origin(undefined, { tls: true })
    const seen = observer()
    const { client } = await front('node:http', { targets: [target.url], use: seen.layer })
    expect(await client.ask()).toMatchObject({ status: 502 })
    expect(seen.codes).toEqual(['tls_certificate_error'])
  })

  it('speaks HTTP/1.1 where ALPN says that, asks no second time, and hands over all that waits', async () => {
    const https = await import('node:https')
    const versions: string[] = []
    let hellos = 0
    const server = https.createServer({ ...certificate, ALPNProtocols: ['http/1.1'] }, (req, res) => {
      versions.push(req.httpVersion)
      req.resume()
      req.on('end', () => res.end('ok'))
    })
    server.on('secureConnection', () => hellos++)
    const mounted = own(await listen(server))
    const { client } = await front('node:http', { targets: [secured(`https://127.0.0.1:${mounted.port}`)] })
    const answers = await Promise.all([1, 2, 3].map((i) => client.ask({ method: 'POST', body: String(i) })))
    expect(answers.map(({ text }) => text)).toEqual(['ok', 'ok', 'ok'])
    const before = hellos
    expect(await client.ask()).toMatchObject({ text: 'ok' })
    expect([versions, hellos - before]).toEqual([['1.1', '1.1', '1.1', '1.1'], 0])
  })

  it('does so for what waits while the transport closes', async () => {
    const https = await import('node:https')
    const server = https.createServer({ ...certificate, ALPNProtocols: ['http/1.1'] }, (_req, res) => {
      res.end('ok')
    })
    const mounted = own(await listen(server))
    const transport = http2Transport()
    const answer = ask(transport, targetOf(secured(`https://127.0.0.1:${mounted.port}`)))
    const closed = transport.close()
    expect(await answer).toBe('ok')
    await within(closed, 'the transport to be closed')
  })

  it('sends over HTTP/1.1 what the target wants to have so', async () => {
    const target = await origin(
      (stream, { fields }) => {
        if (fields[':path'] === '/1') return stream.close(13)
        stream.respond({ ':status': 200 })
        stream.end('over 2')
      },
      { tls: true, allowHTTP1: true },
    )
    target.server.on('request', (req, res) => {
      if (req.httpVersionMajor === 1) res.end('over 1')
    })
    const { client } = await front('node:http', { targets: [secured(target.url)] })
    expect((await client.ask({ path: '/1' })).text).toBe('over 1')
    expect((await client.ask({ path: '/2' })).text).toBe('over 2')
  })

  it('by prior knowledge asks for nothing else', async () => {
    const target = await origin(undefined, { tls: true })
    const transport = { mode: 'prior-knowledge' } as const
    const { client } = await front('node:http', { targets: [secured(target.url)], transport })
    expect((await client.ask()).text).toBe('ok')
  })
})

describe('mode alpn', () => {
  it('leaves a target without TLS to HTTP/1.1', async () => {
    const server = createServer((req, res) => res.end(req.httpVersion))
    const { port } = own(await listen(server))
    const transport = { mode: 'alpn' } as const
    const { client } = await front('node:http', { targets: [`http://127.0.0.1:${port}`], transport })
    expect((await client.ask()).text).toBe('1.1')
  })
})

/** Takes WebSocket's bytes as they are: a frame comes back as the client sent it, but for its mask. */
function webSocketEcho(stream: ServerHttp2Stream, protocol?: string): void {
  stream.respond({
    ':status': 200,
    ...(protocol === undefined ? {} : { 'sec-websocket-protocol': protocol }),
  })
  stream.on('data', (chunk: Buffer) => {
    const length = (chunk[1] as number) & 0x7f
    if ((chunk[0] as number) === 0x88) return void stream.end(Buffer.from([0x88, 0]))
    const mask = chunk.subarray(2, 6)
    const text = chunk.subarray(6, 6 + length).map((byte, i) => byte ^ (mask[i % 4] as number))
    stream.write(Buffer.concat([Buffer.from([0x81, length]), text]))
  })
}

const announced = { settings: { enableConnectProtocol: true } }

describe.each(['node:http', 'attach'])('upgrades over HTTP/2, on %s', (mount) => {
  it('are extended CONNECTs where the target announces them', async () => {
    const target = await origin((stream) => webSocketEcho(stream, 'chat.v2'), announced)
    const { port, upstream } = await front(mount, target)
    const socket = new WebSocket(`ws://127.0.0.1:${port}/room?x`, 'chat.v2', { headers: { 'X-A': '1' } })
    const heard = deferred<string>()
    socket.on('message', (data) => heard.resolve(String(data)))
    socket.on('error', (error) => heard.reject(error))
    socket.on('open', () => socket.send('hello'))
    expect(await within(heard.promise, 'the echo')).toBe('hello')
    expect(socket.protocol).toBe('chat.v2')
    const { fields } = await target.stream()
    expect(fields).toMatchObject({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/room?x',
      ':scheme': 'http',
      'sec-websocket-version': '13',
      'x-a': '1',
    })
    expect(fields['sec-websocket-key']).toBeUndefined()
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.close()
    await within(closed, 'the close')
    await within((await target.stream()).closed, 'the end of the stream')
    await until(() => upstream.all[0]?.inFlight === 0, 'the lease')
    expect(target.sessions.size).toBe(1)
  })

  it('that the target refuses are the responses they are', async () => {
    const target = await origin((stream) => {
      stream.respond({ ':status': 403, 'x-why': 'no' })
      stream.end('not you')
    }, announced)
    const { port } = await front(mount, target)
    const client = own(await rawClient(port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    await client.until('not you')
    expect(client.text).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-why: no/i)
    await within((await target.stream()).closed, 'the end of the stream')
  })

  it('end on both sides, whichever ends first, and rest no longer than they may', async () => {
    const target = await origin((stream, { fields }) => {
      stream.respond({ ':status': 200 })
      stream.write('hi')
      if (fields[':path'] === '/reset') stream.on('data', () => stream.close(8))
      stream.resume()
    }, announced)
    const { port } = await front(mount, { targets: [target.url], timeouts: { tunnel: '300ms' } })
    const open = async (path: string): Promise<Awaited<ReturnType<typeof rawClient>>> => {
      const client = own(await rawClient(port))
      client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`)
      await client.until('hi')
      return client
    }
    const reset = await open('/reset')
    reset.write('x')
    await within(reset.closed, 'the end of the tunnel')
    const left = await open('/left')
    left.close()
    expect(await within((await target.stream(1)).closed, 'the reset')).toBe(8)
    const idle = await open('/idle')
    await within(idle.closed, 'the end of the tunnel')
    expect(await within((await target.stream(2)).closed, 'the reset')).toBe(8)
  })

  it('that the target does not announce are not accepted', async () => {
    const target = await origin()
    const seen = observer()
    const { port } = await front(mount, { targets: [target.url], use: seen.layer })
    for (let i = 0; i < 2; i++) {
      const client = own(await rawClient(port))
      const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
      client.write(`GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n`)
      await client.until('\r\n\r\n')
      expect(client.text).toContain('HTTP/1.1 501')
    }
    expect([seen.codes, target.streams]).toEqual([['request_unsupported', 'request_unsupported'], []])
  })

  it.each(tls)(
    'go over HTTP/1.1 where the target does not announce them and chose HTTP/2 by ALPN',
    async ({ cert }) => {
      const target = await origin(undefined, { tls: true, allowHTTP1: true })
      target.server.on('upgrade', (_req: unknown, socket: Socket) => {
        socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nover 1')
      })
      const { port } = await front(mount, { targets: [{ url: target.url, tls: { ca: cert } }] })
      const client = own(await rawClient(port))
      client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
      await client.until('over 1')
      expect(client.text).toContain('HTTP/1.1 101')
    },
  )
})

describe('WebSocket over HTTP/2 on both sides', () => {
  it('passes, half-closed ends included', async () => {
    const target = await origin((stream) => webSocketEcho(stream), announced)
    const { port, upstream } = await front('attach to HTTP/2', target)
    const session = connect(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
    own({ close: () => session.destroy() })
    await within(once(session, 'remoteSettings'), 'the settings')
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/room',
      'sec-websocket-version': '13',
    })
    const [fields] = await within(once(stream, 'response'), 'the answer')
    expect(fields[':status']).toBe(200)
    const socket = streamWebSocket(stream)
    const echoed = once(socket, 'message')
    socket.send('hello')
    expect(String((await within(echoed, 'the echo'))[0])).toBe('hello')
    expect((await target.stream()).fields).toMatchObject({ ':protocol': 'websocket', ':path': '/room' })
    const closed = once(socket, 'close')
    socket.close()
    await within(closed, 'the close')
    await within((await target.stream()).closed, 'the end of the stream')
    await until(() => upstream.all[0]?.inFlight === 0, 'the lease')
  })
})

describe('many aborted requests', () => {
  it('leave no stream and no lease behind', async () => {
    const target = await origin((stream) => {
      stream.respond({ ':status': 200 })
      stream.write('part')
    })
    const { port, upstream } = await front('node:http', target)
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const client = await rawClient(port)
          client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
          await client.until('part')
          client.close()
        }),
      )
    }
    await until(() => upstream.all[0]?.inFlight === 0, 'all leases to be released')
    await Promise.all(target.streams.map(({ closed }) => within(closed, 'the resets')))
    expect(target.streams).toHaveLength(200)
  })
})
