import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:http2'
import { chain, ProxyError, toListener, unhandled } from '@sluice/core'
import { hsts, redirectToHttps } from '@sluice/tls'
import express from 'express'
import type { GuardOptions } from 'sluice'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { attachedHttp2Fronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { type FrontKind, type FrontOptions, fronts, rawFronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawRequest, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const plain = fronts.filter(({ tls }) => !tls)
const secure = fronts.filter(({ tls }) => tls)
const sts = 'strict-transport-security'

type Use = NonNullable<FrontOptions['use']>[number]

/** A front with one layer, before a target that says a policy of its own. */
async function front(kind: FrontKind, layer: Use, options: { trust?: string[]; guard?: GuardOptions } = {}) {
  const origin = own(
    await originServer((_req, res) => void res.setHeader('Strict-Transport-Security', 'max-age=1').end('ok')),
  )
  return { origin, front: own(await kind.start({ targets: origin.url, use: [layer], ...options })) }
}

describe.each(plain)('redirectToHttps through $name', (kind) => {
  it('sends clients to the same URL with TLS, byte for byte', async () => {
    const { origin, front: site } = await front(kind, redirectToHttps())
    const path = "/a%2Fb//c/..;x=/%e4?q=%20&r=a+b|'&&"
    const answer = await site.client.ask({ path, headers: ['Host', 'Site.example:8080'] })
    expect(answer.status).toBe(308)
    expect(value(answer.headers, 'location')).toBe(`https://site.example${path}`)
    expect(value(answer.headers, 'cache-control')).toBe('no-store')
    expect(origin.requests).toEqual([])
  })

  it('takes a request with a body, and the next one on the same connection', async () => {
    const { origin, front: site } = await front(kind, redirectToHttps({ status: 307 }))
    for (const method of ['POST', 'PUT', 'GET']) {
      const answer = await site.client.ask({
        method,
        ...(method === 'GET' ? {} : { body: 'x'.repeat(70_000) }),
      })
      expect(answer.status).toBe(307)
    }
    expect(origin.requests).toEqual([])
  })

  it('does not loop behind a trusted proxy that ends TLS', async () => {
    const { front: site } = await front(kind, redirectToHttps(), { trust: ['127.0.0.1'] })
    const told = ['Host', 'inner', 'X-Forwarded-For', '203.0.113.9', 'X-Forwarded-Host', 'outer.example:80']
    const through = await site.client.ask({ headers: [...told, 'X-Forwarded-Proto', 'https'] })
    expect(through.status).toBe(200)
    const sent = await site.client.ask({
      path: '/x?y',
      headers: [
        ...told,
        'X-Forwarded-Proto',
        'http',
        'X-Forwarded-Port',
        '80',
        'X-Forwarded-Prefix',
        '/shop',
      ],
    })
    expect(value(sent.headers, 'location')).toBe('https://outer.example/shop/x?y')
  })

  it('does not believe a client that says it has spoken TLS', async () => {
    const { origin, front: site } = await front(kind, redirectToHttps())
    const headers = [
      'X-Forwarded-Proto',
      'https',
      'Forwarded',
      'proto=https',
      'X-Forwarded-Host',
      'evil.example',
    ]
    const answer = await site.client.ask({ headers: ['Host', 'site.example', ...headers] })
    expect(value(answer.headers, 'location')).toBe('https://site.example/')
    expect(origin.requests).toEqual([])
  })

  it.each([
    ['[2001:DB8::1]', '[2001:db8::1]'],
    ['[::1]:8080', '[::1]'],
    ['192.0.2.7:80', '192.0.2.7'],
    ['a.example.:80', 'a.example.'],
  ])('writes the port behind the host %s', async (host, shown) => {
    const { front: site } = await front(kind, redirectToHttps({ port: 8443 }))
    const answer = await site.client.ask({ path: '//evil.example/%5c', headers: ['Host', host] })
    expect(value(answer.headers, 'location')).toBe(`https://${shown}:8443//evil.example/%5c`)
  })

  it.each(['[::1::2]', 'a%2fb.example', '[v1.x]'])('answers 400 where the host is %s', async (host) => {
    const { front: site } = await front(kind, redirectToHttps())
    const answer = await site.client.ask({ headers: ['Host', host] })
    expect(answer.status).toBe(400)
    expect(values(answer.headers, 'location')).toEqual([])
  })

  it('leaves out what is excepted, and nothing that a server could take for something else', async () => {
    const { origin, front: site } = await front(
      kind,
      redirectToHttps({ except: ['/.well-known/acme-challenge'] }),
    )
    const status = async (path: string) => (await site.client.ask({ path })).status
    expect(await status('/.well-known/acme-challenge/abc_-?x=/../')).toBe(200)
    expect(await status('/.well-known/acme-challenge')).toBe(200)
    const refused = [
      '/.well-known/acme-challenge/../../admin',
      '/.well-known/acme-challenge/%2e%2e/%2e%2e/admin',
      '/.well-known/acme-challenge/..%2f..%2fadmin',
      '/.well-known/acme-challenge/..;/admin',
      '/.well-known/acme-challenge/%5c..%5cadmin',
      '/.well-known/acme-challenge//x',
      '/.well-known/acme-challengex',
      '/.WELL-KNOWN/acme-challenge/abc',
      '/x/.well-known/acme-challenge/abc',
    ]
    for (const path of refused) expect([path, await status(path)]).toEqual([path, 308])
    expect(origin.requests).toHaveLength(2)
  })
})

describe.each(secure)('redirectToHttps through $name', (kind) => {
  it('lets requests pass', async () => {
    const { front: site } = await front(kind, redirectToHttps())
    expect((await site.client.ask()).text).toBe('ok')
  })
})

describe.each(rawFronts)('redirectToHttps through $name', (kind) => {
  it('answers 400 to a request that names no host', async () => {
    const { origin, front: site } = await front(kind, redirectToHttps())
    const { responses } = await rawRequest(site.port, 'GET / HTTP/1.0\r\n\r\n')
    expect(responses.map(({ status }) => status)).toEqual([400])
    expect(origin.requests).toEqual([])
  })

  it('goes by the host of an absolute request-target', async () => {
    const { front: site } = await front(kind, redirectToHttps(), {
      guard: { validate: { absoluteTarget: 'use-target' } },
    })
    const bytes = 'GET http://a.example:81?x HTTP/1.1\r\nHost: evil.example\r\n\r\n'
    const { responses } = await rawRequest(site.port, bytes, { responses: 1 })
    expect(value(responses[0]?.headers ?? [], 'location')).toBe('https://a.example/?x')
  })

  it('sends a handshake for a WebSocket to https, and opens nothing', async () => {
    const { origin, front: site } = await front(kind, redirectToHttps())
    const socket = new WebSocket(`ws://127.0.0.1:${site.port}/chat?room=1`)
    const answer = await new Promise<{ status: number | undefined; location: string | undefined }>(
      (resolve) => {
        socket.on('unexpected-response', (_req, res) => {
          resolve({ status: res.statusCode, location: res.headers.location })
          res.destroy()
        })
        socket.on('error', () => {})
      },
    )
    expect(answer).toEqual({ status: 308, location: 'https://127.0.0.1/chat?room=1' })
    expect(origin.connections).toBe(0)
  })
})

describe('redirectToHttps', () => {
  it.each(attachedRawFronts)('sends OPTIONS * to the server itself through $name', async (kind) => {
    const { front: site } = await front(kind, redirectToHttps())
    const bytes = 'OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n'
    const { responses } = await rawRequest(site.port, bytes, { responses: 1 })
    expect(value(responses[0]?.headers ?? [], 'location')).toBe('https://a.example')
  })

  it.each(attachedHttp2Fronts.filter(({ tls }) => !tls))(
    'sends a WebSocket over HTTP/2 there, too, through $name',
    async (kind) => {
      const { origin, front: site } = await front(kind, redirectToHttps())
      const session = connect(`http://127.0.0.1:${site.port}`)
      own({ close: async () => session.destroy() })
      await once(session, 'remoteSettings')
      const stream = session.request({
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': '/chat',
        ':authority': 'a.example',
      })
      const [head] = await once(stream, 'response')
      expect(head[':status']).toBe(308)
      expect(head['location']).toBe('https://a.example/chat')
      expect(origin.connections).toBe(0)
    },
  )

  it.each(attachedRawFronts)('refuses a CONNECT through $name', async (kind) => {
    const { origin, front: site } = await front(kind, redirectToHttps(), {
      guard: { validate: { connect: 'pass' } },
    })
    const { responses } = await rawRequest(
      site.port,
      'CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n',
    )
    expect(responses.map(({ status }) => status)).toEqual([403])
    expect(origin.connections).toBe(0)
  })

  it.each([
    ['/shop', '/x?y', '/shop/x?y'],
    ['/shop', '/', '/shop/'],
  ])('keeps the path that Express has stripped: mounted at %s, asked for %s', async (mount, path, whole) => {
    const proxy = createProxy({ upstreams: { a: 'http://127.0.0.1:9' }, use: [redirectToHttps()] })
    own({ close: () => proxy.close() })
    const app = express()
    app.use(mount, proxy.listener)
    const server = own(await listen(createServer(app)))
    const answer = await server.client.ask({ path: mount + path, headers: ['Host', 'a.example'] })
    expect(value(answer.headers, 'location')).toBe(`https://a.example${whole}`)
  })

  it.each([
    [{ port: 0 }, 'redirect.port: got 0, takes a whole number from 1 to 65535'],
    [{ port: 70_000 }, 'redirect.port: got 70000'],
    [{ status: 303 }, 'redirect.status: got 303, takes 301, 302, 307, 308'],
    [{ except: '/x' }, "redirect.except: got '/x'"],
    [{ except: ['x'] }, "redirect.except[0]: got 'x', takes a path such as '/.well-known/acme-challenge'"],
    [{ except: ['/'] }, "redirect.except[0]: got '/'"],
    [{ except: ['/a/../b'] }, "redirect.except[0]: got '/a/../b'"],
    [{ except: ['/a?b'] }, "redirect.except[0]: got '/a?b'"],
    [{ ports: 1 }, 'redirect.ports: unknown option, did you mean port?'],
  ])('says what is wrong with %j', (options, says) => {
    expect(() => redirectToHttps(options as never, 'redirect')).toThrow(says)
  })
})

describe.each(secure)('hsts through $name', (kind) => {
  it('says so in answers of targets, in place of what they say', async () => {
    const { front: site } = await front(kind, hsts())
    expect(values((await site.client.ask()).headers, sts)).toEqual(['max-age=31536000'])
  })

  it("leaves a target's own where it is told to, and adds it where there is none", async () => {
    const { front: site } = await front(kind, hsts({ keep: true, maxAge: 1_500 }))
    expect(values((await site.client.ask()).headers, sts)).toEqual(['max-age=1'])
    const origin = own(await originServer())
    const other = own(await kind.start({ targets: origin.url, use: [hsts({ keep: true, maxAge: 1_500 })] }))
    expect(values((await other.client.ask()).headers, sts)).toEqual(['max-age=1'])
  })

  it('says so in answers that errors become, thrown at once or later', async () => {
    const said = 'max-age=63072000; includeSubDomains; preload'
    const layer = hsts({ maxAge: '17520h', includeSubDomains: true, preload: true })
    const fails: Use[] = [
      () => () => {
        throw new ProxyError('http_request_denied')
      },
      () => async () => {
        throw new ProxyError('http_request_denied')
      },
    ]
    for (const failing of fails) {
      const { front: site } = await front(kind, (next) => layer(failing(next)) as never)
      const answer = await site.client.ask()
      expect(answer.status).toBe(403)
      expect(values(answer.headers, sts)).toEqual([said])
    }
  })
})

describe.each(plain)('hsts through $name', (kind) => {
  it("says nothing, nor does a target's own pass", async () => {
    const { front: site } = await front(kind, hsts())
    expect(values((await site.client.ask()).headers, sts)).toEqual([])
    const { front: keeping } = await front(kind, hsts({ keep: true }))
    expect(values((await keeping.client.ask()).headers, sts)).toEqual([])
  })

  it('goes by what a trusted proxy says', async () => {
    const { front: site } = await front(kind, hsts(), { trust: ['127.0.0.1'] })
    const headers = ['X-Forwarded-For', '203.0.113.9', 'X-Forwarded-Proto', 'https']
    expect(values((await site.client.ask({ headers })).headers, sts)).toEqual(['max-age=31536000'])
  })
})

describe('hsts', () => {
  it.each([
    [{ maxAge: -1 }, 'tls.hsts.maxAge: got -1'],
    [{ maxAge: '1y' }, "tls.hsts.maxAge: got '1y'"],
    [
      { includeSubdomains: true },
      'tls.hsts.includeSubdomains: unknown option, did you mean includeSubDomains?',
    ],
    [{ preload: true }, 'tls.hsts.preload: got true, takes false without includeSubDomains'],
    [
      { preload: true, includeSubDomains: true, maxAge: '8759h' },
      "tls.hsts.maxAge: got '8759h', takes '8760h' or more with preload",
    ],
  ])('says what is wrong with %j', (options, says) => {
    expect(() => hsts(options as never, 'tls.hsts')).toThrow(says)
  })

  it('can be taken back', async () => {
    expect(() => hsts({ maxAge: 0 })).not.toThrow()
  })

  it('leaves what is unhandled to the app', async () => {
    const app = express()
    app.use(
      toListener(
        chain()
          .use(hsts())
          .handle(() => unhandled),
      ),
    )
    app.use((_req, res) => void res.end("the app's"))
    const server = own(await listen(createServer(app)))
    expect((await server.client.ask()).text).toBe("the app's")
  })
})
