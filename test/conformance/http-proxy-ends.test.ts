import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { connect as connectHttp2, constants, createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectCache } from '@sluice/cache'
import { createProxyServer } from '@sluice/http-proxy'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { parseResponses, rawClient, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** A target that sends the beginning of an answer, and leaves. */
async function breakingOff(): Promise<string> {
  const origin = own(
    await rawOrigin(async (connection) => {
      await connection.head()
      await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
      connection.reset()
    }),
  )
  return origin.url
}

describe('the drop-in, where an answer breaks off', () => {
  it.each(['without listeners', 'with a listener of proxyRes'])(
    'ends the connection of a Unix socket, which knows no reset, and nothing else (%s)',
    async (how) => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
      own({ close: () => rmSync(folder, { recursive: true }) })
      const proxy = own(createProxyServer({ target: await breakingOff() }))
      if (how.includes('proxyRes')) proxy.on('proxyRes', () => {})
      const server = createServer(proxy.web).listen(join(folder, 'app.sock'))
      own({ close: () => void server.close() })
      await once(server, 'listening')
      const client = own(closable(connect(join(folder, 'app.sock'))))
      // As nginx asks its upstreams by default: the body ends with the connection.
      client.socket.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
      await within(once(client.socket, 'close'), 'the end of the connection')
      expect(client.text()).toContain('hello')
    },
  )

  it.each(['without listeners', 'with a listener of proxyRes', 'with a step that has begun the answer'])(
    'resets the stream of HTTP/2 with an error: without one it would pass for whole (%s)',
    async (how) => {
      const proxy = own(createProxyServer({ target: await breakingOff() }))
      if (how.includes('proxyRes')) proxy.on('proxyRes', () => {})
      const server = createHttp2Server((req, res) => {
        if (how.includes('step')) {
          res.write('hello')
          proxy.web(req as never, res as never, { target: 'http://127.0.0.1:1' })
        } else proxy.web(req as never, res as never)
      }).listen(0, '127.0.0.1')
      own({ close: () => void server.close() })
      await once(server, 'listening')
      const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      own({ close: () => session.destroy() })
      const stream = session.request({ ':path': '/' })
      let ended = false
      stream.on('end', () => {
        ended = true
      })
      stream.on('error', () => {})
      stream.resume()
      await within(new Promise((closed) => stream.on('close', closed)), 'the end of the stream')
      expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR)
      expect(ended).toBe(false)
    },
  )
})

describe.each(['nobody', 'a listener', 'a callback'])('the drop-in, where %s hears of errors', (who) => {
  it.each([
    ['a coding before chunked', 'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a second Host', 'Host: b\r\nContent-Length: 0\r\n\r\n'],
  ])('tells no one of what comes in one packet behind a request refused for %s', async (_name, rest) => {
    const origin = own(await originServer())
    const started: string[] = []
    const proxy = own(createProxyServer({ target: origin.url }))
    proxy.on('start', ({ url }) => started.push(String(url)))
    const answer = (_error: Error, _req: unknown, res: { end(text: string): unknown }): void =>
      void res.end('heard')
    if (who === 'a listener') proxy.on('error', answer)
    const server = createServer({ insecureHTTPParser: true }, (req, res) =>
      who === 'a callback' ? proxy.web(req, res, answer) : proxy.web(req, res),
    ).listen(0, '127.0.0.1')
    own({ close: () => void server.close() })
    await once(server, 'listening')
    const client = own(await rawClient((server.address() as AddressInfo).port))
    const first = 'GET /first HTTP/1.1\r\nHost: a\r\n\r\n'
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
    client.write(`${first}POST /bad HTTP/1.1\r\nHost: a\r\n${rest}${smuggled}${smuggled}`)
    await within(client.closed, 'the connection to close')
    expect(parseResponses(client.received).map(({ status }) => status)).toEqual([200, 400])
    expect(origin.requests.map(({ url }) => url)).toEqual(['/first'])
    expect(started).toEqual(['/first', '/bad'])
  })
})

it.each(['without listeners', 'with a listener of proxyRes'])(
  'the drop-in: a client that leaves ends what it has asked for behind another request, too (%s)',
  async (how) => {
    const origin = own(await originServer((req, res) => void (req.url === '/first' || res.write('begun'))))
    const proxy = own(createProxyServer({ target: origin.url }))
    if (how.includes('proxyRes')) proxy.on('proxyRes', () => {})
    const left: string[] = []
    proxy.on('econnreset', (_error, { url }) => left.push(String(url)))
    const over: string[] = []
    const { port } = own(
      await originServer(async (req, res) => {
        await proxy.web(req, res)
        over.push(String(req.url))
      }),
    )
    const client = own(await rawClient(port))
    const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
    client.write(get('/first') + get('/second') + get('/third'))
    const seen = await Promise.all([0, 1, 2].map((i) => origin.request(i)))
    client.reset()
    for (const { closed, url } of seen) await within(closed, `the end of ${url} at the target`)
    expect(seen.map(({ aborted }) => aborted)).toEqual([true, true, true])
    await until(() => over.length === 3, 'the end of the calls')
    expect(left).toContain('/first')
  },
)

it.each(['nobody', 'a listener'])(
  'the drop-in: a target that fails in mid-upload gives 502 and the end of the connection, which the client is told (%s hears)',
  async (who) => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.until(50_000)
        connection.reset()
      }),
    )
    const proxy = own(createProxyServer({ target: origin.url }))
    if (who === 'a listener')
      proxy.on('error', (_error, _req, res) => void (res as ServerResponse).writeHead(502).end('heard'))
    const { port } = own(await originServer((req, res) => void proxy.web(req, res)))
    const client = own(await rawClient(port))
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n')
    client.write('x'.repeat(100_000))
    const [answer] = await client.responses()
    expect(answer).toMatchObject({ status: 502 })
    expect(value(answer?.headers ?? [], 'connection')).toBe('close')
    await within(client.closed, 'the end of the connection')
    expect(client.ended).toBe('end')
  },
)

function closable(socket: Socket): { socket: Socket; text(): string; close(): void } {
  let text = ''
  socket.on('data', (part: Buffer) => {
    text += part.toString('latin1')
  })
  socket.on('error', () => {})
  return { socket, text: () => text, close: () => void socket.destroy() }
}

describe.each(['without listeners', 'with a listener of proxyRes'])('the drop-in and trailers, %s', (how) => {
  const announced = 'Trailer: X-Sum\r\n'
  const chunks = `HTTP/1.1 200 OK\r\n${announced}Transfer-Encoding: chunked\r\n\r\n`
  const length = `HTTP/1.1 200 OK\r\n${announced}Content-Length: 5\r\n\r\n`
  const whole = '5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n'

  async function asked(request: string, response: string, cached = false) {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(response)
      }),
    )
    const proxy = own(createProxyServer({ target: origin.url }))
    if (how.includes('proxyRes')) proxy.on('proxyRes', () => {})
    const app = express()
    if (cached) app.use(connectCache())
    const server = createServer(app.use(proxy.web)).listen(0, '127.0.0.1')
    own({ close: () => void server.close() })
    await once(server, 'listening')
    const client = own(await rawClient((server.address() as AddressInfo).port))
    client.write(`${request}\r\nHost: a\r\nConnection: close\r\n\r\n`)
    await within(client.closed, 'the end of the answer')
    return parseResponses(client.received, [request.split(' ')[0] as string])[0]
  }

  it.each([
    ['HEAD / HTTP/1.1', chunks, ''],
    ['HEAD / HTTP/1.1', length, ''],
    ['GET / HTTP/1.1', `HTTP/1.1 304 Not Modified\r\n${announced}\r\n`, ''],
    ['GET / HTTP/1.1', `${length}hello`, 'hello'],
    ['GET / HTTP/1.0', `${chunks}${whole}`, 'hello'],
  ])('announces none where none can follow: %s %j', async (request, response, body) => {
    const answer = await asked(request, response)
    expect(answer?.body.toString()).toBe(body)
    expect(value(answer?.headers ?? [], 'trailer')).toBeUndefined()
  })

  it.each([false, true])('passes them on where they can (connectCache in front: %s)', async (cached) => {
    const answer = await asked('GET / HTTP/1.1', `${chunks}${whole}`, cached)
    expect(answer).toMatchObject({ status: 200, complete: true, trailers: ['X-Sum', '5'] })
    expect(value(answer?.headers ?? [], 'trailer')).toBe('X-Sum')
  })
})

describe('the drop-in behind connectCache', () => {
  it('tells of a target that fails also where the client it was asked for has left: others wait', async () => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello'
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        if (connection.index > 0) await connection.write(answer)
      }),
    )
    const proxy = own(createProxyServer({ target: origin.url }))
    proxy.on('error', (_error, _req, res) => void (res as ServerResponse).writeHead(502).end())
    const app = express()
    let come = 0
    let gone = 0
    app.use((_req, res, next) => {
      res.on('close', () => gone++)
      next()
      come++
    })
    app.use(connectCache({ lockWait: 0 }))
    const server = createServer(app.use(proxy.web)).listen(0, '127.0.0.1')
    own({ close: () => void server.close() })
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
    const first = own(await rawClient(port))
    first.write(request)
    const asked = await origin.connection()
    await asked.head()
    first.reset()
    await until(() => gone === 1, 'the end of the first')
    const second = own(await rawClient(port))
    second.write(request)
    await until(() => come === 2, 'the second')
    asked.reset()
    const [told] = await within(second.responses(), 'its answer')
    expect([told?.status, told?.body.toString()]).toEqual([200, 'hello'])
  })
})

it('the drop-in does not end the request of a client of HTTP/2 that destroys it in the middle of its body', async () => {
  const origin = own(await rawOrigin())
  const proxy = own(createProxyServer({ target: origin.url }))
  proxy.on('error', () => {})
  const server = createHttp2Server((req, res) => proxy.web(req as never, res as never)).listen(0, '127.0.0.1')
  own({ close: () => void server.close() })
  await once(server, 'listening')
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  own({ close: () => session.destroy() })
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  stream.write('half')
  const connection = await origin.connection()
  await connection.until('half')
  stream.destroy()
  await within(connection.closed, 'the end of the connection')
  expect(connection.text).toMatch(/half\r\n$/)
})
