import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { balance } from '@sluice/balance'
import { chain, toListener } from '@sluice/core'
import { type FieldRule, forward, http2Transport, type RewriteOptions } from '@sluice/forward'
import { createUpstream } from '@sluice/upstream'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { attachedHttp2Fronts } from '../kit/attached-fronts.js'
import { testCertificate } from '../kit/certificate.js'
import type { Answer } from '../kit/client.js'
import { type Front, fronts, rawFronts, twoFronts } from '../kit/fronts.js'
import { http2Origin } from '../kit/http2-origin.js'
import { listen } from '../kit/listen.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawClient, rawRequest, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

/** Answers with these fields; `{self}` in a value is the origin's own URL. */
async function answering(fields: readonly string[], status = 200): ReturnType<typeof originServer> {
  const origin = await originServer((req, res) => {
    const self = `http://127.0.0.1:${req.socket.localPort}`
    res.writeHead(
      status,
      fields.map((text, i) => (i % 2 === 0 ? text : text.replaceAll('{self}', self))),
    )
    res.end('ok')
  })
  return own(origin)
}

const host = ['Host', 'site.example:81']

describe.each(fronts)('URLs in answers through $name', (kind) => {
  const site = `${kind.tls ? 'https' : 'http'}://site.example:81`

  it('that name the target become the client’s; all others stay', async () => {
    const origin = await answering(
      [
        ...['Location', '{self}/a%2Fb?c#d'],
        ...['Content-Location', 'http://user:secret@127.0.0.1:1/'],
        ...['Refresh', '5; url={self}/x'],
        ...['Link', '<{self}/a,b>; rel="x,y", <http://other.example/>; rel=z'],
        ...['Link', '</c>; rel=preload'],
        ...['X-Location', '{self}/'],
      ],
      302,
    )
    const front = own(await kind.start(origin.url))
    const { headers, status } = await front.client.ask({ headers: host })
    expect(status).toBe(302)
    expect(values(headers, 'location')).toEqual([`${site}/a%2Fb?c#d`])
    expect(values(headers, 'content-location')).toEqual(['http://user:secret@127.0.0.1:1/'])
    expect(values(headers, 'refresh')).toEqual([`5; url=${site}/x`])
    expect(values(headers, 'link').join(', ')).toBe(
      `<${site}/a,b>; rel="x,y", <http://other.example/>; rel=z, </c>; rel=preload`,
    )
    expect(values(headers, 'x-location')).toEqual([`${origin.url}/`])
  })

  it('lose the base path of the target, at the border of a segment', async () => {
    const origin = await answering(['Location', '{self}/app/x', 'Content-Location', '{self}/apple'], 201)
    const front = own(await kind.start(`${origin.url}/app/`))
    const { headers } = await front.client.ask({ headers: host })
    expect(value(headers, 'location')).toBe(`${site}/x`)
    expect(value(headers, 'content-location')).toBe(`${origin.url}/apple`)
  })

  it('stay as they are with false, and lead on by paths with all', async () => {
    const origin = await answering(['Location', '/app/x', 'Content-Location', '{self}/app/y'], 201)
    const targets = `${origin.url}/app`
    const none = own(await kind.start({ targets, rewrite: { location: false } }))
    const left = await none.client.ask({ headers: host })
    expect(value(left.headers, 'location')).toBe('/app/x')
    expect(value(left.headers, 'content-location')).toBe(`${origin.url}/app/y`)
    const all = own(await kind.start({ targets, rewrite: { location: 'all' } }))
    const mapped = await all.client.ask({ headers: host })
    expect(value(mapped.headers, 'location')).toBe('/x')
    expect(value(mapped.headers, 'content-location')).toBe(`${site}/y`)
  })

  it('are changed in early hints too', async () => {
    const origin = own(
      await originServer((req, res) => {
        const link = `<http://127.0.0.1:${req.socket.localPort}/a.css>; rel=preload`
        res.writeEarlyHints({ link }, () => void res.end('ok'))
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call({ headers: host })
    await call.answer()
    const informed = call.informed.filter(({ status }) => status === 103)
    expect(informed.map(({ headers }) => value(headers, 'link'))).toEqual([`<${site}/a.css>; rel=preload`])
  })

  it('have the scheme that a trusted proxy tells, and nothing that a client tells', async () => {
    const origin = await answering(['Location', '{self}/x'], 302)
    const headers = [
      ...host,
      ...['X-Forwarded-For', '203.0.113.9', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Prefix', '//evil'],
      ...[
        'Forwarded',
        'host=evil.example',
        'X-Forwarded-Host',
        'evil.example',
        'Referer',
        'http://evil.example/',
      ],
    ]
    const stranger = own(await kind.start(origin.url))
    expect(value((await stranger.client.ask({ headers })).headers, 'location')).toBe(`${site}/x`)
    const trusted = own(await kind.start({ targets: origin.url, trust: ['127.0.0.0/8'] }))
    const location = value((await trusted.client.ask({ headers })).headers, 'location')
    expect(location).toMatch(/^https:/)
  })
})

describe('the path that a proxy is mounted at', () => {
  it('is put before paths: under Express', async () => {
    const origin = await answering(['Location', '{self}/x', 'Set-Cookie', 'a=b; Path=/'], 302)
    const proxy = own(
      createProxy({ upstreams: { site: origin.url }, rewrite: { cookies: { path: { '/': '/' } } } }),
    )
    const app = express()
    app.use('/api', proxy.listener)
    const front = own(await listen(createServer(app)))
    const { headers } = await front.client.ask({ path: '/api/y', headers: host })
    expect(value(headers, 'location')).toBe('http://site.example:81/api/x')
    expect(value(headers, 'set-cookie')).toBe('a=b; Path=/api')
  })

  it('is put before paths: what attach() has stripped, for paths alone too', async () => {
    const origin = await answering(['Location', '/app//evil.example', 'Content-Location', '/app/x'], 302)
    const proxy = own(createProxy({ upstreams: { site: `${origin.url}/app` }, rewrite: { location: 'all' } }))
    const server = createServer()
    proxy.attach(server, { path: '/api' })
    const front = own(await listen(server))
    const { headers } = await front.client.ask({ path: '/api', headers: host })
    expect(value(headers, 'content-location')).toBe('/api/x')
    expect(value(headers, 'location')).toBe('/api//evil.example')
  })

  it('that a client chooses leads nowhere else', async () => {
    const origin = await answering([
      'Location',
      '/x',
      'Content-Location',
      '{self}/x',
      'Set-Cookie',
      'a=b; Path=/',
    ])
    const proxy = own(
      createProxy({
        upstreams: { site: origin.url },
        rewrite: { location: 'all', cookies: { path: { '/': '/' } } },
      }),
    )
    const app = express()
    app.use(/^.*?\/api/, proxy.listener)
    const front = own(await listen(createServer(app)))
    const { headers } = await front.client.ask({
      path: '//evil.example;Domain=evil.example/api/y',
      headers: host,
    })
    expect(value(headers, 'location')).toMatch(/^http:\/\/site\.example:81\/\/evil|^\/x$/)
    expect(value(headers, 'content-location')).toMatch(/^http:\/\/site\.example:81\//)
    expect(value(headers, 'set-cookie')).toBe('a=b; Path=/')
  })

  it('counts what a route has stripped', async () => {
    const origin = await answering(['Location', '{self}/x'], 302)
    const upstream = own(createUpstream({ name: 'u', targets: [origin.url] }))
    const handler = chain()
      .derive(() => ({ stripped: '/shop' }))
      .use(balance(upstream))
      .handle(forward())
    const front = own(await listen(createServer(toListener(handler))))
    const { headers } = await front.client.ask({ headers: host })
    expect(value(headers, 'location')).toBe('http://site.example:81/shop/x')
  })

  it('is not known without a Host: then URLs stay', async () => {
    const origin = await answering(['Location', '{self}/x'], 302)
    const front = own(await (rawFronts[0] as (typeof rawFronts)[0]).start(origin.url))
    const { responses } = await rawRequest(front.port, 'GET / HTTP/1.0\r\n\r\n', { responses: 1 })
    expect(value(responses[0]?.headers ?? [], 'location')).toBe(`${origin.url}/x`)
  })
})

describe('a target that is called by another name', () => {
  it('calls itself so too', async () => {
    const origin = await answering(
      ['Location', 'http://inner.example/x', 'Content-Location', '{self}/y'],
      302,
    )
    for (const kind of twoFronts) {
      const front = own(await kind.start({ targets: origin.url, host: { fixed: 'inner.example' } }))
      const { headers } = await front.client.ask({ headers: host })
      expect(value(headers, 'location')).toBe('http://site.example:81/x')
      expect(value(headers, 'content-location')).toBe('http://site.example:81/y')
    }
  })
})

describe.each(fronts)('cookies through $name', (kind) => {
  it('get the attributes that the rules say', async () => {
    const origin = await answering([
      ...['Set-Cookie', 'a=1; Domain=inner.example; Path=/app/x; Expires=Wed, 21 Oct 2065 07:28:00 GMT'],
      ...['set-cookie', '__Host-b=2; Path=/; Secure'],
      ...['Set-Cookie', 'c=3; SameSite=None; Secure; x'],
    ])
    const cookies = { domain: false, path: { '/app': '/' }, secure: 'auto', sameSite: 'lax' } as const
    const front = own(await kind.start({ targets: origin.url, rewrite: { cookies } }))
    const { headers } = await front.client.ask()
    const secure = kind.tls ? '; Secure' : ''
    expect(values(headers, 'set-cookie')).toEqual([
      `a=1; Path=/x; Expires=Wed, 21 Oct 2065 07:28:00 GMT; SameSite=Lax${secure}`,
      '__Host-b=2; Path=/; Secure; SameSite=Lax',
      `c=3; SameSite=Lax${kind.tls ? '; Secure' : ''}; x`,
    ])
  })
})

/** Ten rules, as objects. */
const request: RewriteOptions['request'] = {
  set: { 'X-Set': 'new', 'X-Both': 'set' },
  append: { 'X-Many': '2' },
  default: { 'X-There': 'no', 'X-Missing': 'yes' },
  remove: ['X-Gone', 'x-forwarded-for'],
}
const response: RewriteOptions['response'] = {
  set: { 'X-Set': 'new' },
  append: { 'Set-Cookie': 'b=2' },
  default: { 'Cache-Control': 'no-store', 'X-There': 'no' },
  remove: ['X-Inner'],
}

describe.each(fronts)('rules of fields through $name', (kind) => {
  it('change requests and answers, and nothing besides', async () => {
    const origin = await answering([
      ...['X-Set', 'old', 'X-Inner', 'inner/1', 'Set-Cookie', 'a=1', 'X-There', 'here', 'X-Other', 'é'],
    ])
    const front = own(await kind.start({ targets: origin.url, rewrite: { request, response }, via: 'edge' }))
    const answer = await front.client.ask({
      method: 'POST',
      body: 'body',
      headers: [
        ...[
          'x-set',
          'old',
          'X-Many',
          '1',
          'X-There',
          'here',
          'x-GONE',
          '1',
          'X-Other',
          'Ab',
          'x-set',
          'older',
        ],
      ],
    })
    const seen = origin.requests[0]?.rawHeaders ?? []
    const [sent, got] = [(name: string) => values(seen, name), (name: string) => values(answer.headers, name)]
    expect([sent('x-set'), sent('x-both'), sent('x-there')]).toEqual([['new'], ['set'], ['here']])
    expect(sent('x-many').join(', ')).toBe('1, 2')
    expect([sent('x-missing'), sent('x-gone'), sent('x-forwarded-for')]).toEqual([['yes'], [], []])
    expect([sent('x-other'), sent('content-length'), sent('host')]).toEqual([
      ['Ab'],
      ['4'],
      [`127.0.0.1:${origin.port}`],
    ])
    expect([got('x-set'), got('x-inner'), got('cache-control')]).toEqual([['new'], [], ['no-store']])
    expect([got('set-cookie'), got('x-there'), got('x-other')]).toEqual([['a=1', 'b=2'], ['here'], ['é']])
    expect(got('via')).toEqual(['1.1 edge'])
    expect(answer).toMatchObject({ status: 200, text: 'ok', complete: true })
  })

  it('that list what may pass keep what makes the message', async () => {
    const origin = await answering(['X-A', '1', 'X-B', '2', 'Content-Length', '2', 'Server', 'inner'])
    const only = ['x-a', 'content-type']
    const front = own(
      await kind.start({
        targets: origin.url,
        rewrite: { request: { only }, response: { only } },
        via: 'edge',
      }),
    )
    const answer = await front.client.ask({
      method: 'POST',
      body: 'body',
      headers: ['X-A', '1', 'Cookie', 'b'],
    })
    expect(names(origin.requests[0]?.rawHeaders ?? [])).toEqual(['content-length', 'host', 'via', 'x-a'])
    expect(value(origin.requests[0]?.rawHeaders ?? [], 'content-length')).toBe('4')
    expect(values(answer.headers, 'x-b').concat(values(answer.headers, 'server'))).toEqual([])
    expect([value(answer.headers, 'x-a'), value(answer.headers, 'via')]).toEqual(['1', '1.1 edge'])
    expect(answer).toMatchObject({ text: 'ok', complete: true })
  })

  it('are functions too, in order with the others, and see the context', async () => {
    const origin = await answering(['X-A', '1'])
    const front = own(
      await kind.start({
        targets: origin.url,
        rewrite: {
          request: [
            { set: { 'X-Path': 'none' } },
            (list, ctx) => void list.push('X-Path', ctx.out.path, 'X-N', '1'),
            { remove: ['x-n'] },
          ],
          response: (list, { target }) => void list.push('X-Target', target.id),
        },
      }),
    )
    const answer = await front.client.ask({ path: '/p' })
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'x-path').join(', ')).toBe('none, /p')
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'x-n')).toEqual([])
    expect(values(answer.headers, 'x-target')).toEqual([front.upstream.all[0]?.id])
  })
})

function names(headers: readonly string[]): string[] {
  return headers
    .filter((_, i) => i % 2 === 0)
    .map((name) => name.toLowerCase())
    .filter((name) => name !== 'connection')
    .sort()
}

/** What a function must not leave behind. */
const forbidden: [what: string, rule: FieldRule][] = [
  ['a line break in a value', (list) => void list.push('X-A', 'a\r\nX-Injected: 1')],
  ['a whole message in a value', (list) => void list.push('X-A', 'a\r\n\r\nGET /injected HTTP/1.1\r\n\r\n')],
  ['a line feed alone', (list) => void list.push('X-A', 'a\nX-Injected: 1')],
  ['a NUL', (list) => void list.push('X-A', 'a\0')],
  ['a character above U+00FF', (list) => void list.push('X-A', '嘊')],
  ['a name that is none', (list) => void list.push('X-A: 1\r\nX-Injected', '1')],
  ['an empty name', (list) => void list.push('', '1')],
  ['a pseudo field', (list) => void list.push(':path', '/injected')],
  ['half a field', (list) => void list.push('X-A')],
  ['a value that is no text', (list) => void list.push('X-A', 1 as never)],
  ['another length', (list) => void list.push('Content-Length', '0')],
  ['chunks', (list) => void list.push('Transfer-Encoding', 'chunked')],
  ['an option of the connection', (list) => void list.push('Connection', 'X-A')],
  ['an upgrade', (list) => void list.push('Upgrade', 'h2c')],
  [
    'what it throws',
    () => {
      throw new Error('oops')
    },
  ],
  [
    'what it throws that is no error',
    () => {
      // oxlint-disable-next-line typescript/only-throw-error -- code without types may throw anything
      throw 'oops'
    },
  ],
  ['a promise', (async () => {}) as never],
  [
    'a promise that fails',
    (async () => {
      throw new Error('later')
    }) as never,
  ],
]

describe.each(fronts)('a rule of the app’s through $name', (kind) => {
  const refused = (answer: Answer): void => {
    expect(answer.status).toBe(500)
    expect(values(answer.headers, 'x-injected')).toEqual([])
    expect(answer.text).toBe('500 Internal Server Error\n')
  }

  it.each(forbidden)('that puts %s into a request sends none, and gives 500', async (_, rule) => {
    const origin = own(await originServer())
    const seen = observer()
    const front = own(
      await kind.start({ targets: origin.url, use: [seen.layer], rewrite: { request: rule } }),
    )
    refused(await front.client.ask({ method: 'POST', body: 'body' }))
    expect(seen.codes).toEqual(['proxy_internal_error'])
    expect(origin.requests).toHaveLength(0)
    await released(front)
  })

  it.each(forbidden)('that puts %s into an answer gives 500', async (_, rule) => {
    const origin = await answering(['X-B', '1'])
    const seen = observer()
    const front = own(
      await kind.start({ targets: origin.url, use: [seen.layer], rewrite: { response: rule } }),
    )
    refused(await front.client.ask())
    expect(seen.codes).toEqual(['proxy_internal_error'])
    await released(front)
  })
})

describe('a rule of the app’s', () => {
  it.each<[string, FieldRule]>([
    ['takes the length away', (list) => void list.splice(list.indexOf('Content-Length'), 2)],
    ['says another length', (list) => void list.splice(list.indexOf('Content-Length') + 1, 1, '3')],
    ['adds a second Host', (list) => void list.push('host', 'other.example')],
    ['makes Host a list', (list) => void list.splice(1, 1, 'a.example, b.example')],
  ])('that %s sends no request', async (_, rule) => {
    const origin = own(await originServer())
    for (const kind of twoFronts) {
      const front = own(await kind.start({ targets: origin.url, rewrite: { request: rule } }))
      const headers = ['Host', 'site.example', 'Content-Length', '4']
      expect((await front.client.ask({ method: 'POST', body: 'body', headers })).status).toBe(500)
    }
    expect(origin.requests).toHaveLength(0)
  })

  it.each(fronts)('may put another Host there, as an object may, through $name', async (kind) => {
    const origin = own(await originServer())
    const rules: NonNullable<RewriteOptions['request']>[] = [
      { set: { host: 'other.example' } },
      (list) => void list.splice(list.findIndex((name) => /^host$/i.test(name)) + 1, 1, 'other.example'),
    ]
    for (const request of rules) {
      const front = own(await kind.start({ targets: origin.url, rewrite: { request } }))
      await front.client.ask()
      expect(values(origin.requests.at(-1)?.rawHeaders ?? [], 'host')).toEqual(['other.example'])
    }
  })

  it.each(fronts)('may take Host away: the target’s own goes out, through $name', async (kind) => {
    const origin = own(await originServer())
    const rewrite = { request: { remove: ['Host'] } }
    const front = own(await kind.start({ targets: origin.url, host: 'original', rewrite }))
    await front.client.ask()
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'host')).toEqual([`127.0.0.1:${origin.port}`])
  })

  it('is told on stderr, without what a client may have put there', async () => {
    const origin = own(await originServer())
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    own({ close: () => process.off('warning', note) })
    const [kind] = twoFronts
    const rule: FieldRule = (list) => void list.push('X-Told-Once', 'a\nb')
    const front = own(
      await (kind as (typeof twoFronts)[0]).start({ targets: origin.url, rewrite: { request: rule } }),
    )
    await front.client.ask()
    const told = await until(
      () => warnings.find(({ message }) => message.includes('X-Told-Once')),
      'the warning',
    )
    expect([told.name, told.message]).toEqual([
      'SluiceWarning',
      'a rule of rewrite.request left a value of X-Told-Once that is none',
    ])
  })

  it('that fails leaves the connection to the target in order', async () => {
    const origin = await answering([])
    let fails = true
    const rule: FieldRule = () => {
      if (fails) throw new Error('oops')
    }
    for (const kind of twoFronts) {
      fails = true
      const front = own(await kind.start({ targets: origin.url, rewrite: { response: rule } }))
      expect((await front.client.ask()).status).toBe(500)
      fails = false
      expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok', complete: true })
    }
  })
})

describe('over HTTP/2 to the target', () => {
  const through = async (url: string, rewrite: RewriteOptions): Promise<Answer> => {
    const upstream = own(createUpstream({ name: 'u', targets: [url] }))
    const transport = http2Transport()
    own({ close: () => transport.close(true) })
    const handler = chain()
      .use(balance(upstream))
      .handle(forward({ transport: [transport], rewrite }))
    const front = own(await listen(createServer(toListener(handler))))
    return front.client.ask({ headers: [...host, 'X-Set', 'old', 'X-Gone', '1'] })
  }

  it('rules and URLs are as over HTTP/1.1', async () => {
    const origin = own(
      await http2Origin((stream) => {
        stream.respond({ ':status': 302, location: `http://127.0.0.1:${origin.port}/x`, 'x-inner': 'a' })
        stream.end('ok')
      }),
    )
    const answer = await through(origin.url, { request, response })
    const { fields } = await origin.stream()
    expect(fields).toMatchObject({ 'x-set': 'new', 'x-missing': 'yes' })
    expect([fields['x-gone'], fields['x-forwarded-for']]).toEqual([undefined, undefined])
    expect(value(answer.headers, 'location')).toBe('http://site.example:81/x')
    expect(values(answer.headers, 'x-inner')).toEqual([])
  })

  it.each(forbidden)('a function that puts %s there sends no request', async (_, rule) => {
    const origin = own(await http2Origin())
    expect((await through(origin.url, { request: rule })).status).toBe(500)
    expect(origin.streams).toHaveLength(0)
    expect((await through(origin.url, { response: rule })).status).toBe(500)
  })
})

const handshake =
  `GET / HTTP/1.1\r\nHost: site.example:81\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Gone: 1\r\n` +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'

describe.each(rawFronts)('upgrades through $name', (kind) => {
  async function socketOrigin(): Promise<Awaited<ReturnType<typeof originServer>>> {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(401, { Location: `http://127.0.0.1:${origin.port}/login`, 'X-Inner': 'inner' })
        res.end('no')
      }),
    )
    const server = new WebSocketServer({ noServer: true })
    server.on('headers', (list) => list.push('X-Inner: inner', 'Set-Cookie: a=1; Domain=inner.example'))
    origin.server.on('upgrade', (req, socket, head) => {
      upgrades.push(req.rawHeaders)
      server.handleUpgrade(req, socket, head, (peer) => own({ close: () => peer.terminate() }))
    })
    return origin
  }
  const upgrades: string[][] = []

  it('have their fields changed, in the handshake and in the 101', async () => {
    upgrades.length = 0
    const origin = await socketOrigin()
    const cookies = { domain: false } as const
    const front = own(await kind.start({ targets: origin.url, rewrite: { request, response, cookies } }))
    const { text } = await upgraded(front.port)
    expect(text).toMatch(/^HTTP\/1\.1 101 /)
    expect(text).toMatch(/^Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r$/im)
    expect(text).toMatch(/^X-Set: new\r$/m)
    expect(text).toMatch(/^Set-Cookie: a=1\r$/m)
    expect(text).not.toMatch(/X-Inner/i)
    const seen = upgrades.at(-1) ?? []
    expect([values(seen, 'x-set'), values(seen, 'x-gone')]).toEqual([['new'], []])
  })

  it('survive lists of what may pass', async () => {
    const origin = await socketOrigin()
    const only = ['x-a']
    const front = own(
      await kind.start({ targets: origin.url, rewrite: { request: { only }, response: { only } } }),
    )
    const { text } = await upgraded(front.port)
    expect(text).toMatch(/^HTTP\/1\.1 101 /)
    expect(text).not.toMatch(/X-Inner|Set-Cookie/i)
  })

  it('that a rule spoils get 500, and the target’s socket is closed', async () => {
    const origin = await socketOrigin()
    const rule: FieldRule = (list) => void list.push('X-A', 'a\r\nX-Injected: 1')
    const front = own(await kind.start({ targets: origin.url, rewrite: { response: rule } }))
    const { responses, text } = await rawRequest(front.port, handshake, { responses: 1 })
    expect(responses[0]?.status).toBe(500)
    expect(text).not.toContain('X-Injected')
    await released(front)
    await until(() => origin.sockets === 0, 'the target’s socket to close')
  })

  it('that the target refuses have the answer’s fields changed', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(401, { Location: `http://127.0.0.1:${origin.port}/login`, 'X-Inner': 'inner' })
        res.end('no')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, rewrite: { response } }))
    const { responses } = await rawRequest(front.port, handshake, { responses: 1 })
    expect(responses[0]?.status).toBe(401)
    expect(value(responses[0]?.headers ?? [], 'location')).toBe('http://site.example:81/login')
    expect(value(responses[0]?.headers ?? [], 'x-inner')).toBeUndefined()
  })
})

/** What a client reads of an answer to the handshake. */
async function upgraded(port: number): Promise<{ text: string }> {
  const client = own(await rawClient(port))
  client.write(handshake)
  await client.until('\r\n\r\n')
  return { text: client.text }
}

describe.each(attachedHttp2Fronts)('WebSocket over HTTP/2 through $name', (kind) => {
  it('has its fields changed', async () => {
    const origin = own(await originServer())
    new WebSocketServer({ server: origin.server }).on('headers', (list) => list.push('X-Inner: inner'))
    const front = own(await kind.start({ targets: origin.url, rewrite: { request, response } }))
    const ca = kind.tls ? testCertificate()?.cert : undefined
    const session = connectHttp2(`${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`, ca ? { ca } : {})
    own({ close: () => session.destroy() })
    await within(once(session, 'remoteSettings'), 'the settings')
    const stream = session.request(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13' },
      { endStream: false },
    )
    stream.on('error', () => {})
    const [fields] = await within(once(stream, 'response'), 'a response')
    expect(fields).toMatchObject({ ':status': 200, 'x-set': 'new' })
    expect(fields).not.toHaveProperty('x-inner')
    stream.close()
  })
})

describe('createProxy', () => {
  it('applies the rules of the proxy, an upstream and a route in this order', async () => {
    const origin = await answering(['Set-Cookie', 'a=1; Domain=inner.example; Path=/'])
    const seen: string[] = []
    const proxy = own(
      createProxy({
        upstreams: {
          site: {
            targets: [origin.url],
            rewrite: {
              request: { set: { 'X-A': 'upstream', 'X-B': 'upstream' } },
              cookies: { secure: true },
            },
          },
        },
        routes: [
          {
            path: '/r',
            upstream: 'site',
            rewrite: {
              request: [{ append: { 'X-A': 'route' } }, (list) => void seen.push(String(value(list, 'x-b')))],
              cookies: { httpOnly: true },
            },
          },
          { path: '/', upstream: 'site' },
        ],
        rewrite: {
          request: { set: { 'X-A': 'proxy', 'X-C': 'proxy' } },
          response: (list, { client }) => void list.push('X-Client', client.address),
          cookies: { domain: false, secure: false },
        },
      }),
    )
    const front = own(await listen(createServer(proxy.listener)))
    const routed = await front.client.ask({ path: '/r' })
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'x-a').join(', ')).toBe('upstream, route')
    expect([values(origin.requests[0]?.rawHeaders ?? [], 'x-c'), seen]).toEqual([['proxy'], ['upstream']])
    expect(value(routed.headers, 'set-cookie')).toBe('a=1; Path=/; HttpOnly; Secure')
    expect(value(routed.headers, 'x-client')).toBe('127.0.0.1')
    const other = await front.client.ask({ path: '/' })
    expect(values(origin.requests[1]?.rawHeaders ?? [], 'x-a')).toEqual(['upstream'])
    expect(value(other.headers, 'set-cookie')).toBe('a=1; Path=/; Secure')
  })
})
