import { randomBytes } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { createGunzip, gunzipSync } from 'node:zlib'
import { connectCache } from '@sluice/cache'
import { compression } from '@sluice/compress'
import { fromConnect } from '@sluice/core'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { frameworks } from '../kit/frameworks.js'
import { listen, type Mounted } from '../kit/listen.js'
import { type Origin, type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Where `compression()` stands: before the proxy in an app of each framework, and in the proxy's own chain. */
const places: readonly { name: string; start(target: Origin): Promise<Mounted> }[] = [
  ...frameworks.map(({ name, app: make }) => ({
    name: `before the proxy in ${name}`,
    async start(target: Origin) {
      const app = make()
      app.use(compression())
      app.use(own(createProxy(target.url)).listener)
      return own(await listen(createServer(app)))
    },
  })),
  {
    name: 'inside the chain',
    async start(target) {
      const proxy = own(
        createProxy({ upstreams: { default: target.url }, use: [fromConnect(compression())] }),
      )
      return own(await listen(createServer(proxy.listener)))
    },
  },
]

const text = 'a line that compresses well\n'.repeat(400)
const gzip = ['Accept-Encoding', 'gzip']

describe.each(places)('compression() of @sluice/compress $name', ({ start }) => {
  const site = async (handler: OriginHandler): Promise<{ origin: Origin; front: Mounted }> => {
    const origin = own(await originServer(handler))
    return { origin, front: await start(origin) }
  }

  it('codes what the target sends, and keeps what is said of it apart from its bytes', async () => {
    const { front } = await site((req, res) => {
      const fields = ['Content-Type', 'text/plain', 'ETag', '"1"', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']
      if (req.url === '/whole') fields.push('Content-Length', String(text.length))
      res.writeHead(200, fields).end(text)
    })
    for (const path of ['/whole', '/chunked']) {
      const answer = await front.client.ask({ path, headers: gzip })
      expect(gunzipSync(answer.body).toString()).toBe(text)
      expect(values(answer.headers, 'set-cookie')).toEqual(['a=1', 'b=2'])
      expect(values(answer.headers, 'etag')).toEqual(['W/"1"'])
      expect(values(answer.headers, 'content-length')).toEqual([])
      const plain = await front.client.ask({ path })
      expect([plain.text, value(plain.headers, 'etag')]).toEqual([text, '"1"'])
    }
  })

  it('lets each event out while the stream is open', async () => {
    const { front, origin } = await site((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 0\n\n')
    })
    const call = front.client.call({ headers: gzip })
    const { res } = await origin.request()
    let found = ''
    const unpacked = (await call.head).body.pipe(createGunzip()).on('data', (chunk: Buffer) => {
      found += chunk.toString()
    })
    let all = 'data: 0\n\n'
    for (const event of ['data: 1\n\n', 'data: 2\n\n', '']) {
      await until(() => found === all, `all events up to ${all}`)
      res.write(event)
      all += event
    }
    res.end()
    await until(() => unpacked.readableEnded, 'the end')
  })

  it('cuts what the target has cut', async () => {
    const { front, origin } = await site((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/plain' }).write(text)
    })
    const call = front.client.call({ headers: gzip })
    await call.head
    ;(await origin.request()).res.destroy()
    expect(await call.answer()).toMatchObject({ status: 200, complete: false })
  })

  it('stops the target while the client does not read, and lets it go when the client leaves', async () => {
    const most = 512 * 1024 * 1024
    const noise = randomBytes(64 * 1024)
    let sent = 0
    const { front, origin } = await site((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/plain' })
      const more = (): void => {
        while (sent < most) {
          sent += noise.length
          if (!res.write(noise)) return void res.once('drain', more)
        }
        res.end()
      }
      more()
    })
    const call = front.client.call({ headers: gzip })
    await call.head
    expect(await atRest(() => sent)).toBeLessThan(most / 2)
    call.abort()
    await (await origin.request()).closed
  })
})

describe.each(frameworks)('compression() among others that change a response, in $name', ({ app: make }) => {
  const parts = ['one ', 'two ', 'three '].map((word) => word.repeat(400))
  const writes = (type: string) => (_req: unknown, res: ServerResponse) => {
    res.setHeader('Content-Type', type)
    for (const part of parts) res.write(part)
    res.end()
  }

  it('codes once where it stands twice', async () => {
    const app = make()
    app.use(compression())
    app.use(compression())
    app.use(writes('text/plain'))
    const front = own(await listen(createServer(app)))
    const answer = await front.client.ask({ headers: gzip })
    expect(values(answer.headers, 'content-encoding')).toEqual(['gzip'])
    expect(gunzipSync(answer.body).toString()).toBe(parts.join(''))
  })

  it('leaves the methods of those behind it where it codes nothing', async () => {
    const app = make()
    app.use(compression())
    app.use((_req: unknown, res: ServerResponse, next: () => void) => {
      const write = res.write as (part: string) => boolean
      res.write = (part: string) => write.call(res, part.toUpperCase())
      next()
    })
    app.use(writes('image/png'))
    const front = own(await listen(createServer(app)))
    expect((await front.client.ask({ headers: gzip })).text).toBe(parts.join('').toUpperCase())
  })

  it('tells of room behind connectCache, where what it codes is kept', async () => {
    const app = make()
    app.use(connectCache())
    app.use(compression())
    app.use((_req: unknown, res: ServerResponse) => {
      res.setHeader('Content-Type', 'text/plain')
      res.setHeader('Cache-Control', 'max-age=60')
      Readable.from(Array(100).fill(text)).pipe(res)
    })
    const front = own(await listen(createServer(app)))
    for (const status of [/ stored;/, / hit;/]) {
      const answer = await front.client.ask({ headers: gzip })
      expect(gunzipSync(answer.body).toString()).toBe(text.repeat(100))
      expect(value(answer.headers, 'cache-status')).toMatch(status)
    }
  })

  it('goes on sending where a connectCache within another has done its part, and the app has not', async () => {
    const app = make()
    for (const middleware of [compression(), connectCache(), connectCache()]) app.use(middleware)
    app.use((_req: unknown, res: ServerResponse) => {
      res.setHeader('Content-Type', 'text/plain')
      res.setHeader('Last-Modified', 'Tue, 01 Sep 2026 10:00:00 GMT')
      res.setHeader('Cache-Control', 'no-cache')
      // The inner one says 304 to the outer while it stores this.
      res.write(text)
      setImmediate(() => res.end(text))
    })
    const front = own(await listen(createServer(app)))
    for (let i = 0; i < 3; i++)
      expect(gunzipSync((await front.client.ask({ headers: gzip })).body).toString()).toBe(text.repeat(2))
  })
})
