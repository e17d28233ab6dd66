import { createServer } from 'node:http'
import {
  type Client,
  type Context,
  type ErrorPagesOptions,
  errorPages,
  type Layer,
  ProxyError,
  unhandled,
} from '@sluice/core'
import express from 'express'
import { createProxy } from 'sluice'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { attachedFronts } from '../kit/attached-fronts.js'
import type { Answer } from '../kit/client.js'
import { fronts, twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen } from '../kit/listen.js'
import { mountNamed } from '../kit/mounts.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawRequest, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const browser = ['Accept', 'text/html,application/xhtml+xml,*/*;q=0.8']

const pages = (options: ErrorPagesOptions<Context & Client>): Layer<Context & Client> =>
  errorPages<Context & Client>(options)

async function deadUrl(): Promise<string> {
  const dead = await originServer()
  await dead.close()
  return dead.url
}

function expectDiscreet({ text, headers }: Answer, url: string): void {
  const port = new URL(url).port
  expect(text + headers.filter((_, i) => headers[i - 1]?.toLowerCase() !== 'date').join('\n')).not.toMatch(
    new RegExp(`127\\.0\\.0\\.1|localhost|ECONN|connection_|${port}`),
  )
}

describe.each(fronts)('error pages through $name', (kind) => {
  it('a dead target: HTML for a browser, JSON for others, and nobody is named', async () => {
    const url = await deadUrl()
    const seen = observer()
    const front = own(await kind.start({ targets: url, use: [seen.layer, pages({ pages: {} })] }))
    const html = await front.client.ask({ headers: browser })
    expect(html).toMatchObject({ status: 502, complete: true })
    expect(value(html.headers, 'content-type')).toBe('text/html; charset=utf-8')
    expect(html.text).toContain('<h1>502 Bad Gateway</h1>')
    expectDiscreet(html, url)
    const json = await front.client.ask()
    expect(JSON.parse(json.text)).toEqual({ status: 502, title: 'Bad Gateway' })
    expect(value(json.headers, 'content-type')).toBe('application/json')
    expect(value(json.headers, 'cache-control')).toBe('no-store')
    expect(values(json.headers, 'vary').join()).toMatch(/\bAccept\b/)
    expectDiscreet(json, url)
    expect(await front.client.ask({ method: 'HEAD' })).toMatchObject({
      status: 502,
      text: '',
      complete: true,
    })
    // The mount hears of no error, and the log does all the same.
    expect(seen.codes).toEqual([])
    expect(await seen.outcome(0)).toMatchObject({ kind: 'error', error: { code: 'connection_refused' } })
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('one page a status, then its class, then the default; places are filled', async () => {
    const front = own(
      await kind.start({
        targets: 'http://127.0.0.1:1',
        use: [
          pages({
            pages: {
              418: '<b>{title}</b> {status} {other}',
              '4xx': { text: '{status} {title}' },
              default: ({ status, title, code }, ctx) => `${status} ${title} ${code} ${ctx.client.address}`,
            },
          }),
          () => (ctx) => {
            const code = ctx.out.path === '/400' ? 'request_timeout' : 'connection_timeout'
            const error = new ProxyError(code)
            if (ctx.out.path === '/418') Object.assign(error, { status: 418 })
            throw error
          },
        ],
      }),
    )
    const teapot = await front.client.ask({ path: '/418' })
    expect(teapot).toMatchObject({ status: 418, text: '<b>I&#39;m a Teapot</b> 418 {other}' })
    const timeout = await front.client.ask({ path: '/400' })
    expect(timeout).toMatchObject({ status: 408, text: '408 Request Timeout' })
    expect(value(timeout.headers, 'content-type')).toBe('text/plain; charset=utf-8')
    // The connection ends with this error, and the page says so.
    if (!kind.http2) expect(value(timeout.headers, 'connection')).toBe('close')
    expect(await front.client.ask()).toMatchObject({
      status: 504,
      text: '504 Gateway Timeout connection_timeout 127.0.0.1',
    })
  })

  it('a page that throws, rejects or gives nonsense: the built-in one, and a report', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    let cancelled = 0
    const body = () => ({
      pipe() {},
      readable: () => {
        throw new Error('unused')
      },
      cancel: () => void cancelled++,
    })
    const tag = `${kind.name} ${Math.random()}`
    const front = own(
      await kind.start({
        targets: await deadUrl(),
        use: [
          pages({
            pages: {
              default(_error, ctx) {
                switch (ctx.out.path) {
                  case '/throws':
                    throw new Error(`secret of a page, ${tag}`)
                  case '/rejects':
                    return Promise.reject(new Error(`later secret, ${tag}`))
                  case '/splits':
                    return { status: 502, headers: ['X-A', 'b\r\nX-Evil: 1'], body: body() }
                  case '/status':
                    return { status: 0, headers: [], body: body() }
                  default:
                    return undefined as never
                }
              },
            },
          }),
        ],
      }),
    )
    for (const path of ['/throws', '/rejects', '/splits', '/status', '/nothing']) {
      const answer = await front.client.ask({ path })
      expect(answer).toMatchObject({
        status: 502,
        text: '{"status":502,"title":"Bad Gateway"}\n',
        complete: true,
      })
      expect(value(answer.headers, 'x-evil')).toBeUndefined()
    }
    expect(cancelled).toBe(2)
    const told = warn.mock.calls.map(([warning]) => String(warning))
    expect(told.filter((line) => line.includes(tag))).toHaveLength(2)
    for (const line of told) expect(line).toMatch(/^the error page for 502 (failed|gave)/)
  })

  it('replies of targets are left alone unless intercepted; the connection to the target serves on', async () => {
    const origin = own(
      await originServer(async (req, res, seen) => {
        await seen.body()
        const status = Number(req.url?.slice(1))
        res.writeHead(status, {
          'WWW-Authenticate': 'Basic realm="x"',
          'Retry-After': '7',
          Allow: 'GET',
          ETag: '"a"',
          'Set-Cookie': 'a=b',
          'Content-Encoding': 'gzip',
          'X-Backend': 'db7.internal',
          'Access-Control-Allow-Origin': '*',
        })
        res.end(`the target's own words for ${status}`)
      }),
    )
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [pages({ pages: { 401: '<p>{status}</p>' }, intercept: [401, '5xx'] })],
      }),
    )
    const left = await front.client.ask({ path: '/404' })
    expect(left).toMatchObject({ status: 404, text: "the target's own words for 404" })
    expect(value(left.headers, 'x-backend')).toBe('db7.internal')
    const challenge = await front.client.ask({ path: '/401', headers: browser })
    expect(challenge).toMatchObject({ status: 401, text: '<p>401</p>', complete: true })
    expect(value(challenge.headers, 'www-authenticate')).toBe('Basic realm="x"')
    const busy = await front.client.ask({ path: '/503', method: 'POST', body: 'x'.repeat(1000) })
    expect(busy).toMatchObject({ status: 503, text: '{"status":503,"title":"Service Unavailable"}\n' })
    expect(value(busy.headers, 'retry-after')).toBe('7')
    expect(value(busy.headers, 'access-control-allow-origin')).toBe('*')
    for (const gone of ['etag', 'set-cookie', 'x-backend', 'content-encoding'])
      expect(value(busy.headers, gone)).toBeUndefined()
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('a client that leaves while a page is made leaves nothing behind', async () => {
    const leaks = leakCheck()
    let begun = 0
    let finish: (() => void) | undefined
    const seen = observer()
    const front = await kind.start({
      targets: await deadUrl(),
      use: [
        seen.layer,
        pages({
          pages: {
            default: async () => {
              begun++
              await new Promise<void>((resolve) => {
                finish = resolve
              })
              return 'late'
            },
          },
        }),
      ],
    })
    const call = front.client.call()
    call.head.catch(() => {})
    await until(() => begun === 1, 'the page to be asked for')
    call.abort()
    expect((await seen.outcome()).kind).not.toBe('done')
    finish?.()
    await front.close()
    await leaks.settled()
  })
})

describe.each(attachedFronts)('pages for what no layer answers, on $name', (kind) => {
  it('404 has its page', async () => {
    const origin = own(await originServer())
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [pages({ pages: { 404: 'not here: {status}' } }), passOn],
      }),
    )
    expect(await front.client.ask({ path: '/other' })).toMatchObject({ status: 404, text: 'not here: 404' })
    expect(await front.client.ask({ path: '/' })).toMatchObject({ status: 200 })
  })
})

/** A layer that takes one path and leaves the rest to others. */
const passOn: Layer<Context & Client> = (next) => (ctx) => (ctx.out.path === '/' ? next(ctx) : unhandled)

it('under Express what no layer answers goes to the next listener, page or none', async () => {
  const origin = own(await originServer())
  const proxy = own(
    createProxy({
      upstreams: { a: origin.url },
      routes: [{ path: '/a', upstream: 'a' }],
      pages: { 404: 'ours', default: 'ours' },
    }),
  )
  const app = express()
  app.use(proxy.listener)
  app.use((_req, res) => void res.status(404).send("the app's"))
  const front = own(await listen(createServer(app)))
  expect(await front.client.ask({ path: '/b' })).toMatchObject({ status: 404, text: "the app's" })
  const bare = own(await mountNamed('node:http').serve(proxy))
  const answer = await bare.client.ask({ path: '/b' })
  expect(answer).toMatchObject({ status: 404, text: 'ours' })
  expect(value(answer.headers, 'cache-control')).toBe('no-store')
})

describe.each(twoFronts)('refused upgrades through $name', (kind) => {
  it('get the page as their answer', async () => {
    const url = await deadUrl()
    const front = own(await kind.start({ targets: url, use: [pages({ pages: { 502: '<i>{title}</i>' } })] }))
    const { responses } = await rawRequest(
      front.port,
      [
        'GET /chat HTTP/1.1',
        'Host: a',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        '',
        '',
      ].join('\r\n'),
    )
    expect(responses[0]).toMatchObject({ status: 502 })
    expect(String(responses[0]?.body)).toBe('<i>Bad Gateway</i>')
  })
})

describe('options', () => {
  it.each([
    [{}, /errorPages\.pages/],
    [{ pages: { 200: 'x' } }, /pages\.200.*400 to 599/],
    [{ pages: { '6xx': 'x' } }, /pages\.6xx/],
    [{ pages: { 404: 7 } }, /pages\.404.*HTML as text/],
    [{ pages: { 404: {} } }, /pages\.404.*at least one/],
    [{ pages: { 404: { json: '{oops' } } }, /pages\.404\.json.*JSON as text/],
    [{ pages: { 404: { htlm: '' } } }, /pages\.404\.htlm.*did you mean html/],
    [{ pages: { 404: './404.html' } }, /pages\.404: got '\.\/404\.html', takes the page itself, and no path/],
    [{ pages: { default: '/var/www/error.HTM' } }, /pages\.default.*no path/],
    [{ pages: { '5xx': { text: 'C:\\pages\\5xx.txt' } } }, /pages\.5xx\.text.*no path/],
    [{ pages: { 502: { html: '502.html' } } }, /pages\.502\.html.*no path/],
    [{ pages: {}, intercept: [200] }, /intercept\[0\].*400 to 599/],
  ])('%j is a TypeError that says where', (options, message) => {
    expect(() => errorPages(options as never)).toThrow(TypeError)
    expect(() => errorPages(options as never)).toThrow(message)
  })

  it.each(['gone', 'Ask for /index.html', 'see', '<a href=/index.html', '', '{title}.html'])(
    'a page may be the text %j',
    (page) => {
      expect(() => errorPages({ pages: { 404: page, 502: { html: page, text: page } } })).not.toThrow()
    },
  )

  it('of createProxy are told with all others', () => {
    const make = () =>
      createProxy({
        upstreams: { a: 'http://127.0.0.1:1' },
        pages: { 302: 'x' },
        onRequest: 'x',
        onResponse: 7,
        via: 'a, b',
      } as never)
    expect(make).toThrow(/pages\.302[\s\S]*onRequest[\s\S]*onResponse[\s\S]*via/)
    expect(() =>
      createProxy({ upstreams: { a: 'http://127.0.0.1:1' }, pages: { pages: {}, intercept: [1] } as never }),
    ).toThrow(/pages\.intercept\[0\]/)
  })
})
