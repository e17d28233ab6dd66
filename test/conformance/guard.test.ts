import { createServer } from 'node:http'
import { hashPassword } from '@sluice/access'
import { harden } from '@sluice/guard'
import { createProxy, type ProxyOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type HttpClient, httpClient } from '../kit/client.js'
import { listen } from '../kit/listen.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawRequest, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { warningsOf } from '../kit/warnings.js'

trapUnhandled()
const warnings = warningsOf('SluiceWarning')
const own = owner()

const target = async (handler: OriginHandler) => own(await originServer(handler))
const counting = () => {
  let count = 0
  return target((_req, res) => void res.writeHead(200, ['Cache-Control', 'max-age=60']).end(`${++count}`))
}

async function site(options: ProxyOptions) {
  const proxy = own(createProxy(options))
  const { port } = await proxy.listen()
  return { proxy, port, client: own(httpClient({ port })) as HttpClient }
}

const basic = (name: string, password: string): string[] => [
  'Authorization',
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
]

describe('what the guard refuses', () => {
  it('gets the page of the app, its id and its security fields, and is heard of by its rule', async () => {
    const origin = await counting()
    const heard: unknown[] = []
    const { port } = await site({
      upstreams: { x: origin.url },
      pages: { 414: 'too long for us' },
      onError: ({ code, reason, status }) => void heard.push({ code, reason, status }),
      access: { requestId: true, securityHeaders: true },
    })
    const { responses } = await rawRequest(port, `GET /${'a'.repeat(8_500)} HTTP/1.1\r\nHost: a\r\n\r\n`, {
      responses: 1,
    })
    const [answer] = responses
    expect([answer?.status, answer?.body.toString()]).toEqual([414, 'too long for us'])
    expect(heard).toEqual([{ code: 'http_request_uri_length', reason: 'target-length', status: 414 }])
    expect(value(answer?.headers ?? [], 'x-request-id')).toMatch(/./)
    expect(value(answer?.headers ?? [], 'x-content-type-options')).toBe('nosniff')
    expect(origin.requests).toHaveLength(0)
  })

  it('passes where the guard is off, but for what every mount judges', async () => {
    const origin = await counting()
    const { port } = await site({ upstreams: { x: origin.url }, guard: false })
    const ask = async (line: string) =>
      (await rawRequest(port, `${line}\r\nHost: a\r\n\r\n`, { responses: 1 })).responses[0]?.status
    expect(await ask('GET /a%00b HTTP/1.1')).toBe(200)
    expect(await ask('GET * HTTP/1.1')).toBe(400)
  })

  it('is refused with validate off, where it is the address', async () => {
    const origin = await counting()
    const { client } = await site({
      upstreams: { x: origin.url },
      guard: { validate: false, ip: { deny: ['127.0.0.0/8'] } },
    })
    expect((await client.ask({ path: '/a%00b' })).status).toBe(403)
    expect(origin.requests).toHaveLength(0)
  })
})

describe('access', () => {
  it('is judged for each request, also where the answer is stored', async () => {
    const origin = await counting()
    const { client } = await site({
      upstreams: { x: origin.url },
      cache: true,
      access: { basic: { users: { ann: await hashPassword('right') } } },
    })
    const ask = async (headers: string[]) => {
      const { status, text, headers: fields } = await client.ask({ headers })
      return [status, text, value(fields, 'www-authenticate') !== undefined]
    }
    expect(await ask(basic('ann', 'right'))).toEqual([200, '1', false])
    expect(await ask([])).toEqual([401, '401 Unauthorized\n', true])
    expect(await ask(basic('ann', 'wrong'))).toEqual([401, '401 Unauthorized\n', true])
  })

  it("counts for a route alone where it is the route's", async () => {
    const origin = await counting()
    const { client } = await site({
      upstreams: { x: origin.url },
      routes: [
        { path: '/admin', upstream: 'x', access: { basic: { users: { ann: await hashPassword('right') } } } },
        { upstream: 'x' },
      ],
    })
    const status = async (path: string, headers: string[] = []) =>
      (await client.ask({ path, headers })).status
    expect(await status('/')).toBe(200)
    expect(await status('/admin')).toBe(401)
    expect(await status('/admin/x', basic('ann', 'right'))).toBe(200)
  })

  it('lets preflights pass that have no credentials', async () => {
    const origin = await counting()
    const { client } = await site({
      upstreams: { x: origin.url },
      access: {
        cors: { origins: ['https://app.example'] },
        basic: { users: { ann: await hashPassword('right') } },
      },
    })
    const headers = ['Origin', 'https://app.example', 'Access-Control-Request-Method', 'GET']
    const answer = await client.ask({ method: 'OPTIONS', headers })
    expect(answer.status).toBe(204)
    expect(values(answer.headers, 'access-control-allow-origin')).toEqual(['https://app.example'])
    expect((await client.ask({ headers: ['Origin', 'https://app.example'] })).status).toBe(401)
  })
})

describe('limits', () => {
  it('count guesses of passwords', async () => {
    const origin = await counting()
    const { client } = await site({
      upstreams: { x: origin.url },
      guard: { rateLimit: { limit: 3, window: '1h' } },
      access: { basic: { users: { ann: await hashPassword('right') } } },
    })
    const statuses: number[] = []
    for (const guess of ['a', 'b', 'c', 'right']) {
      statuses.push((await client.ask({ headers: basic('ann', guess) })).status)
    }
    expect(statuses).toEqual([401, 401, 401, 429])
  })

  it('of a route count beside those of all', async () => {
    const origin = await counting()
    const { client } = await site({
      upstreams: { x: origin.url },
      guard: { rateLimit: { limit: 4, window: '1h' } },
      routes: [
        { path: '/few', upstream: 'x', limits: { rateLimit: { limit: 1, window: '1h' }, bodyLimit: 3 } },
        { upstream: 'x' },
      ],
    })
    const status = async (path: string, body?: string) =>
      (await client.ask({ path, ...(body === undefined ? {} : { method: 'POST', body }) })).status
    expect([await status('/few', '12345'), await status('/few')]).toEqual([413, 429])
    expect([await status('/', '12345'), await status('/'), await status('/')]).toEqual([200, 200, 429])
  })
})

describe('anonymity', () => {
  it('makes affinity cookies of which nobody can tell where they lead, and takes tell-tales off', async () => {
    const origin = await target((_req, res) => void res.writeHead(200, ['Server', 'apache']).end('ok'))
    const cookieOf = async (anonymity: boolean) => {
      const { client } = await site({
        upstreams: { x: { targets: [origin.url], sticky: { secret: 'a secret that nobody knows' } } },
        guard: { anonymity },
      })
      const answers = [await client.ask({}), await client.ask({})]
      return answers.map(({ headers }) => [value(headers, 'set-cookie'), value(headers, 'server')])
    }
    const [[plain, server], [same]] = (await cookieOf(false)) as [string[], string[]]
    expect([plain, server]).toEqual([same, 'apache'])
    const [[one, hidden], [other]] = (await cookieOf(true)) as [string[], string[]]
    expect(hidden).toBeUndefined()
    expect(one).not.toBe(other)
  })
})

describe('anonymity with names of its own', () => {
  it('hides the targets of now beside them', async () => {
    const origin = await target((req, res) => {
      const there = req.url === '/other' ? 'http://app-1.internal' : `http://127.0.0.1:${origin.port}`
      res.writeHead(200, ['X-Next', `${there}/a`]).end()
    })
    for (const origins of [['http://app-1.internal'], () => ['http://app-1.internal']]) {
      const { client } = await site({
        upstreams: { x: { targets: [origin.url] } },
        guard: { anonymity: { origins } },
      })
      for (const path of ['/', '/other'])
        expect(value((await client.ask({ path })).headers, 'x-next')).not.toMatch(
          new RegExp(`internal|:${origin.port}`),
        )
    }
  })
})

describe("a server of the app's own", () => {
  const run = async (options: ProxyOptions['guard'], hardened: boolean) => {
    const origin = await counting()
    const proxy = own(createProxy({ upstreams: { x: origin.url }, ...(options && { guard: options }) }))
    const server = createServer(proxy.listener)
    if (hardened) harden(server)
    const { port } = own(await listen(server))
    const client = own(httpClient({ port }))
    for (let i = 0; i < 3; i++) expect((await client.ask({})).status).toBe(200)
  }

  it('is told of once where limits were asked for that it lacks', async () => {
    await run({ slow: { minRate: 100 } }, false)
    expect(warnings).toEqual([expect.stringContaining('harden(server)')])
  })

  it.each<[string, ProxyOptions['guard'], boolean]>([
    ['where nobody has asked', undefined, false],
    ['where it is hardened', { slow: { minRate: 100 } }, true],
    ['where they are off', { server: false }, false],
  ])('is not %s', async (_where, options, hardened) => {
    await run(options, hardened)
    expect(warnings).toEqual([])
  })
})
