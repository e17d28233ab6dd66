import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import bodyParser from 'body-parser'
import compression from 'compression'
import connect from 'connect'
import express from 'express'
import session from 'express-session'
import express4 from 'express4'
import helmet from 'helmet'
import morgan from 'morgan'
import { createProxy, type Proxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { listen, originServer, owner, rawClient, trapUnhandled, until, within } from '../kit/index.js'

trapUnhandled()
const own = owner()

type Handler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void
interface App {
  use(handler: Handler): unknown
  use(path: string, handler: Handler): unknown
}

const apps: readonly [string, () => App & RequestListener][] = [
  ['Express 5', () => express() as unknown as App & RequestListener],
  ['Express 4', () => express4() as unknown as App & RequestListener],
  ['Connect', () => connect() as unknown as App & RequestListener],
]

function proxied(url: string): Proxy {
  return own(createProxy(url))
}

async function serving(app: RequestListener): Promise<string> {
  const { port } = own(await listen(createServer(app)))
  return `http://127.0.0.1:${port}`
}

describe.each(apps)('a proxy in an app of %s', (name, make) => {
  it('under a path gets what is below it, and what is not goes on', async () => {
    const [one, two] = [own(await originServer()), own(await originServer())]
    const app = make()
    app.use('/api', proxied(one.url).listener)
    app.use('/other', proxied(two.url).listener)
    app.use((_req, res) => res.writeHead(404).end('the app'))
    const url = await serving(app)
    expect(await (await fetch(`${url}/api/x?q=%2f`)).text()).toBe('ok')
    expect(one.requests[0]?.url).toBe('/x?q=%2f')
    // Connect keeps the path that it has taken off to itself.
    if (name !== 'Connect') expect(one.requests[0]?.req.headers['x-forwarded-prefix']).toBe('/api')
    expect(await (await fetch(`${url}/other`)).text()).toBe('ok')
    expect(two.requests[0]?.url).toBe('/')
    expect(await (await fetch(`${url}/apix`)).text()).toBe('the app')
    expect(one.requests).toHaveLength(1)
  })

  it('sends on what body-parser has read, if the app has kept the bytes', async () => {
    const origin = own(await originServer((_req, res, seen) => seen.body().then((body) => res.end(body))))
    const app = make()
    app.use(bodyParser.json({ verify: (req, _res, bytes) => void Object.assign(req, { rawBody: bytes }) }))
    app.use(proxied(origin.url).listener)
    const url = await serving(app)
    const headers = { 'content-type': 'application/json' }
    const text = '{"a" :  1}'
    const answer = await fetch(url, { method: 'POST', headers, body: text })
    expect(await answer.text()).toBe(text)
    expect(origin.requests[0]?.req.headers['content-length']).toBe(String(text.length))
  })

  it('says at once what to do where the bytes are gone', async () => {
    const origin = own(await originServer())
    const app = make()
    app.use(bodyParser.raw({ type: '*/*' }))
    app.use(proxied(origin.url).listener)
    const answer = await fetch(await serving(app), { method: 'POST', body: 'gone' })
    expect(answer.status).toBe(500)
    expect(await answer.text()).toContain('rawBody')
    expect(origin.requests).toHaveLength(0)
  })

  it('lets fields of helmet stay where the target has none, and cookies of app and target both', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('X-Frame-Options', 'DENY').setHeader('Set-Cookie', ['a=1', 'b=2']).end('ok')
      }),
    )
    const app = make()
    app.use(helmet() as Handler)
    app.use(session({ secret: 'a secret', resave: false, saveUninitialized: true }) as unknown as Handler)
    app.use(proxied(origin.url).listener)
    const { headers } = await fetch(await serving(app))
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.getSetCookie().map((cookie) => cookie.split('=')[0])).toEqual(
      expect.arrayContaining(['a', 'b', 'connect.sid']),
    )
  })

  it('is logged by morgan with its status and length', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.statusCode = 418
        res.end('teapot')
      }),
    )
    const lines: string[] = []
    const app = make()
    app.use(morgan(':status :res[content-length] :url', { stream: { write: (line) => lines.push(line) } }))
    app.use(proxied(origin.url).listener)
    expect((await fetch(`${await serving(app)}/tea`)).status).toBe(418)
    await until(() => lines.length === 1, 'a line in the log')
    expect(lines).toEqual(['418 6 /tea\n'])
  })

  it('is compressed by compression, whose length and field it takes', async () => {
    const text = 'a line of text\n'.repeat(500)
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('Content-Type', 'text/plain').setHeader('Content-Length', text.length).end(text)
      }),
    )
    const app = make()
    app.use(compression() as unknown as Handler)
    app.use(proxied(origin.url).listener)
    const answer = await fetch(await serving(app), { headers: { 'accept-encoding': 'gzip' } })
    expect(answer.headers.get('content-encoding')).toBe('gzip')
    expect(answer.headers.get('content-length')).toBeNull()
    expect(answer.headers.get('vary')).toMatch(/accept-encoding/i)
    expect(await answer.text()).toBe(text)
  })

  it('hands on each event of a stream that compression codes, as it comes', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('Content-Type', 'text/event-stream')
        res.write('data: 1\n\n')
      }),
    )
    const app = make()
    app.use(compression({ threshold: 0 }) as unknown as Handler)
    app.use(proxied(origin.url).listener)
    const { port } = new URL(await serving(app))
    const client = own(await rawClient(Number(port)))
    client.write('GET / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: gzip\r\n\r\n')
    // The head of gzip alone is ten bytes: an event makes more of it.
    await within(
      until(() => {
        const body = client.text.split('\r\n\r\n').slice(1).join('\r\n\r\n')
        return body.length > 24
      }, 'the first event'),
      'the first event',
    )
    expect(client.text).toMatch(/content-encoding: gzip/i)
  })
})
