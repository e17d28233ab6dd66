import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type Http2ServerRequest,
} from 'node:http2'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { Duplex, PassThrough, Readable } from 'node:stream'
import express from 'express'
import { afterEach, expect, it, vi } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { parseResponses, rawClient } from '../../../test/kit/raw-request.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { attach, type Handler, type Outcome, PushBody, toListener, unhandled } from './index.js'

trapUnhandled()
const own = owner()

afterEach(() => {
  vi.useRealTimers()
})

it('a client that left while something before the proxy was at work gets no handler called, and nothing hangs', async () => {
  let called = 0
  const arrived = deferred()
  const over = deferred()
  const app = express()
  // A middleware that takes its time, as one that asks a database does.
  app.use((_req, res, next) => {
    arrived.resolve()
    res.on('close', () => {
      next()
      over.resolve()
    })
  })
  app.use(
    toListener(() => {
      called++
      return { status: 200, headers: [], body: null }
    }),
  )
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({ close: () => server.close() })
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await arrived.promise
  client.destroy()
  await over.promise
  expect(called).toBe(0)
})

it('a listener that is called after the answer has begun leaves it alone, and tells the app', async () => {
  const told: unknown[] = []
  const listener = toListener(() => ({ status: 200, headers: [], body: 'proxy' }))
  const server = createServer((req, res) => {
    res.write('the app')
    listener(req, res, (error) => told.push(error))
    listener(req, res)
    res.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({ close: () => server.closeAllConnections() })
  own(server)
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  expect(await response.text()).toBe('the app')
  expect(String(told)).toContain('after the response had begun')
})

class Source extends PushBody {
  readonly stopped = deferred()
  protected resume(): void {}
  protected stop(): void {
    this.stopped.resolve()
  }
}

async function serve(handler: Handler, path?: string): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  attach(server, handler, path === undefined ? {} : { path })
  await once(server, 'listening')
  own({ close: () => server.closeAllConnections() })
  own(server)
  return (server.address() as AddressInfo).port
}

const upgrade = (method = 'GET', more = ''): string =>
  `${method} /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n${more}\r\n`

it('a client that leaves ends what it had pipelined too', async () => {
  const body = new Source()
  const asked = deferred()
  const ends: string[] = []
  const port = await serve((ctx) => {
    ctx.onClose(({ kind }) => ends.push(`${ctx.out.path} ${kind}`))
    if (ctx.out.path === '/1') return new Promise(() => {})
    asked.resolve()
    return { status: 200, headers: [], body }
  })
  const client = own(await rawClient(port))
  client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
  await asked.promise
  client.reset()
  await within(body.stopped.promise, 'the queued body to be cancelled')
  expect(ends.sort()).toEqual(['/1 client-left', '/2 client-left'])
})

it('an upgrade that is pipelined waits for the answer ahead of it', async () => {
  const first = deferred()
  const asked = deferred()
  const port = await serve(async (ctx) => {
    if (ctx.upgrade !== undefined) return { status: 426, headers: [], body: 'second' }
    asked.resolve()
    await first.promise
    return { status: 200, headers: [], body: 'first' }
  })
  const client = own(await rawClient(port))
  client.write(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${upgrade()}`)
  await asked.promise
  // The upgrade is told in the same turn as the request ahead of it.
  setImmediate(() => first.resolve())
  const answers = await client.responses(2)
  expect(answers.map(({ status, body }) => `${status} ${body}`)).toEqual(['200 first', '426 second'])
})

it('an upgrade with content is refused: Node can’t tell it from the new protocol', async () => {
  const port = await serve(() => ({ status: 200, headers: [], body: 'asked' }))
  const client = own(await rawClient(port))
  client.write(`${upgrade('POST', 'Content-Length: 5\r\n')}hello`)
  expect((await client.responses())[0]?.status).toBe(400)
})

it.each(['done', 'client-left'] as const)('a tunnel that its client ends: %s', async (kind) => {
  const end = deferred<Outcome>()
  const target = createTcpServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
  await once(target, 'listening')
  own(target)
  const port = await serve(async (ctx) => {
    ctx.onClose(end.resolve)
    const socket = connect((target.address() as AddressInfo).port, '127.0.0.1')
    await once(socket, 'connect')
    const headers = ['Connection', 'Upgrade', 'Upgrade', 'echo', 'X-Bad', 'a\r\nX-Injected: 1']
    return { status: 101, headers, body: null, socket }
  })
  const client = own(await rawClient(port))
  client.write(upgrade())
  await client.until('\r\n\r\n')
  expect(client.text).not.toContain('X-Injected')
  client.write('12345')
  await client.until('12345')
  if (kind === 'done') client.socket.end()
  else client.reset()
  expect(await within(end.promise, 'the exchange to end')).toMatchObject({ kind, bytes: 5 })
})

it('what is left to the app has ended for the layers', async () => {
  const ends: string[] = []
  const app = express()
  app.use(
    toListener((ctx) => {
      ctx.onClose(({ kind }) => ends.push(kind))
      return unhandled
    }),
  )
  app.use((_req, res) => void res.end(ends.join()))
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({ close: () => server.closeAllConnections() })
  own(server)
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  expect(await response.text()).toBe('done')
})

it('the peer is known after it has left', async () => {
  const address = deferred<string>()
  const asked = deferred()
  const port = await serve((ctx) => {
    ctx.onClose(() => address.resolve(ctx.peer.address))
    asked.resolve()
    return new Promise(() => {})
  })
  const client = own(await rawClient(port))
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await asked.promise
  client.close()
  expect(await address.promise).toBe('127.0.0.1')
})

it('a mount path holds an absolute request-target too (RFC 9112 section 3.2.2)', async () => {
  const port = await serve(
    ({ out, authority }) => ({ status: 200, headers: [], body: `${authority} ${out.path}` }),
    '/api',
  )
  const client = own(await rawClient(port))
  client.write(
    'GET http://b/api/x?y HTTP/1.1\r\nHost: a\r\n\r\nGET http://b/apix HTTP/1.1\r\nHost: a\r\n\r\n',
  )
  const answers = await client.responses(2)
  expect(answers.map(({ status, body }) => `${status} ${body}`)).toEqual([
    '200 b /x?y',
    '404 404 Not Found\n',
  ])
})

it('a target that left between its 101 and the tunnel is told, and nothing stays open', async () => {
  const end = deferred<Outcome>()
  const port = await serve((ctx) => {
    ctx.onClose(end.resolve)
    return { status: 101, headers: [], body: null, socket: new PassThrough().destroy() }
  })
  const client = own(await rawClient(port))
  client.write(upgrade())
  expect((await client.responses())[0]?.status).toBe(502)
  await within(end.promise, 'the exchange to end')
})

it('attached below a path of an app it answers there, and the app elsewhere', async () => {
  const app = express()
  app.get('/own', (_req, res) => void res.send('the app'))
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({ close: () => server.closeAllConnections() })
  own(server)
  const upgraded: (string | undefined)[] = []
  server.on('upgrade', (req, socket) => {
    upgraded.push(req.url)
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
  const detach = attach(
    server,
    async ({ out }) => ({ status: 200, headers: [], body: `proxy ${out.path}` }),
    {
      path: '/api',
    },
  )
  const { port } = server.address() as AddressInfo
  const status = async (request: string): Promise<string> => {
    const client = own(await rawClient(port))
    client.write(request)
    const [answer] = await client.responses()
    return `${answer?.status} ${answer?.status === 200 ? answer.body : ''}`
  }
  const get = (path: string): Promise<string> => status(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  expect([await get('/api/x'), await get('/own'), await get('/none')]).toEqual([
    '200 proxy /x',
    '200 the app',
    '404 ',
  ])
  expect([await status(upgrade().replace('/ws', '/api/ws')), await status(upgrade())]).toEqual([
    '200 proxy /ws',
    '403 ',
  ])
  expect(upgraded).toEqual(['/ws'])
  detach()
  expect([await get('/api/x'), await get('/own')]).toEqual(['404 ', '200 the app'])
  expect([server.listenerCount('request'), server.listenerCount('upgrade')]).toEqual([1, 1])
})

it('an upgrade without Host gets 400 (RFC 9112 section 3.2)', async () => {
  let called = 0
  const port = await serve(() => {
    called++
    return { status: 200, headers: [], body: null }
  })
  const client = own(await rawClient(port))
  client.write(upgrade().replace('Host: a\r\n', ''))
  expect((await client.responses())[0]?.status).toBe(400)
  expect(called).toBe(0)
})

it('a socket that comes with a reply that opens no tunnel is closed', async () => {
  const socket = new PassThrough()
  const port = await serve(() => ({ status: 200, headers: [], body: 'no tunnel', socket }))
  expect(await fetch(`http://127.0.0.1:${port}`).then((response) => response.text())).toBe('no tunnel')
  expect(socket.destroyed).toBe(true)
})

it.each([
  ['h2c', undefined],
  ['H2C/1', undefined],
  ['h2c,', undefined],
  ['h2c, echo', 'echo'],
  ['echo,h2c', 'echo'],
  ['one, h2c , two', 'one, two'],
  ['h2c-not, echo', 'h2c-not, echo'],
])('of the protocols %s a target hears %s: h2c would go past every rule', async (asked, heard) => {
  const port = await serve(({ upgrade }) => ({ status: 200, headers: [], body: String(upgrade) }))
  const client = own(await rawClient(port))
  client.write(upgrade().replace('echo', asked))
  expect(String((await client.responses())[0]?.body)).toBe(String(heard))
})

it.each([
  ['a coding before chunked', 'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  ['a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a second Host', 'Host: b\r\nContent-Length: 0\r\n\r\n'],
])(
  'what comes in one packet behind a request that is refused for %s reaches no handler',
  async (_name, rest) => {
    const called: string[] = []
    const handler: Handler = ({ out }) => {
      called.push(out.path)
      return { status: 200, headers: [], body: null }
    }
    const server = createServer({ insecureHTTPParser: true }).listen(0, '127.0.0.1')
    attach(server, handler)
    await once(server, 'listening')
    own(server)
    const client = own(await rawClient((server.address() as AddressInfo).port))
    const first = 'GET /first HTTP/1.1\r\nHost: a\r\n\r\n'
    const smuggled = `GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n${upgrade()}`
    client.write(`${first}POST / HTTP/1.1\r\nHost: a\r\n${rest}${smuggled}`)
    await within(client.closed, 'the connection to close')
    expect(parseResponses(Buffer.from(client.text, 'latin1')).map(({ status }) => status)).toEqual([200, 400])
    expect(called).toEqual(['/first'])
  },
)

it('an answer that ends the connection is the last: the request behind is not processed (RFC 9112 section 9.6)', async () => {
  const called: string[] = []
  const port = await serve(({ out }) => {
    called.push(out.path)
    return { status: 413, headers: [], body: null }
  })
  const client = own(await rawClient(port))
  const post = 'POST /one HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello'
  client.write(`${post}POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`)
  await within(client.closed, 'the connection to close')
  expect(called).toEqual(['/one'])
})

it('a long answer ahead of a pipelined upgrade goes on when the client reads', async () => {
  const size = 32 * 1024 * 1024
  const port = await serve((ctx) => {
    if (ctx.upgrade !== undefined) return { status: 426, headers: [], body: 'second' }
    const parts = Array.from({ length: 32 }, () => Buffer.alloc(size / 32))
    return { status: 200, headers: [], body: Readable.from(parts) }
  })
  const client = connect(port, '127.0.0.1')
  own({ close: () => client.destroy() })
  client.write(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${upgrade()}`)
  let bytes = 0
  let last = ''
  client.on('data', (chunk) => {
    bytes += chunk.length
    last = chunk.toString('latin1').slice(-6)
  })
  await within(once(client, 'end'), 'the end of both answers')
  expect([bytes > size, last]).toEqual([true, 'second'])
})

it('a client that leaves the last bytes of a tunnel unread is let go', async () => {
  const opened = deferred<Socket>()
  const target = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const port = await serve((ctx) => {
    opened.resolve(ctx.req.socket)
    return { status: 101, headers: ['Connection', 'Upgrade', 'Upgrade', 'echo'], body: null, socket: target }
  })
  const client = connect(port, '127.0.0.1')
  own({ close: () => client.destroy() })
  client.pause()
  client.write(upgrade())
  const socket = await opened.promise
  // More than the system takes for a client that doesn't read.
  target.push(Buffer.alloc(32 * 1024 * 1024))
  target.once('data', () => target.destroy())
  await within(once(target, 'close'), 'the target to go')
  await until(() => socket.writableEnded, 'our half to end')
  expect(socket.destroyed).toBe(false)
  socket.emit('timeout')
  expect(socket.destroyed).toBe(true)
})

it('a client that ended its half before the target answered has ended its half of the tunnel', async () => {
  const ended = deferred()
  const target = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
    final(done) {
      ended.resolve()
      done()
    },
  })
  const port = await serve(async (ctx) => {
    await once(ctx.req.socket, 'end')
    return { status: 200, headers: [], body: null, socket: target }
  })
  const client = own(await rawClient(port, { allowHalfOpen: true }))
  client.socket.end('CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n')
  await within(ended.promise, 'the end of the client’s half')
  target.push('the answer')
  target.push(null)
  await within(client.closed, 'the tunnel to end')
  expect(client.text).toMatch(/the answer$/)
})

it('detached, a server has its listeners as they were, among those added since', () => {
  const server = createServer()
  const [before, once, since] = [() => {}, () => {}, () => {}]
  server.on('request', before).once('request', once)
  const had = server.rawListeners('request')
  const detach = attach(server, () => unhandled)
  server.on('request', since)
  detach()
  expect(server.rawListeners('request')).toEqual([...had, since])
  expect(server.listeners('request')).toEqual([before, once, since])
})

it('detached below something that was attached later, the app still hears each request once', async () => {
  let heard = 0
  const server = createServer((_req, res) => {
    heard++
    res.end('the app')
  })
  const detach = attach(server, () => unhandled, { path: '/x' })
  // As other libraries attach themselves.
  const [below] = server.listeners('request')
  server.removeAllListeners('request').on('request', (req, res) => below?.call(server, req, res))
  detach()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  own(server)
  own({ close: () => server.closeAllConnections() })
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  expect([await response.text(), heard]).toEqual(['the app', 1])
})

it('clients may end their half only as long as a chain serves the whole server', () => {
  const server = createServer() as Server & { httpAllowHalfOpen: boolean }
  const [below, whole] = [attach(server, () => unhandled, { path: '/x' }), attach(server, () => unhandled)]
  expect(server.httpAllowHalfOpen).toBe(true)
  whole()
  expect([server.httpAllowHalfOpen, server.listenerCount('request')]).toEqual([false, 1])
  below()
})

it('a client of HTTP/2 that does not read, and resets its stream with NO_ERROR, leaves nothing behind', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const end = deferred<Outcome>()
  const asked = deferred<Http2ServerRequest>()
  const server = createHttp2Server().listen(0, '127.0.0.1')
  let connections = 0
  server.on('connection', (socket) => {
    connections++
    socket.once('close', () => connections--)
  })
  attach(server, (ctx) => {
    ctx.onClose(end.resolve)
    asked.resolve(ctx.req as Http2ServerRequest)
    // More than the window of a stream.
    return { status: 200, headers: [], body: Buffer.alloc(100_000) }
  })
  await once(server, 'listening')
  own(server)
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  own({ close: () => session.destroy() })
  const request = session.request({ ':path': '/' })
  await within(once(request, 'response'), 'the head')
  const { stream } = await asked.promise
  request.close(0)
  await until(() => stream.closed && stream.readableEnded, 'the reset')
  vi.advanceTimersByTime(1_000)
  expect(await within(end.promise, 'the end of the exchange')).toMatchObject({ kind: 'client-left' })
  session.destroy()
  await until(() => connections === 0, 'the connection to close')
})
