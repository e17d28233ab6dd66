import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { createGunzip, gunzipSync, gzipSync } from 'node:zlib'
import { fromConnect } from '@sluice/core'
import bodyParser from 'body-parser/index.js'
import compression from 'compression'
import session from 'express-session'
import helmet from 'helmet'
import morgan from 'morgan'
import { createProxy } from 'sluice'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type AnyMiddleware, frameworks } from '../kit/frameworks.js'
import { listen, type Mounted } from '../kit/listen.js'
import { type Origin, type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

interface Place {
  readonly name: string
  /** A proxy of this target behind these middlewares, or with them in its chain. */
  start(target: Origin, ...middlewares: AnyMiddleware[]): Promise<Mounted>
}

/** Where middlewares stand: before the proxy in an app of each framework, and in the proxy's own chain. */
const places: readonly Place[] = [
  ...frameworks.map(({ name, app: make }) => ({
    name: `before the proxy in ${name}`,
    async start(target: Origin, ...middlewares: AnyMiddleware[]) {
      const proxy = own(createProxy(target.url))
      const app = make()
      for (const each of middlewares) app.use(each)
      app.use(proxy.listener)
      return own(await listen(createServer(app)))
    },
  })),
  {
    name: 'inside the chain',
    async start(target, ...middlewares) {
      const proxy = own(
        createProxy({
          upstreams: { default: { targets: [target.url] } },
          use: middlewares.map((each) => fromConnect(each)),
        }),
      )
      return own(await listen(createServer(proxy.listener)))
    },
  },
]

const target = async (handler?: OriginHandler): Promise<Origin> => own(await originServer(handler))

/** Members of a list field, in lower case. */
const members = (headers: readonly string[], name: string): string[] =>
  values(headers, name)
    .flatMap((each) => each.toLowerCase().split(','))
    .map((each) => each.trim())
    .sort()

/** Collects what comes, to be looked at while more is to come. */
function reading(stream: Readable): { text: () => string } {
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  stream.on('error', () => {})
  return { text: () => text }
}

const verify = (req: IncomingMessage, _res: unknown, bytes: Buffer): void => {
  ;(req as IncomingMessage & { rawBody?: Buffer }).rawBody = bytes
}

const parsers = [
  ['json', 'application/json', '{ "b" : 1.0,\n"a":"\\u00e9" }', {}],
  ['urlencoded', 'application/x-www-form-urlencoded', 'b=%7e&a=+1&&c', { extended: false }],
  ['raw', 'application/octet-stream', '\x00\x01\x7f bytes', {}],
] as const

describe.each(places)('body-parser $name', ({ start }) => {
  const echoed: OriginHandler = async (_req, res, seen) => void res.end(await seen.body())

  it.each(parsers)('%s with verify: the bytes are replayed', async (parser, type, body, options) => {
    const origin = await target(echoed)
    const front = await start(origin, bodyParser[parser]({ ...options, verify }))
    for (const chunked of [false, true]) {
      const answer = await front.client.ask({
        method: 'POST',
        headers: ['Content-Type', type],
        body,
        chunked,
      })
      expect(answer).toMatchObject({ status: 200, text: body, complete: true })
      const { rawHeaders } = await origin.request(chunked ? 1 : 0)
      expect(values(rawHeaders, 'content-length')).toEqual([String(body.length)])
      expect(values(rawHeaders, 'transfer-encoding')).toEqual([])
    }
  })

  it.each(parsers)('%s alone: refused at once, with what to do', async (parser, type, body, options) => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = await target(echoed)
    const front = await start(origin, bodyParser[parser](options))
    const headers = ['Content-Type', type]
    const answer = await front.client.ask({ method: 'POST', headers, body })
    expect(answer).toMatchObject({ status: 500, complete: true })
    expect(answer.text).toContain('req.rawBody')
    expect(origin.requests).toHaveLength(0)
    // The connection and requests that the parser leaves alone go on.
    const other = { method: 'POST', headers: ['Content-Type', 'text/x-other'], body: 'as it is' }
    expect(await front.client.ask(other)).toMatchObject({ status: 200, text: 'as it is' })
    expect(await front.client.ask()).toMatchObject({ status: 200, text: '' })
  })
})

const lines = 'a line that compresses well\n'.repeat(2000)

describe.each(places)('compression $name', ({ start }) => {
  const gzip = ['Accept-Encoding', 'gzip']

  it('lets events through as they come, and ends with the stream', async () => {
    const origin = await target((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' })
      res.write('data: 0\n\n')
    })
    const front = await start(origin, compression())
    const call = front.client.call({ headers: gzip })
    const { headers, body } = await call.head
    expect(value(headers, 'content-encoding')).toBe('gzip')
    const unpacked = body.pipe(createGunzip())
    const { text } = reading(unpacked)
    const { res } = await origin.request()
    await until(() => text() === 'data: 0\n\n', 'the first event')
    for (const each of [1, 2, 3]) {
      res.write(`data: ${each}\n\n`)
      await until(() => text().endsWith(`data: ${each}\n\n`), `event ${each}`)
    }
    res.end('data: last\n\n')
    await until(() => unpacked.readableEnded && text().endsWith('data: last\n\n'), 'the end')
  })

  it('compresses what has a length and what has none: Content-Length goes, ETag stays, Vary has both', async () => {
    const origin = await target((req, res) => {
      res.setHeader('Content-Type', 'text/plain')
      res.setHeader('ETag', '"1"')
      res.setHeader('Vary', 'Cookie')
      if (req.url === '/whole') res.setHeader('Content-Length', lines.length)
      res.write(lines.slice(0, 1000))
      res.end(lines.slice(1000))
    })
    const front = await start(origin, compression())
    for (const path of ['/whole', '/pieces']) {
      const packed = await front.client.ask({ path, headers: gzip })
      expect(gunzipSync(packed.body).toString()).toBe(lines)
      expect(value(packed.headers, 'content-encoding')).toBe('gzip')
      expect(values(packed.headers, 'content-length')).toEqual([])
      expect(values(packed.headers, 'etag')).toEqual(['"1"'])
      expect(members(packed.headers, 'vary')).toEqual(['accept-encoding', 'cookie'])
      const plain = await front.client.ask({ path, headers: ['Accept-Encoding', 'identity'] })
      expect(plain).toMatchObject({ text: lines, complete: true })
      expect(values(plain.headers, 'content-length')).toEqual(path === '/whole' ? [String(lines.length)] : [])
      expect(members(plain.headers, 'vary')).toEqual(['accept-encoding', 'cookie'])
    }
  })

  it('answers HEAD, 204 and 304 without a body, small and packed ones as they are', async () => {
    const small = gzipSync(lines)
    const origin = await target((req, res) => {
      const status = Number(/\d+/.exec(req.url ?? '')?.[0] ?? 200)
      res.statusCode = status
      res.setHeader('Content-Type', 'text/plain')
      if (status !== 200) return void res.end()
      if (req.url === '/packed') res.setHeader('Content-Encoding', 'gzip')
      const body =
        req.url === '/packed' ? small : req.url === '/small' ? Buffer.from('tiny') : Buffer.from(lines)
      res.setHeader('Content-Length', body.length)
      res.end(body)
    })
    const { client } = await start(origin, compression())
    const head = await client.ask({ method: 'HEAD', headers: gzip })
    expect(head).toMatchObject({ status: 200, text: '', complete: true })
    expect(values(head.headers, 'content-length')).toEqual([String(lines.length)])
    expect(values(head.headers, 'content-encoding')).toEqual([])
    for (const status of [204, 304])
      expect(await client.ask({ path: `/${status}`, headers: gzip })).toMatchObject({ status, text: '' })
    const tiny = await client.ask({ path: '/small', headers: gzip })
    expect(tiny.text).toBe('tiny')
    expect(values(tiny.headers, 'content-encoding')).toEqual([])
    const packed = await client.ask({ path: '/packed', headers: gzip })
    expect(packed.body.equals(small)).toBe(true)
    expect(values(packed.headers, 'content-length')).toEqual([String(small.length)])
  })

  it('stops the target while the client does not read', async () => {
    const most = 96 * 1024 * 1024
    let sent = 0
    const noise = randomBytes(64 * 1024)
    const origin = await target((_req, res) => {
      res.setHeader('Content-Type', 'text/plain')
      const more = (): void => {
        while (sent < most) {
          sent += noise.length
          if (!res.write(noise)) return
        }
        res.end()
      }
      res.on('drain', more)
      more()
    })
    const front = await start(origin, compression())
    const call = front.client.call({ headers: gzip })
    await call.head
    expect(await atRest(() => sent)).toBeLessThan(most / 2)
    call.abort()
    await (await origin.request()).closed
  })

  it('cuts what the target has cut', async () => {
    const origin = await target((_req, res) => {
      res.setHeader('Content-Type', 'text/plain')
      res.write(lines)
    })
    const front = await start(origin, compression())
    const call = front.client.call({ headers: gzip })
    await call.head
    ;(await origin.request()).res.destroy()
    expect(await call.answer()).toMatchObject({ status: 200, complete: false })
  })
})

describe.each(places)('express-session $name', ({ start }) => {
  it('sets its cookie beside the target’s, and knows it again', async () => {
    const seen: unknown[] = []
    const origin = await target((_req, res) => {
      res.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'])
      res.end('ok')
    })
    const front = await start(
      origin,
      session({ secret: 's', resave: false, saveUninitialized: true }),
      (req, _res, next) => {
        seen.push(req.sessionID)
        next()
      },
    )
    const first = await front.client.ask()
    const cookies = values(first.headers, 'set-cookie').sort()
    expect(cookies).toEqual(['a=1', 'b=2', expect.stringMatching(/^connect\.sid=/)])
    expect(first).toMatchObject({ text: 'ok', complete: true })
    const cookie = cookies[2]?.split(';')[0] ?? ''
    await front.client.ask({ headers: ['Cookie', cookie] })
    expect(seen[1]).toBe(seen[0])
    expect(value((await origin.request(1)).rawHeaders, 'cookie')).toBe(cookie)
  })
})

describe.each(places)('helmet $name', ({ name, start }) => {
  it('has its fields stay, and those of the target win', async () => {
    const origin = await target((_req, res) => {
      res.setHeader('X-Frame-Options', 'DENY')
      res.end('ok')
    })
    const { headers } = await (await start(origin, helmet())).client.ask()
    expect(values(headers, 'x-frame-options')).toEqual(['DENY'])
    expect(values(headers, 'x-content-type-options')).toEqual(['nosniff'])
    expect(values(headers, 'content-security-policy')).toHaveLength(1)
    expect(values(headers, 'x-powered-by')).toEqual([])
  })

  it('keeps them on the proxy’s own errors, unless these pass it by', async () => {
    const origin = await target((_req, res) => void res.destroy())
    const answer = await (await start(origin, helmet())).client.ask()
    expect(answer.status).toBe(502)
    // In a chain an error is thrown past the middleware, for layers outside of it to make an answer of.
    const kept = name === 'inside the chain' ? [] : ['SAMEORIGIN']
    expect(values(answer.headers, 'x-frame-options')).toEqual(kept)
  })
})

describe.each(places)('a Vary of a middleware $name', ({ start }) => {
  it('stays beside the target’s: a cache must look at both', async () => {
    const origin = await target((_req, res) => {
      res.setHeader('Vary', 'Cookie')
      res.end('ok')
    })
    const front = await start(origin, (_req, res, next) => {
      res.setHeader('Vary', 'Origin')
      next()
    })
    expect(members((await front.client.ask()).headers, 'vary')).toEqual(['cookie', 'origin'])
  })
})

describe.each(places)('morgan $name', ({ name, start }) => {
  const logging = (): { logged: string[]; layer: AnyMiddleware } => {
    const logged: string[] = []
    const stream = { write: (line: string) => void logged.push(line.trim()) }
    return { logged, layer: morgan(':method :url :status :res[content-length]', { stream }) }
  }

  it('logs status and length', async () => {
    const origin = await target((req, res) => {
      if (req.url === '/cut') return void res.destroy()
      res.writeHead(req.url === '/made' ? 201 : 200, { 'Content-Length': 5 }).end('12345')
    })
    const { logged, layer } = logging()
    const { client } = await start(origin, layer)
    await client.ask({ path: '/made' })
    await client.ask({ method: 'HEAD', path: '/head' })
    const { body } = await client.ask({ path: '/cut' })
    await until(() => logged.length === 3, 'three lines')
    // In a chain the page is made further out.
    const length = name === 'inside the chain' ? '-' : body.length
    expect(logged).toEqual(['GET /made 201 5', 'HEAD /head 200 5', `GET /cut 502 ${length}`])
  })

  it('logs requests that their client gave up, before and within the answer', async () => {
    const begin = deferred()
    const origin = await target((req, res) => {
      if (req.url === '/late') res.writeHead(200, { 'Content-Length': 10 }).write('12345')
      begin.resolve()
    })
    const { logged, layer } = logging()
    const { client } = await start(origin, layer)
    const early = client.call({ path: '/early' })
    early.head.catch(() => {})
    await begin.promise
    early.abort()
    await until(() => logged.length === 1, 'the first line')
    const late = client.call({ path: '/late' })
    await late.head
    late.abort()
    await until(() => logged.length === 2, 'the second line')
    expect(logged).toEqual(['GET /early - -', 'GET /late 200 10'])
  })
})
