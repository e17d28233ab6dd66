import { type Client, type Context, errorPages, type Layer, onError, ProxyError } from '@sluice/core'
import { type AnonymityOptions, anonymity } from '@sluice/guard'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Answer } from '../kit/client.js'
import { type Front, type FrontKind, fronts, rawFronts, threeFronts, twoFronts } from '../kit/fronts.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { rawClient, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

type Site = Context & Client

/** A front before one target that hides it, and another one that nobody asks. */
async function site(
  kind: FrontKind,
  handler: OriginHandler,
  options: AnonymityOptions = {},
  use: Layer<Site>[] = [],
) {
  const origin = own(await originServer(handler))
  const front = own(
    await kind.start({
      targets: origin.url,
      use: [anonymity({ origins: [origin.url, 'http://app-1.internal:3000'], ...options }), ...use],
    }),
  )
  return { origin, front, client: front.client }
}

const publicOf = (kind: FrontKind, { port }: Front): string =>
  `${kind.tls ? 'https' : 'http'}://127.0.0.1:${port}`

/** All that an answer says. */
function said({ status, headers, text, trailers }: Answer): string {
  return [status, ...headers, text, ...trailers].join('\n')
}

describe.each(fronts)('anonymity through $name', (kind) => {
  it('fields of answers name nobody, and the rest stays', async () => {
    const { origin, front, client } = await site(kind, (_req, res, { req }) => {
      const target = `http://127.0.0.1:${req.socket.localPort}`
      res.writeHead(302, [
        ...[
          'Server',
          'nginx/1.18.0',
          'X-Powered-By',
          'Express',
          'X-Backend-Server',
          'app-1',
          'Via',
          '1.1 cache-3',
        ],
        ...['Server-Timing', 'db;dur=3;desc="db-7"', 'traceparent', '00-1-2-01', 'X-Debug-Token', 'abc'],
        ...['Alt-Svc', 'h3="app-1.internal:443"'],
        ...['Location', `http://app-1.internal:3000/next?back=${encodeURIComponent(`${target}/x`)}`],
        ...['Content-Location', `${target}/x`, 'Refresh', `5; url=http://app-1.internal:3000/y`],
        ...['Link', `<${target}/a.css>; rel=preload, <//app-1.internal:3000/b>; rel=next`],
        ...[
          'Set-Cookie',
          'a=1; Domain=app-1.internal; Path=/',
          'Set-Cookie',
          'b=2; Domain=.internal; HttpOnly',
        ],
        ...['Set-Cookie', 'c=3; Domain=example.org'],
        ...[
          'Access-Control-Allow-Origin',
          target,
          'Content-Security-Policy',
          "img-src app-1.internal:3000 'self'",
        ],
        ...['Content-Type', `application/ld+json; profile="${target}/v1 http://app-1.internal:3000/v2"`],
        ...['X-Note', 'made by APP-1.INTERNAL', 'X-Kept', 'yes', 'Content-Length', '0'],
      ])
      res.end()
    })
    const there = publicOf(kind, front)
    const host = `127.0.0.1:${front.port}`
    const answer = await client.ask()
    const { headers } = answer
    expect(answer).toMatchObject({ status: 302, complete: true })
    expect(said(answer)).not.toMatch(new RegExp(`internal|${origin.port}|nginx|app-1|cache-3|db-7`, 'i'))
    for (const gone of [
      'server',
      'via',
      'x-backend-server',
      'server-timing',
      'traceparent',
      'x-debug-token',
      'alt-svc',
    ])
      expect(values(headers, gone)).toEqual([])
    if (!kind.framework) expect(value(headers, 'x-powered-by')).toBeUndefined()
    expect(value(headers, 'location')).toBe(`${there}/next?back=${encodeURIComponent(`${there}/x`)}`)
    expect(value(headers, 'content-location')).toBe(`${there}/x`)
    expect(value(headers, 'refresh')).toBe(`5; url=${there}/y`)
    expect(value(headers, 'link')).toBe(`<${there}/a.css>; rel=preload, <//${host}/b>; rel=next`)
    expect(values(headers, 'set-cookie')).toEqual(['a=1; Path=/', 'b=2; HttpOnly', 'c=3; Domain=example.org'])
    expect(value(headers, 'access-control-allow-origin')).toBe(there)
    expect(value(headers, 'content-security-policy')).toBe(`img-src ${host} 'self'`)
    expect(value(headers, 'content-type')).toBe(`application/ld+json; profile="${there}/v1 ${there}/v2"`)
    expect(value(headers, 'x-note')).toBe(`made by ${host}`)
    expect(value(headers, 'x-kept')).toBe('yes')
  })

  it('errors of targets are pages that say the status alone, and what a client needs', async () => {
    const { client } = await site(kind, (req, res) => {
      res.writeHead(Number(req.url?.slice(1)), {
        'Retry-After': '7',
        'X-Trace': 'x',
        ETag: '"a"',
        Server: 'x',
      })
      res.end('Error: connect ECONNREFUSED 10.0.0.7:5432\n at /srv/app/db.js:3')
    })
    const answer = await client.ask({ path: '/503' })
    expect(answer).toMatchObject({ status: 503, text: '503 Service Unavailable\n', complete: true })
    expect(value(answer.headers, 'retry-after')).toBe('7')
    expect(value(answer.headers, 'cache-control')).toBe('no-store')
    expect(value(answer.headers, 'etag')).toBeUndefined()
    // What a target says of a client's own error is its own.
    expect((await client.ask({ path: '/404' })).text).toContain('ECONNREFUSED')
    const head = await client.ask({ method: 'HEAD', path: '/500' })
    expect(head).toMatchObject({ status: 500, text: '', complete: true })
  })

  it('bodies name the public origin, however they are split', async () => {
    const page = (target: string): string =>
      `<a href="${target}/a">1</a><img src="//app-1.internal:3000/b"><p>${'x'.repeat(2_000)}</p>é {"u":"${target.replaceAll('/', '\\/')}\\/c"}`
    const { origin, front, client } = await site(
      kind,
      (req, res) => {
        const bytes = Buffer.from(page(`http://127.0.0.1:${req.socket.localPort}`))
        res.writeHead(req.headers['if-none-match'] === 'W/"v1"' ? 304 : 200, {
          'Content-Type': 'text/html; charset=utf-8',
          ETag: '"v1"',
          'Accept-Ranges': 'bytes',
          'X-Asked': String(req.headers['accept-encoding']),
        })
        if (req.headers['if-none-match'] === 'W/"v1"') return void res.end()
        for (let i = 0; i < bytes.length; i += 11) res.write(bytes.subarray(i, i + 11))
        res.end()
      },
      { bodies: ['html'] },
    )
    const answer = await client.ask({ headers: ['Accept-Encoding', 'gzip'] })
    const host = `127.0.0.1:${front.port}`
    expect(answer.body.toString()).toBe(
      page(publicOf(kind, front)).replace('//app-1.internal:3000', `//${host}`),
    )
    expect(said(answer)).not.toContain(String(origin.port))
    expect(value(answer.headers, 'etag')).toBe('W/"v1"')
    expect(value(answer.headers, 'accept-ranges')).toBeUndefined()
    expect(value(answer.headers, 'x-asked')).toBe('undefined')
    const again = await client.ask({ headers: ['If-None-Match', 'W/"v1"'] })
    expect([again.status, value(again.headers, 'etag')]).toEqual([304, 'W/"v1"'])
    const head = await client.ask({ method: 'HEAD' })
    expect([head.status, value(head.headers, 'content-length'), value(head.headers, 'etag')]).toEqual([
      200,
      undefined,
      'W/"v1"',
    ])
  })

  it('bodies that are not asked for, coded, not to be changed, or of nobody stay byte for byte', async () => {
    const bytes = Buffer.concat([Buffer.from('http://app-1.internal:3000/ '), Buffer.alloc(3_000, 0xe9)])
    const { client } = await site(
      kind,
      (req, res) => {
        const [, type, field = '', text = ''] = (req.url ?? '').split(';')
        res.writeHead(200, {
          'Content-Type': decodeURIComponent(type ?? ''),
          'X-A': 'b',
          ...(field && { [field]: text }),
        })
        res.end(req.url?.endsWith('/clean') ? bytes.subarray(30) : bytes)
      },
      { bodies: ['css', 'json'] },
    )
    for (const path of [
      '/;text%2Fhtml',
      '/;text%2Fplain',
      '/;text%2Fcss;Cache-Control;public,no-transform',
      '/;application%2Fjson;Content-Encoding;br',
    ])
      expect((await client.ask({ path })).body).toEqual(bytes)
    expect((await client.ask({ path: '/;text%2Fcss;X-B;/clean' })).body).toEqual(bytes.subarray(30))
    expect((await client.ask({ path: '/;application%2Fproblem+json' })).text).not.toContain('internal')
  })

  it('a part of a body that would be rewritten is refused, and parts of others pass', async () => {
    const { client } = await site(
      kind,
      (req, res) => {
        res.writeHead(206, { 'Content-Type': (req.url ?? '').slice(1), 'Content-Range': 'bytes 0-3/9' })
        res.end('http')
      },
      { bodies: ['html'] },
    )
    expect(await client.ask({ path: '/text/html', headers: ['Range', 'bytes=0-3'] })).toMatchObject({
      status: 416,
    })
    expect(await client.ask({ path: '/video/mp4', headers: ['Range', 'bytes=0-3'] })).toMatchObject({
      status: 206,
      text: 'http',
    })
  })

  it('several ranges are not asked for, and parts that come all the same are refused', async () => {
    const { client, origin } = await site(
      kind,
      (req, res) => {
        const parts = (req.url ?? '') === '/parts'
        res.writeHead(parts ? 206 : 200, {
          'Content-Type': parts ? 'multipart/byteranges; boundary=x' : 'text/html',
        })
        res.end('--x\r\nContent-Type: text/html\r\n\r\nhttp://app-1.internal:3000/\r\n--x--')
      },
      { bodies: ['html'] },
    )
    const headers = ['Range', 'bytes=0-3, 9-12']
    const whole = await client.ask({ path: '/', headers })
    expect(whole.status).toBe(200)
    expect(whole.text).not.toContain('internal')
    const parts = await client.ask({ path: '/parts', headers })
    expect(parts.status).toBe(416)
    expect(parts.text).not.toContain('internal')
    expect(origin.requests.map(({ rawHeaders }) => value(rawHeaders, 'range'))).toEqual([
      undefined,
      undefined,
    ])
  })

  it('a cookie for the domain of a target is one for the host alone, however that is written', async () => {
    const { client } = await site(kind, (_req, res) => {
      res.writeHead(200, { 'Set-Cookie': ['a=1; Domain=app-1.internal.', 'b=2; domain = "App-1.internal"'] })
      res.end()
    })
    const { headers } = await client.ask({})
    for (const cookie of values(headers, 'set-cookie')) expect(cookie).not.toMatch(/domain/i)
  })

  it.each([
    ['remove', undefined],
    [{ hash: 'a secret that is long enough' }, /^_[\w-]{22}$/],
  ] as const)('targets hear of the client by %j', async (client, name) => {
    const { origin, client: asks } = await site(kind, (_req, res) => void res.end(), { client })
    const sent = [
      'X-Forwarded-For',
      '203.0.113.9',
      'X-Real-IP',
      '203.0.113.9',
      'Forwarded',
      'for=203.0.113.9',
    ]
    for (let i = 0; i < 2; i++)
      await asks.ask({
        headers: [...sent, 'True-Client-IP', '203.0.113.9', 'From', 'me@203.0.113.9', 'X-Kept', 'yes'],
      })
    const heard = origin.requests.map(({ rawHeaders }) => rawHeaders as string[])
    for (const each of heard) {
      expect(each.join()).not.toContain('203.0.113.9')
      expect(value(each, 'x-kept')).toBe('yes')
      expect(value(each, 'x-forwarded-proto')).toBe(kind.tls ? 'https' : 'http')
      if (name === undefined) expect(value(each, 'x-forwarded-for')).toBeUndefined()
      else expect(value(each, 'x-forwarded-for')).toMatch(name)
    }
    expect(heard).toHaveLength(2)
    expect(value(heard[0] as string[], 'x-forwarded-for')).toBe(
      value(heard[1] as string[], 'x-forwarded-for'),
    )
  })
})

describe.each(threeFronts)('anonymity through $name, once more', (kind) => {
  it('early hints name nobody', async () => {
    const { front, client } = await site(kind, (_req, res) => {
      res.writeEarlyHints({ link: '<http://app-1.internal:3000/a.css>; rel=preload', 'x-backend': 'app-1' })
      res.end('ok')
    })
    const call = client.call()
    await call.answer()
    const hints = call.informed.filter(({ status }) => status === 103)
    expect(hints.map(({ headers }) => value(headers, 'link'))).toEqual([
      `<${publicOf(kind, front)}/a.css>; rel=preload`,
    ])
    expect(JSON.stringify(hints)).not.toContain('app-1')
  })

  it('trailers name nobody', async () => {
    const { client } = await site(kind, (_req, res) => {
      res.writeHead(200, { Trailer: 'X-Sum, X-Served-By, X-Where' })
      res.write('ok')
      res.addTrailers({ 'X-Sum': '7', 'X-Served-By': 'app-1', 'X-Where': 'app-1.internal:3000' })
      res.end()
    })
    const answer = await client.ask({ headers: ['TE', 'trailers'] })
    expect(answer.text).toBe('ok')
    expect(value(answer.trailers, 'x-sum')).toBe('7')
    expect(answer.trailers.join()).not.toMatch(/app-1/)
  })

  it('only listed fields pass, and what an answer can not be without', async () => {
    const handler: OriginHandler = (_req, res) => {
      res.writeHead(200, {
        'Content-Type': 'text/plain',
        'X-A': '1',
        'X-B': '2',
        'Set-Cookie': 'a=1',
        Server: 'x',
        ETag: '"1"',
      })
      res.end('ok')
    }
    const names = async (fields: AnonymityOptions['fields']): Promise<string[]> => {
      const { client } = await site(kind, handler, fields === undefined ? {} : { fields })
      const { headers } = await client.ask()
      const all = headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
      return all.filter((name) => /^(?:x-|set-|server|etag|content-type)/.test(name)).sort()
    }
    expect(await names({ allow: ['x-a'] })).toEqual(['content-type', 'etag', 'x-a'])
    expect(await names({ allow: ['X-*', 'Set-Cookie'] })).toEqual([
      'content-type',
      'etag',
      'set-cookie',
      'x-a',
      'x-b',
    ])
    expect(await names({ keep: ['Server'], remove: ['x-b'] })).toEqual([
      'content-type',
      'etag',
      'server',
      'set-cookie',
      'x-a',
    ])
    expect(await names('known')).toEqual(['content-type', 'etag', 'set-cookie', 'x-a', 'x-b'])
  })

  it('TRACE goes no further than here, where the target would show what it has been sent', async () => {
    const { origin, client } = await site(kind, (_req, res) => void res.end('seen'))
    const answer = await client.ask({ method: 'TRACE' })
    expect(answer.status).toBe(200)
    expect(answer.text).toMatch(/^TRACE \/ HTTP/)
    expect(said(answer)).not.toContain(String(origin.port))
    expect(origin.requests).toHaveLength(0)
  })

  it('which errors are replaced is for an option to say', async () => {
    const handler: OriginHandler = (req, res) => void res.writeHead(Number(req.url?.slice(1))).end('theirs')
    const some = await site(kind, handler, { errors: [404, 500] })
    expect((await some.client.ask({ path: '/404' })).text).toBe('404 Not Found\n')
    expect((await some.client.ask({ path: '/502' })).text).toBe('theirs')
    const none = await site(kind, handler, { errors: false })
    expect((await none.client.ask({ path: '/500' })).text).toBe('theirs')
  })

  it('errors are thrown on, and what layers further in have put into their fields names nobody', async () => {
    const error = new ProxyError('proxy_overloaded', {
      headers: ['X-Note', 'app-1.internal:3000', 'Server', 'x'],
    })
    const { client } = await site(kind, (_req, res) => void res.end(), {}, [
      () => () => {
        throw error
      },
    ])
    const answer = await client.ask()
    expect(answer.status).toBe(503)
    expect(value(answer.headers, 'x-note')).toMatch(/^127\.0\.0\.1:/)
    expect(said(answer)).not.toContain('app-1')
    // It may be thrown many times, and isn't ours.
    expect(error.headers).toEqual(['X-Note', 'app-1.internal:3000', 'Server', 'x'])
  })

  it('pages of one’s own further in stay, in place of errors and of what targets say of them', async () => {
    const { client } = await site(kind, (_req, res) => void res.writeHead(500).end('theirs'), {}, [
      errorPages<Site>({ pages: { '5xx': '<b>mine {status}</b>' }, intercept: ['5xx'] }),
      onError<Site>(({ code }) =>
        code === 'proxy_overloaded' ? { status: 503, headers: [], body: 'busy' } : undefined,
      ),
      (next) => (ctx) => {
        if (ctx.out.path === '/') return next(ctx)
        throw new ProxyError(ctx.out.path === '/busy' ? 'proxy_overloaded' : 'connection_refused')
      },
    ])
    expect((await client.ask()).text).toBe('<b>mine 500</b>')
    expect((await client.ask({ path: '/dead' })).text).toBe('<b>mine 502</b>')
    // The page takes its place, as it does without this layer.
    expect((await client.ask({ path: '/busy' })).text).toBe('<b>mine 503</b>')
  })

  it('a function for origins that throws is a fault that is told, and keeps nothing open', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { front, client } = await site(
      kind,
      (_req, res) => {
        res.writeEarlyHints({ link: '</a.css>; rel=preload' })
        res.write('some')
      },
      {
        origins: () => {
          // Of each kind of fault a person is told once.
          throw new Error(`no list through ${kind.name}`)
        },
      },
    )
    const call = client.call()
    expect(await call.answer()).toMatchObject({ status: 500, complete: true })
    expect(call.informed.filter(({ status }) => status === 103)).toEqual([])
    expect(String(warn.mock.calls[0]?.[0])).toContain('no list through')
    await until(() => front.inFlight === 0, 'the lease to end')
  })

  it('targets that come and go are hidden as they come', async () => {
    let list = ['http://one.internal']
    const { client } = await site(
      kind,
      (_req, res) => void res.writeHead(200, { 'X-A': 'one.internal two.internal' }).end(),
      {
        origins: () => list,
      },
    )
    expect(value((await client.ask()).headers, 'x-a')).toMatch(/^127.*two\.internal$/)
    list = ['http://two.internal']
    expect(value((await client.ask()).headers, 'x-a')).toMatch(/^one\.internal 127/)
  })
})

describe.each(rawFronts)('upgrades through $name', (kind) => {
  it('a 101 names nobody and opens', async () => {
    const origin = own(
      await rawOrigin(
        answering(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nServer: nginx\r\nX-Where: app-1.internal:3000\r\nX-Kept: yes\r\n\r\nhello',
        ),
      ),
    )
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [anonymity({ origins: ['http://app-1.internal:3000'] })],
      }),
    )
    const client = own(await rawClient(front.port))
    client.write('GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    await client.until('hello')
    expect(client.text).toMatch(/^HTTP\/1.1 101/)
    expect(client.text).toContain('X-Where: shop.example\r\n')
    expect(client.text).toContain('X-Kept: yes')
    expect(client.text).not.toMatch(/nginx|app-1/)
  })

  it('a host that could end an attribute is none: URLs become paths', async () => {
    const { client, front } = await site(
      kind,
      (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/html', 'X-A': 'app-1.internal' })
        res.end("<a href='http://app-1.internal:3000/x'>")
      },
      { bodies: ['html'] },
    )
    expect((await client.ask()).text).toBe(`<a href='http://127.0.0.1:${front.port}/x'>`)
    const raw = own(await rawClient(front.port))
    raw.write("GET / HTTP/1.1\r\nHost: a'onload=b\r\nConnection: close\r\n\r\n")
    await raw.until("<a href='/x'>")
    expect(raw.text).toMatch(/x-a: hidden\r\n/i)
  })
})

describe.each(twoFronts)('streams through $name', (kind) => {
  it('what has come goes on at once, though more is to come', async () => {
    let go = (): void => {}
    const { client } = await site(
      kind,
      (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
        res.write('{"u":"http://app-1.internal:3000/a"}\n')
        go = () => void res.end('{"u":"http://app-1.inter')
      },
      { bodies: ['json'] },
    )
    const { body } = await client.call().head
    let text = ''
    body.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await until(() => text.endsWith('/a"}\n'), 'the first line')
    expect(text).not.toContain('app-1')
    go()
    await until(() => text.endsWith('{"u":"http://app-1.inter'), 'the rest')
  })
})

describe('wrong options', () => {
  it.each([
    [{ fields: 'all' }, /anonymity\.fields/],
    [{ fields: { allow: ['a b'] } }, /anonymity\.fields\.allow\[0\]/],
    [{ origins: ['10.0.0.5:3000'] }, /anonymity\.origins\[0\].*10\.0\.0\.5/],
    [{ bodies: ['xml'] }, /anonymity\.bodies\[0\]/],
    [{ errors: [200] }, /anonymity\.errors\[0\]/],
    [{ errors: 'all' }, /anonymity\.errors/],
    [{ client: 'hash' }, /anonymity\.client/],
    [{ client: { hash: 'tooshort' } }, /anonymity\.client\.hash(?!.*tooshort)/],
    [{ hide: true }, /anonymity\.hide/],
  ])('%j', (options, message) => {
    expect(() => anonymity(options as never)).toThrow(message)
    expect(() => anonymity(options as never)).toThrow(TypeError)
  })

  it('all of them are told at once', () => {
    expect(() => anonymity({ bodies: ['xml'], errors: 3 } as never)).toThrow(/bodies[\s\S]*errors/)
  })
})

describe.each(twoFronts)('what targets hear through $name', (kind) => {
  it.each([
    [{ hash: 'a secret that is long enough' }, /^for="?_[\w-]{22}"?;/],
    ['remove', /^for="?unknown"?;/],
  ] as const)('in Forwarded, with %j', async (client, pattern) => {
    const origin = own(await originServer())
    const front = own(
      await kind.start({
        targets: origin.url,
        forwarded: { rfc7239: 'real' },
        trust: ['127.0.0.1'],
        use: [anonymity({ client })],
      }),
    )
    await front.client.ask({ headers: ['X-Forwarded-For', '203.0.113.9, 127.0.0.1'] })
    const { rawHeaders } = await origin.request()
    expect(value(rawHeaders as string[], 'forwarded')).toMatch(pattern)
    expect(rawHeaders.join()).not.toContain('203.0.113.9')
  })
})
