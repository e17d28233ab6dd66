import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { Upstream } from '@sluice/upstream'
import { createProxy, type UpstreamOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { proxyOf } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen } from '../kit/listen.js'
import { mounts } from '../kit/mounts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, patience, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe.each(mounts)('close() on $name', ({ name, serve, http2 }) => {
  it('lets what is in flight finish, and answers what comes after with 503 and an end to the connection', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        res.write('first ')
        await go.promise
        res.end('last')
      }),
    )
    const { proxy } = own(proxyOf(origin.url))
    const front = own(await serve(proxy))
    const call = front.client.call()
    await call.head
    let closed = false
    const closing = proxy.close({ drain: patience }).then(() => {
      closed = true
    })
    const late = await front.client.ask()
    expect(late).toMatchObject({ status: 503, complete: true })
    if (!http2) expect(value(late.headers, 'connection')).toBe('close')
    expect(closed).toBe(false)
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'first last', complete: true })
    await within(closing, 'close()')
    expect(origin.requests).toHaveLength(1)
    await until(() => origin.sockets === 0, 'the connections to the target to close')
    // After the close it is the same.
    expect(await front.client.ask()).toMatchObject({ status: 503, complete: true })
  })

  it('says the end of its connection in answers that begin after it, where HTTP/2 has no need to', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        await go.promise
        res.end('here')
      }),
    )
    const { proxy } = own(proxyOf(origin.url))
    const front = own(await serve(proxy))
    const call = front.client.call()
    await until(() => origin.requests.length === 1, 'the request at the target')
    const closing = proxy.close({ drain: patience })
    go.resolve()
    const answer = await call.answer()
    expect(answer).toMatchObject({ status: 200, text: 'here', complete: true })
    expect(value(answer.headers, 'connection')).toBe(http2 ? undefined : 'close')
    await within(closing, 'close()')
  })

  it.each<[string, Partial<UpstreamOptions>]>([
    ['ejected', { ejection: { consecutive: 1 } }],
    ['unhealthy', { health: { path: '/health', interval: '20ms', fall: 1 } }],
  ])('sends those that wait to nobody who is %s, as before', async (state, options) => {
    const go = deferred()
    const bad = own(await originServer((_req, res) => void res.writeHead(503).end()))
    const good = own(
      await originServer(async (req, res) => {
        if (req.url !== '/health') await go.promise
        res.end('good')
      }),
    )
    let arrived = 0
    const proxy = createProxy({
      use: [
        (next) => (ctx) => {
          arrived++
          return next(ctx)
        },
      ],
      upstreams: {
        a: {
          targets: [bad.url, good.url],
          balance: 'first',
          concurrency: { limit: 1, queueTimeout: 0 },
          ...options,
        },
      },
    })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { all } = proxy.upstreams.get('a') as Upstream
    const front = own(await serve(proxy))
    if (state === 'ejected') await front.client.ask()
    await until(() => all[0]?.state === state, `the first target to be ${state}`)
    const asked = (): number => bad.requests.filter(({ url }) => url !== '/health').length
    const before = asked()
    arrived = 0
    const answers = Promise.all(['/0', '/1', '/2'].map((path) => front.client.ask({ path })))
    await until(() => arrived === 3 && all[1]?.inFlight === 1, 'one at work, and two that wait')
    const closing = proxy.close({ drain: patience })
    go.resolve()
    expect((await answers).map(({ status, text }) => `${status} ${text}`)).toEqual(
      Array.from({ length: 3 }, () => '200 good'),
    )
    await within(closing, 'close()')
    expect(asked()).toBe(before)
    // Then nobody judges them any more.
    expect(all.map((target) => target.state)).not.toContain(state)
  })

  it('ends no connection ahead of answers that its client waits for, too', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (req, res) => {
        await go.promise
        res.end(req.url)
      }),
    )
    const { proxy } = own(proxyOf(origin.url))
    const front = own(await serve(proxy))
    const paths = ['/a', '/b']
    let closing: Promise<void>
    if (http2 || name.includes('https')) {
      const calls = paths.map((path) => front.client.ask({ path }))
      await until(() => origin.requests.length === 2, 'both requests at the target')
      closing = proxy.close({ drain: patience })
      go.resolve()
      expect((await Promise.all(calls)).map(({ text }) => text)).toEqual(paths)
    } else {
      const client = own(await rawClient(front.port))
      client.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
      await until(() => origin.requests.length === 2, 'both requests at the target')
      closing = proxy.close({ drain: patience })
      go.resolve()
      const answers = await client.responses(2)
      expect(answers.map(({ body, headers }) => `${body} ${value(headers, 'connection')}`)).toEqual([
        ...['/a keep-alive', '/b close'],
      ])
    }
    await within(closing, 'close()')
  })

  it('ends what is not done when the drain is over', async () => {
    const origin = own(await originServer((_req, res) => void res.write('endless')))
    const { proxy } = own(proxyOf(origin.url))
    const front = own(await serve(proxy))
    const call = front.client.call()
    await call.head
    await within(proxy.close({ drain: '50ms' }), 'close()')
    expect(await call.answer()).toMatchObject({ status: 200, complete: false })
    await until(() => origin.sockets === 0, 'the connections to the target to close')
  })
})

describe('close() of a proxy that listens itself', () => {
  it('takes no more connections, ends idle ones at once, and leaves nothing behind', async () => {
    const leaks = leakCheck()
    const origin = await originServer()
    const proxy = createProxy(origin.url)
    const { port } = await proxy.listen()
    const idle = await rawClient(port)
    idle.write(request)
    await idle.responses(1)
    const silent = await rawClient(port)
    await within(proxy.close(), 'close()')
    await Promise.all([
      within(idle.closed, 'the idle connection'),
      within(silent.closed, 'the silent connection'),
    ])
    await expect(rawClient(port)).rejects.toThrow(/ECONNREFUSED/)
    await origin.close()
    await leaks.settled()
  })

  it('serves what has come on a kept connection when it closes, and says its end', async () => {
    const origin = own(await originServer())
    const proxy = createProxy(origin.url)
    const { port } = await proxy.listen()
    const client = connect(port, '127.0.0.1').setEncoding('latin1')
    own({ close: () => client.destroy() })
    let text = ''
    client.on('data', (chunk) => (text += chunk))
    client.write(request)
    await until(() => text.endsWith('ok'), 'the first answer')
    text = ''
    const ended = new Promise((resolve) => client.once('close', resolve))
    // In the buffer of the connection, and nobody has read it yet.
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx')
    await within(proxy.close(), 'close()')
    await within(ended, 'the end of the connection')
    expect(text).toMatch(/^HTTP\/1\.1 200 .*\r\nConnection: close\r\n.*ok$/is)
    expect(origin.requests.map(({ method }) => method)).toEqual(['GET', 'POST'])
  })

  it('closes a kept connection when its last exchange is done', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        await go.promise
        res.end('ok')
      }),
    )
    const proxy = own(proxyOf(origin.url)).proxy
    const { port } = await proxy.listen()
    const client = own(await rawClient(port))
    client.write(request)
    await origin.request()
    const closing = proxy.close({ drain: patience })
    go.resolve()
    const [response] = await client.responses(1)
    expect(response).toMatchObject({ status: 200, complete: true })
    await within(closing, 'close()')
    await within(client.closed, 'the connection to close')
  })

  it('ends tunnels', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nopen',
        )
      }),
    )
    const proxy = own(proxyOf(origin.url)).proxy
    const { port } = await proxy.listen()
    const client = own(await rawClient(port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    await client.until('open')
    await within(proxy.close({ drain: '50ms' }), 'close()')
    await within(client.closed, 'the tunnel to end')
    await until(() => origin.sockets === 0, 'the connection to the target to close')
  })

  it('ends a tunnel whose client does not read', async () => {
    const opened = deferred()
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        connection.socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nopen',
        )
        await opened.promise
        // More than the system takes for a client that doesn't read.
        connection.socket.write(Buffer.alloc(32 * 1024 * 1024))
      }),
    )
    const proxy = own(proxyOf(origin.url)).proxy
    const { port } = await proxy.listen()
    const client = connect(port, '127.0.0.1')
    own({ close: () => client.destroy() })
    client.once('data', () => {
      client.pause()
      opened.resolve()
    })
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    await within(opened.promise, 'the tunnel')
    await within(proxy.close({ drain: '200ms' }), 'close()')
    await until(() => origin.sockets === 0, 'the connection to the target to close')
  })

  it('may be called again, before and after, and is the same end', async () => {
    const origin = own(await originServer())
    const proxy = createProxy(origin.url)
    await proxy.listen()
    const ends = [proxy.close(), proxy.close({ drain: 0 }), proxy.close()]
    await within(Promise.all(ends), 'close()')
    await proxy.close()
    await expect(proxy.listen()).rejects.toThrow(/closed/)
  })

  it('without ever having listened does no harm', async () => {
    const leaks = leakCheck()
    await createProxy(['http://127.0.0.1:1', 'http://127.0.0.1:2']).close()
    await leaks.settled()
  })

  it('refuses an upgrade that comes after', async () => {
    const origin = own(await originServer())
    const { proxy } = own(proxyOf(origin.url))
    const server = createServer(proxy.listener)
    server.on('upgrade', proxy.upgrade)
    const front = own(await listen(server))
    await proxy.close()
    const { responses, ended } = await rawRequest(
      front.port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
    )
    expect(responses.map(({ status }) => status)).toEqual([503])
    expect(ended).toBe('end')
    expect(origin.requests).toHaveLength(0)
  })

  it('detaches nothing of the app: its other listeners go on', async () => {
    const origin = own(await originServer())
    const { proxy } = own(proxyOf(origin.url))
    const server = createServer()
    proxy.attach(server, { path: '/api' })
    server.on('request', (req, res) => {
      if (!req.url?.startsWith('/api') && (req as { baseUrl?: string }).baseUrl === undefined)
        res.end('the app')
    })
    const front = own(await listen(server))
    await proxy.close()
    expect(await front.client.ask({ path: '/own' })).toMatchObject({ status: 200, text: 'the app' })
    expect((await front.client.ask({ path: '/api/x' })).status).toBe(503)
  })
})

describe('listen()', () => {
  it('says that a port is in use, and which', async () => {
    const origin = own(await originServer())
    const proxy = own(createProxy(origin.url))
    await expect(proxy.listen(origin.port)).rejects.toThrow(
      new RegExp(`127\\.0\\.0\\.1:${origin.port}.*in use`),
    )
    // It can be tried again.
    const { port } = await proxy.listen()
    const socket = connect(port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.destroy()
  })

  it.each([-1, 65_536, 1.5, Number.NaN])('refuses the port %s with an error that says so', async (port) => {
    const proxy = own(createProxy('http://127.0.0.1:1'))
    await expect(async () => proxy.listen(port)).rejects.toThrow(/port/)
  })
})
