import { Agent } from 'node:http'
import { connect } from 'node:net'
import { type ForwardAuthOptions, forwardAuth } from '@sluice/access'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { deadTarget } from '../kit/dead-target.js'
import { type FrontKind, type FrontOptions, fronts, listening, rawFronts } from '../kit/fronts.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawRequest, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** A front that asks a service about each request. */
async function site(
  kind: FrontKind,
  decide: OriginHandler,
  options: Partial<ForwardAuthOptions> = {},
  more: Partial<FrontOptions> = {},
) {
  const service = own(await originServer(decide))
  const layer = forwardAuth({ url: `${service.url}/decide?from=proxy`, ...options })
  const made = await accessSite(own, kind, [layer], undefined, more)
  return { ...made, service }
}

describe.each(fronts)('forwardAuth through $name', (kind) => {
  it('lets pass what the service lets pass, and tells it what it is asked about', async () => {
    const made = await site(
      kind,
      (_req, res) =>
        void res.writeHead(204, { 'X-User': 'alice', 'X-Secret': 'x', 'Set-Cookie': 'a=b' }).end(),
      { copy: ['X-User', 'X-Groups'] },
    )
    const forged = ['X-User', 'root', 'x_user', 'root', 'X-Groups', 'admin', 'X-Forwarded-Uri', '/public']
    const mine = ['Cookie', 'session=1', 'Authorization', 'Basic x', 'X-Other', 'kept']
    const answer = await made.client.ask({
      method: 'POST',
      path: '/a%2Fb/../c?d=e&f',
      headers: ['Host', 'site.example:81', ...forged, ...mine],
      body: 'text',
    })
    expect([answer.status, answer.text]).toEqual([200, 'ok'])
    expect(values(answer.headers, 'set-cookie')).toEqual([])
    const asked = made.service.requests[0]
    expect(asked?.method).toBe('GET')
    expect(asked?.url).toBe('/decide?from=proxy')
    const raw = [...(asked?.rawHeaders ?? [])]
    expect(value(raw, 'x-forwarded-method')).toBe('POST')
    expect(value(raw, 'x-forwarded-proto')).toBe(kind.tls ? 'https' : 'http')
    expect(value(raw, 'x-forwarded-host')).toBe('site.example:81')
    expect(values(raw, 'x-forwarded-uri')).toEqual(['/a%2Fb/../c?d=e&f'])
    expect(value(raw, 'x-forwarded-for')).toBe('127.0.0.1')
    expect(value(raw, 'cookie')).toBe('session=1')
    expect(value(raw, 'authorization')).toBe('Basic x')
    expect(value(raw, 'host')).toBe(`127.0.0.1:${made.service.port}`)
    for (const name of ['x-user', 'x_user', 'x-groups', 'x-other', 'content-length', 'transfer-encoding'])
      expect(values(raw, name)).toEqual([])
    expect(made.told('x-user')).toEqual([['alice']])
    for (const name of ['x_user', 'x-groups', 'x-secret']) expect(made.told(name)).toEqual([undefined])
    expect(made.told('x-other')).toEqual([['kept']])
    expect(made.told('authorization')).toEqual([['Basic x']])
  })

  it.each([301, 302, 307, 401, 403, 404, 429, 499])('gives the client its %i', async (status) => {
    const made = await site(kind, (_req, res) => {
      const fields = {
        Location: 'https://login.example/?back=x',
        'WWW-Authenticate': 'Custom a="b"',
        'Set-Cookie': ['state=1', 'other=2'],
        'Content-Type': 'text/html',
        Server: 'secret-service',
        'X-Powered-By': 'secret',
        'Access-Control-Allow-Origin': '*',
      }
      res.writeHead(status, fields).end('<p>log in</p>')
    })
    const answer = await made.client.ask({ method: 'POST', body: 'x'.repeat(70_000) })
    expect([answer.status, answer.text]).toEqual([status, '<p>log in</p>'])
    expect(value(answer.headers, 'location')).toBe('https://login.example/?back=x')
    expect(value(answer.headers, 'www-authenticate')).toBe('Custom a="b"')
    expect(values(answer.headers, 'set-cookie')).toEqual(['state=1', 'other=2'])
    expect(value(answer.headers, 'content-type')).toBe('text/html')
    expect(value(answer.headers, 'cache-control')).toBe('no-store')
    for (const name of ['server', 'access-control-allow-origin'])
      expect(values(answer.headers, name)).toEqual([])
    expect(made.origin.requests).toEqual([])
    expect((await made.client.ask()).status).toBe(status)
  })

  it.each([304, 500, 502, 503])('is closed where it answers %i', async (status) => {
    const made = await site(kind, (_req, res) => void res.writeHead(status).end())
    const answer = await made.client.ask()
    expect([answer.status, answer.text]).toEqual([503, '503 Service Unavailable\n'])
    expect(made.refused).toEqual(['503 decision-unreachable'])
    expect(made.origin.requests).toEqual([])
  })
})

describe.each(rawFronts)('forwardAuth at upgrades through $name', (kind) => {
  it('asks about them as about any request', async () => {
    const made = await site(kind, (_req, res) => void res.writeHead(403).end('no'))
    const head = 'GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'
    const { responses } = await rawRequest(made.port, head, { responses: 1 })
    expect(responses.map(({ status, body }) => [status, body.toString()])).toEqual([[403, 'no']])
    expect(made.service.requests).toHaveLength(1)
    expect(made.service.requests[0]?.rawHeaders).not.toContain('Upgrade')
    expect(made.origin.requests).toEqual([])
  })
})

describe('forwardAuth', () => {
  it.each<[string, (port: number) => Promise<{ url: string }>]>([
    ['is not there', async () => own(await deadTarget())],
    ['hangs up', async () => own(await originServer((req) => void req.socket.destroy()))],
    [
      'breaks off',
      async () =>
        own(
          await originServer((req, res) => {
            res.writeHead(403, { 'Content-Length': '9' }).write('no')
            setImmediate(() => req.socket.destroy())
          }),
        ),
    ],
    ['speaks no HTTP', async () => own(await rawOrigin(({ socket }) => void socket.end('SSH-2.0-x\r\n')))],
    [
      'goes over to another protocol',
      async () =>
        own(
          await rawOrigin(
            ({ socket }) => void socket.end('HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
          ),
        ),
    ],
    [
      'refuses with a body that is too long',
      async () => own(await originServer((_req, res) => void res.writeHead(403).end('x'.repeat(70_000)))),
    ],
  ])('is closed where the service %s', async (_, start) => {
    const { url } = await start(0)
    const made = await accessSite(own, listening, [forwardAuth({ url })])
    const answer = await made.client.ask()
    expect([answer.status, answer.text]).toEqual([503, '503 Service Unavailable\n'])
    expect(made.refused).toEqual(['503 decision-unreachable'])
    expect(made.origin.requests).toEqual([])
  })

  it('is closed where it answers too late, its body included', async () => {
    const made = await site(listening, () => {}, { timeout: '50ms' })
    expect((await made.client.ask()).status).toBe(503)
    const half = await site(listening, (_req, res) => void res.writeHead(403).write('x'), { timeout: '50ms' })
    expect((await half.client.ask()).status).toBe(503)
  })

  it('waits for no body of what lets pass, and ends one that goes on', async () => {
    const made = await site(listening, (_req, res) => {
      res.writeHead(200)
      const more = (): void => {
        // Node 26 takes each part at once: without a turn between them nobody would hear of the end.
        if (!res.destroyed) res.write('x'.repeat(65_536), () => setImmediate(more))
      }
      more()
    })
    expect((await made.client.ask()).status).toBe(200)
    await until(() => made.service.sockets === 0, 'the end of the connection')
  })

  it('keeps connections, and asks again where a kept one has been closed', async () => {
    const made = await site(listening, (_req, res) => void res.end())
    for (let i = 0; i < 5; i++) expect((await made.client.ask()).status).toBe(200)
    expect(made.service.connections).toBe(1)
    // Closed with no word, in the moment in which the next question goes out.
    const [first] = made.service.requests
    made.service.server.once('request', () => {})
    made.service.server.prependOnceListener('request', (req) => {
      if (req.socket === first?.req.socket) req.socket.resetAndDestroy()
    })
    expect((await made.client.ask()).status).toBe(200)
    expect(made.service.connections).toBe(2)
  })

  it('opens no more connections than it may', async () => {
    const open = deferred()
    const made = await site(
      listening,
      async (_req, res) => {
        await open.promise
        res.end()
      },
      { connections: 2 },
    )
    const answers = Array.from({ length: 6 }, () => made.client.ask())
    await made.service.request(1)
    open.resolve()
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(6).fill(200))
    expect(made.service.connections).toBe(2)
  })

  it('asks no further where the client leaves', async () => {
    const made = await site(listening, () => {}, { timeout: '5m' })
    const call = made.client.call()
    const asked = await made.service.request()
    call.abort()
    await asked.closed
    expect(asked.aborted).toBe(true)
    expect(made.origin.requests).toEqual([])
  })

  it('gives cookies of what lets pass to the client if it is to', async () => {
    const made = await site(
      listening,
      (_req, res) => void res.writeHead(200, { 'Set-Cookie': ['a=1', 'b=2'] }).end(),
      { cookies: true },
    )
    expect(values((await made.client.ask()).headers, 'set-cookie')).toEqual(['a=1', 'b=2'])
  })

  it('names client, scheme, host and path as trusted proxies tell them', async () => {
    const made = await site(listening, (_req, res) => void res.end(), {}, { trust: ['127.0.0.1'] })
    const told = [
      'X-Forwarded-For',
      '203.0.113.9',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'outer.example',
      'X-Forwarded-Prefix',
      '/shop',
    ]
    await made.client.ask({ path: '/cart', headers: told })
    const raw = [...(made.service.requests[0]?.rawHeaders ?? [])]
    expect(value(raw, 'x-forwarded-for')).toBe('203.0.113.9')
    expect(value(raw, 'x-forwarded-proto')).toBe('https')
    expect(value(raw, 'x-forwarded-host')).toBe('outer.example')
    expect(value(raw, 'x-forwarded-uri')).toBe('/shop/cart')
  })

  it("goes by an agent of the user's", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    own({ close: async () => agent.destroy() })
    const made = await site(listening, (_req, res) => void res.end(), { agent })
    await Promise.all([made.client.ask(), made.client.ask()])
    expect(made.service.connections).toBe(1)
  })

  it('goes by that agent as well where kept connections have been closed, all of them', async () => {
    const elsewhere = own(await originServer())
    const closing = { now: false }
    const open = deferred()
    const service = own(
      await originServer(async (req, res, { connection }) => {
        if (closing.now && connection < 3) req.socket.resetAndDestroy()
        else await open.promise
        res.end()
      }),
    )
    // As an agent for a socket file, or for certificates of one's own, does.
    const agent = new Agent({ keepAlive: true })
    agent.createConnection = () => connect(service.port, '127.0.0.1')
    own({ close: async () => agent.destroy() })
    const made = await accessSite(own, listening, [forwardAuth({ url: elsewhere.url, agent })])
    const answers = Array.from({ length: 3 }, () => made.client.ask())
    await service.request(2)
    open.resolve()
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200])
    closing.now = true
    const headers = ['Authorization', 'Bearer secret']
    expect((await made.client.ask({ headers })).status).toBe(200)
    expect(service.connections).toBe(4)
    expect(elsewhere.requests).toEqual([])
  })
})
