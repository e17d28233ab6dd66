import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createNetServer, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ServerOptions } from '@sluice/http-proxy'
import * as ours from '@sluice/http-proxy'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

/** What http-proxy-3 and httpxy have beyond http-proxy, and their users rest on. */
type Proxy = ours.ProxyServer

const own = owner()
trapUnhandled()
const { createProxyServer } = ours
const client = (port: number): ReturnType<typeof httpClient> => own(httpClient({ port }))

async function listens(server: Server): Promise<number> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  own({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return (server.address() as AddressInfo).port
}

/** A proxy that listens by itself, before an origin. */
async function standing(
  options: ServerOptions | ((port: number) => ServerOptions),
  handler?: OriginHandler,
): Promise<{ port: number; proxy: Proxy; origin: number }> {
  const origin = own(await originServer(handler))
  const all = typeof options === 'function' ? options(origin.port) : { target: origin.url, ...options }
  const proxy = createProxyServer(all).listen(0, '127.0.0.1')
  await once(proxy._server as Server, 'listening')
  return { port: await listens(proxy._server as Server), proxy, origin: origin.port }
}

/** A server that hands each request to `call`. */
const calling = (
  call: (req: IncomingMessage, res: ServerResponse) => unknown,
  upgrade?: (req: IncomingMessage, socket: Duplex, head: Buffer) => unknown,
): Promise<number> => {
  const server = createServer((req, res) => void call(req, res))
  if (upgrade !== undefined) server.on('upgrade', (...args) => void upgrade(...args))
  return listens(server)
}

/** A target that opens a tunnel and sends back what comes. */
async function tunnelling(fields = ''): Promise<{ port: number; asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = []
  const server = createServer()
  server.on('upgrade', (req, socket) => {
    asked.push(req)
    socket.on('error', () => {})
    own({ close: () => socket.destroy() })
    socket.write(`HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${fields}\r\n`)
    socket.pipe(socket)
  })
  return { port: await listens(server), asked }
}

const handshake = (path = '/'): string =>
  `GET ${path} HTTP/1.1\r\nHost: a.test:81\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
type Coded = Error & { code?: string; statusCode?: number }

describe('the promise of web and ws', () => {
  it('rejects where nobody else hears of the error: whoever awaits answers', async () => {
    const dead = own(await deadTarget())
    const proxy = createProxyServer({ target: dead.url })
    const port = await calling(async (req, res) => {
      try {
        await proxy.web(req, res)
      } catch (error) {
        res.writeHead(500).end(`of the app: ${(error as Coded).code}`)
      }
    })
    expect(await client(port).ask()).toMatchObject({ status: 500, text: 'of the app: ECONNREFUSED' })
  })

  it('rejects over an error of the call itself, too', async () => {
    const proxy = createProxyServer({})
    const port = await calling((req, res) =>
      proxy.web(req, res).catch((error: unknown) => res.end((error as Error).message)),
    )
    expect((await client(port).ask()).text).toBe('Must provide a proper URL as target')
  })

  it('is over when the answer has gone out', async () => {
    const origin = own(await originServer())
    const proxy = createProxyServer({ target: origin.url })
    const over = deferred<boolean>()
    const port = await calling((req, res) =>
      proxy.web(req, res).then(() => over.resolve(res.writableFinished)),
    )
    await client(port).ask()
    expect(await within(over.promise, 'the end of the call')).toBe(true)
  })

  it.each(['listener', 'callback', 'step'])('is over where a %s has taken over', async (who) => {
    const dead = own(await deadTarget())
    const proxy = createProxyServer({ target: dead.url })
    const answer = (res: unknown): true => {
      ;(res as ServerResponse).end('told')
      return true
    }
    if (who === 'listener') proxy.on('error', (_error, _req, res) => void answer(res))
    if (who === 'step')
      proxy.before('web', 'stream', ((_req: IncomingMessage, res: ServerResponse) => answer(res)) as never)
    const over = deferred()
    const port = await calling(async (req, res) => {
      if (who === 'callback') await proxy.web(req, res, {}, (_error, _req, theRes) => void answer(theRes))
      else await proxy.web(req, res)
      over.resolve()
    })
    expect((await client(port).ask()).text).toBe('told')
    await within(over.promise, 'the end of the call')
  })

  it('rejects for an upgrade, and leaves the others to a 502', async () => {
    const dead = own(await deadTarget())
    const proxy = createProxyServer({ target: dead.url })
    const seen = deferred<string | undefined>()
    const port = await calling(
      (req, res) => void proxy.web(req, res),
      (req, socket, head) => {
        const call = proxy.ws(req, socket, head)
        if (req.url === '/awaited') call.catch((error: unknown) => seen.resolve((error as Coded).code))
      },
    )
    const awaited = own(await rawClient(port))
    awaited.write(handshake('/awaited'))
    await within(awaited.closed, 'the end of the connection')
    expect([awaited.text, await seen.promise]).toEqual(['', 'ECONNREFUSED'])
    const left = own(await rawClient(port))
    left.write(handshake('/left'))
    expect((await left.responses())[0]?.status).toBe(502)
    expect((await client(port).ask()).status).toBe(502)
  })

  it('goes to the error handler of Express from a handler that returns it', async () => {
    const dead = own(await deadTarget())
    const proxy = createProxyServer({ target: dead.url })
    const app = express()
    app.use((req, res) => proxy.web(req, res))
    app.use((error: Coded, _req: unknown, res: express.Response, _next: unknown) => {
      res.status(503).send(error.code)
    })
    const port = await listens(createServer(app))
    expect(await client(port).ask()).toMatchObject({ status: 503, text: 'ECONNREFUSED' })
  })
})

describe('arguments', () => {
  it.each([
    ['head and options', (given: ServerOptions, head: Buffer) => [head, given]],
    ['options and head', (given: ServerOptions, head: Buffer) => [given, head]],
  ])('takes %s for an upgrade, and keeps the head', async (_order, args) => {
    const { port: to } = await tunnelling()
    const proxy = createProxyServer({})
    const port = await calling(
      () => {},
      (req, socket, head) => proxy.ws(req, socket, ...args({ target: `ws://127.0.0.1:${to}` }, head)),
    )
    const raw = own(await rawClient(port))
    raw.write(`${handshake()}early`)
    await raw.until('\r\n\r\nearly')
  })

  it('says when and where it listens', async () => {
    const proxy = createProxyServer({ target: 'http://127.0.0.1:1' })
    expect(proxy.address()).toBeNull()
    await within(new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done)), 'the listening')
    expect((proxy.address() as AddressInfo).port).toBe(
      ((proxy._server as Server).address() as AddressInfo).port,
    )
    await within(new Promise<void>((done) => proxy.close(() => done())), 'the close')
    expect(proxy.address()).toBeNull()
  })

  it("finds the last step by httpxy's empty name", () => {
    const proxy = createProxyServer({})
    const step = (): void => {}
    proxy.before('web', '', step)
    proxy.before('ws', '', step)
    expect(proxy._webPasses.indexOf(step)).toBe(proxy._webPasses.length - 2)
    expect(proxy._wsPasses.at(-2)).toBe(step)
  })
})

describe('targets', () => {
  it('asks a function for the target of each request and upgrade', async () => {
    const [one, two] = await Promise.all(
      ['one', 'two'].map(async (name) => own(await originServer((_req, res) => void res.end(name))).port),
    )
    const { port: to } = await tunnelling('X-N: tunnel\r\n')
    const { port } = await standing({
      ws: true,
      target: ({ url = '' }) =>
        url === '/ws'
          ? `ws://127.0.0.1:${to}`
          : url === '/two'
            ? { host: '127.0.0.1', port: two }
            : `http://127.0.0.1:${one}`,
    })
    expect((await client(port).ask({ path: '/one' })).text).toBe('one')
    expect((await client(port).ask({ path: '/two' })).text).toBe('two')
    const raw = own(await rawClient(port))
    raw.write(handshake('/ws'))
    await raw.until('X-N: tunnel')
  })

  it('tells an error of that function as any other of the request', async () => {
    const thrown = new Error('no target today')
    const target = (): never => {
      throw thrown
    }
    const proxy = createProxyServer({ target })
    const told: unknown[] = []
    proxy.web({} as never, {} as never, (error) => told.push(error))
    expect(told).toEqual([thrown])
    const { port } = await standing({ target })
    expect((await client(port).ask()).status).toBe(500)
    proxy.on('error', (error, _req, res) => void (res as ServerResponse).end(error.message))
    const own1 = await calling((req, res) => void proxy.web(req, res))
    expect((await client(own1).ask()).text).toBe('no target today')
  })

  it.each([
    ['/base?x=1', '/a?b=2', {}, '/base/a?x=1&b=2'],
    ['/base?x=1', '/a', {}, '/base/a?x=1'],
    ['/base?x=1', '/a?', {}, '/base/a?x=1'],
    ['?x=1', '/a?b=2', {}, '/a?x=1&b=2'],
    ['/base?x=1', '/a?b', { ignorePath: true }, '/base?x=1'],
    ['/base?x=1', '/a?b', { prependPath: false }, '/a?b'],
  ])('joins %s and %s (%j) as %s', async (base, path, options, becomes) => {
    const { port } = await standing(
      (to) => ({ target: `http://127.0.0.1:${to}${base}`, ...options }),
      (req, res) => void res.end(req.url),
    )
    expect((await client(port).ask({ path })).text).toBe(becomes)
  })

  it('takes pathname for path in parts', async () => {
    const { port } = await standing(
      (to) => ({ target: { host: '127.0.0.1', port: to, pathname: '/base' } }),
      (req, res) => void res.end(req.url),
    )
    expect((await client(port).ask({ path: '/a' })).text).toBe('/base/a')
  })

  it('follows redirects up to a number, and hands on the next', async () => {
    let asked = 0
    const { port } = await standing({ followRedirects: 2 }, (_req, res) => {
      res.writeHead(302, { location: `/${++asked}` }).end()
    })
    const { status, headers } = await client(port).ask()
    expect([status, asked, headers[headers.indexOf('location') + 1]]).toEqual([302, 3, '/3'])
  })
})

describe('upgrades', () => {
  it.each([
    [{}, 'ws'],
    [{ xfwdWsProtoAsHttp: true }, 'http'],
  ])('says who called, with %j by %s', async (options, proto) => {
    const { port: to, asked } = await tunnelling()
    const { port } = await standing({ target: `ws://127.0.0.1:${to}`, ws: true, xfwd: true, ...options })
    const raw = own(await rawClient(port))
    raw.write(handshake())
    await raw.until('101')
    const { headers } = asked[0] as IncomingMessage
    expect([headers['x-forwarded-proto'], headers['x-forwarded-host']]).toEqual([proto, 'a.test:81'])
  })

  it.each(['listener', 'promise', 'nobody'])('gives up after upgradeTimeout, told to: %s', async (who) => {
    const silent = own(
      await rawOrigin((connection) => connection.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 4')),
    )
    const proxy = createProxyServer({ target: silent.url, upgradeTimeout: 40 })
    const told = deferred<Coded>()
    if (who === 'listener') proxy.on('error', (error) => told.resolve(error))
    const port = await calling(
      () => {},
      (req, socket, head) => {
        const call = proxy.ws(req, socket, head)
        if (who === 'promise') call.catch((error: unknown) => told.resolve(error as Coded))
      },
    )
    const raw = own(await rawClient(port))
    raw.write(handshake())
    await within(raw.closed, 'the end of the connection')
    expect(raw.text.split('\r\n')[0]).toBe(who === 'nobody' ? 'HTTP/1.1 504 Gateway Timeout' : '')
    if (who !== 'nobody')
      expect(await told.promise).toMatchObject({ code: 'ERR_UPSTREAM_UPGRADE_TIMEOUT', statusCode: 504 })
    await until(() => silent.sockets === 0, 'the end at the target')
  })

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])(
    'takes upgradeTimeout %d for none',
    async (upgradeTimeout) => {
      const { port: to } = await tunnelling()
      const { port } = await standing({ target: `ws://127.0.0.1:${to}`, ws: true, upgradeTimeout })
      const raw = own(await rawClient(port))
      raw.write(handshake())
      await raw.until('101')
    },
  )

  it('tells the error of a client whose socket has failed, and econnreset of one that was closed', async () => {
    const silent = own(await rawOrigin())
    const proxy = createProxyServer({ target: silent.url })
    const told: string[] = []
    proxy.on('error', (error) => told.push(`error ${error.message}`))
    proxy.on('econnreset', () => told.push('econnreset'))
    const port = await calling(
      () => {},
      (req, socket, head) => {
        void proxy.ws(req, socket, head)
        const why = req.url === '/broken' ? new Error('mine') : undefined
        void silent
          .connection(silent.connections.length)
          .then((at) => at.head())
          .then(() => socket.destroy(why))
      },
    )
    for (const path of ['/broken', '/closed']) {
      const raw = own(await rawClient(port))
      raw.write(handshake(path))
      await within(raw.closed, 'the end of the connection')
      await until(() => silent.sockets === 0, 'the end at the target')
    }
    expect(told).toEqual(['error mine', 'econnreset'])
  })

  it('counts the sockets that upgrades hold', async () => {
    await until(() => ours.numOpenSockets() === 0, 'the sockets of other tests to close')
    const { port: to } = await tunnelling()
    const { port } = await standing({ target: `ws://127.0.0.1:${to}`, ws: true })
    const raw = own(await rawClient(port))
    raw.write(handshake())
    await raw.until('101')
    expect(ours.numOpenSockets()).toBe(2)
    raw.close()
    await until(() => ours.numOpenSockets() === 0, 'the sockets to close')
  })
})

/** Its connections never come to be. */
class ConnectingAgent extends Agent {
  override createConnection(): Socket {
    return Object.assign(new Socket(), { connecting: true })
  }
}

describe('connectTimeout', () => {
  it.each([
    ['our own connections', undefined],
    ['those of an agent', new ConnectingAgent()],
  ])('gives up connecting, over %s', async (_whose, agent) => {
    // It takes the connection and never shakes hands, which is part of connecting to it.
    const silent = createNetServer(() => {})
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    own({ close: () => void silent.close() })
    const { port: to } = silent.address() as AddressInfo
    const target = agent === undefined ? `https://127.0.0.1:${to}` : `http://127.0.0.1:${to}`
    const { port, proxy } = await standing({ target, connectTimeout: 40, agent })
    proxy.on('error', (error, _req, res) => void (res as ServerResponse).end(error.code))
    expect((await client(port).ask()).text).toBe('ECONNECT_TIMEOUT')
  })
})
