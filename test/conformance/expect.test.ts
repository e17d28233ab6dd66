import { once } from 'node:events'
import { createServer } from 'node:http'
import { attach, fromConnect, fromListener, type Handler } from '@sluice/core'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { attachedFronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { chainOf, fronts, twoFronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { type RawConnection, rawOrigin } from '../kit/raw-origin.js'
import { rawClient, rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const waiting = { method: 'POST', open: true, headers: ['Expect', '100-continue', 'Content-Length', '4'] }
const rawHead = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n'

/** The bytes behind a connection's first head. */
const bodyOf = ({ text }: RawConnection): string => text.slice(text.indexOf('\r\n\r\n') + 4)

describe.each(attachedFronts)('Expect: 100-continue through $name', (kind) => {
  it('the client hears 100 when the target has said so, once, and then its body flows', async () => {
    const asked = deferred<string>()
    const go = deferred()
    const origin = own(
      await rawOrigin(async (connection) => {
        asked.resolve(await connection.head())
        await go.promise
        await connection.write('HTTP/1.1 100 Continue\r\n\r\n')
        await connection.until('\r\n\r\nbody')
        await connection.write(ok)
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call(waiting)
    let heard = 0
    call.body.on('continue', () => {
      heard++
      call.body.end('body')
    })
    expect(await within(asked.promise, 'the head at the target')).toMatch(/\r\nexpect: 100-continue\r\n/i)
    expect(heard).toBe(0)
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'ok', complete: true })
    expect(heard).toBe(1)
  })

  it.each([417, 413, 401])(
    'a target that refuses with %d is relayed, and the body stays where it is',
    async (status) => {
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.head()
          await connection.write(`HTTP/1.1 ${status} No\r\nX-Why: big\r\nContent-Length: 2\r\n\r\nno`)
        }),
      )
      const front = own(await kind.start(origin.url))
      const call = front.client.call(waiting)
      let heard = 0
      call.body.on('continue', () => heard++)
      call.body.on('error', () => {})
      const answer = await call.answer()
      expect(answer).toMatchObject({ status, text: 'no', complete: true })
      expect(value(answer.headers, 'x-why')).toBe('big')
      expect(value(answer.headers, 'connection')).toBe(kind.http2 ? undefined : 'close')
      call.abort()
      await until(() => front.inFlight === 0, 'the lease to be released')
      expect(heard).toBe(0)
      expect(bodyOf(origin.connections[0] as RawConnection)).toBe('')
    },
  )

  it('a target that says nothing gets the body after a second, and the client its 100', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.until('\r\n\r\nbody')
        await connection.write(ok)
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call(waiting)
    call.body.on('continue', () => call.body.end('body'))
    expect(await call.answer()).toMatchObject({ status: 200, text: 'ok' })
  })

  it('another expectation gets 417, and the target hears nothing', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask({ method: 'POST', headers: ['Expect', 'a-miracle'], body: 'body' })
    expect(answer).toMatchObject({ status: 417, complete: true })
    expect(origin.requests).toHaveLength(0)
  })
})

describe.each(attachedRawFronts)('Expect: 100-continue as bytes through $name', (kind) => {
  it('a refused client’s connection ends, for what comes next may be the body or a request', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno')
      }),
    )
    const front = own(await kind.start(origin.url))
    const { responses, ended } = await rawRequest(front.port, rawHead)
    expect(responses.map(({ status }) => status)).toEqual([417])
    expect(ended).toBe('end')
  })

  it('a client that sends its body all the same is served without a 100 too many', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const client = own(await rawClient(front.port))
    client.write(`${rawHead}bodyGET /next HTTP/1.1\r\nHost: a\r\n\r\n`)
    await until(() => (client.text.match(/HTTP\/1\.1 200/g)?.length ?? 0) === 2, 'both answers')
    expect(client.text.match(/HTTP\/1\.1 100/g)).toHaveLength(1)
    expect(await origin.requests[0]?.body().then(String)).toBe('body')
    expect(origin.requests[1]?.url).toBe('/next')
  })

  it('of an HTTP/1.0 client is ignored (RFC 9110 section 10.1.1)', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const bytes = `${rawHead.replace('1.1', '1.0')}body`
    const { responses } = await rawRequest(front.port, bytes)
    expect(responses.map(({ status }) => status)).toEqual([200])
    expect(value(origin.requests[0]?.rawHeaders ?? [], 'expect')).toBeUndefined()
  })
})

describe.each(fronts)('Expect: 100-continue on a listener alone, through $name', (kind) => {
  it('the body arrives', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const call = front.client.call(waiting)
    call.body.on('continue', () => call.body.end('body'))
    expect(await call.answer()).toMatchObject({ status: 200, text: 'ok', complete: true })
    expect(await origin.requests[0]?.body().then(String)).toBe('body')
  })
})

describe('Expect: 100-continue without a target', () => {
  async function serve(handler: Handler): Promise<number> {
    const server = createServer()
    attach(server, handler)
    return own(await listen(server)).port
  }

  it('a handler that doesn’t read the body says no 100', async () => {
    const port = await serve(() => ({ status: 401, headers: [], body: 'who?' }))
    const { responses, ended } = await rawRequest(port, rawHead)
    expect(responses.map(({ status }) => status)).toEqual([401])
    expect(value(responses[0]?.headers ?? [], 'connection')).toBe('close')
    expect(ended).toBe('end')
  })

  it('a handler that reads the body says it when it does', async () => {
    const port = await serve((ctx) => ({ status: 200, headers: [], body: ctx.out.body }))
    const client = own(await rawClient(port))
    client.write(rawHead)
    await client.until('HTTP/1.1 100 Continue\r\n\r\n')
    client.write('body')
    await client.until('body')
  })

  it.each([
    ['an app at the end of the chain', (app: express.Express) => fromListener(app)],
    [
      'a middleware of the chain',
      (app: express.Express): Handler => fromConnect(app)(() => ({ status: 500, headers: [], body: null })),
    ],
  ])('%s that reads the request itself: the client hears it', async (_name, handlerOf) => {
    const app = express()
    app.use(express.text({ type: () => true }))
    app.use((req, res) => void res.end(`read ${req.body}`))
    const port = await serve(handlerOf(app))
    const client = own(await rawClient(port))
    client.write(rawHead)
    await client.until('HTTP/1.1 100 Continue\r\n\r\n')
    client.write('body')
    await client.until('read body')
  })

  it('what is not below the path is the app’s, as if nothing were attached', async () => {
    const built = own(chainOf(own(await originServer()).url))
    const server = createServer(async (req, res) => {
      const [chunk] = (await once(req, 'data')) as [Buffer]
      res.end(`the app read ${String(chunk)}`)
    })
    const detach = attach(server, built.handler, { path: '/api' })
    const { port } = own(await listen(server))
    for (const attached of [true, false]) {
      if (!attached) detach()
      const client = own(await rawClient(port))
      client.write(rawHead)
      await client.until('HTTP/1.1 100 Continue\r\n\r\n')
      client.write('body')
      await client.until('the app read body')
    }
  })
})

describe.each(twoFronts)('retries and Expect, through $name', (kind) => {
  it('the next target gets the body that the first could not be asked for', async () => {
    const dead = await rawOrigin()
    await dead.close()
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: [dead.url, origin.url] }))
    for (let i = 0; i < 2; i++) {
      const call = front.client.call(waiting)
      call.body.on('continue', () => call.body.end('body'))
      expect(await call.answer()).toMatchObject({ status: 200, text: 'ok' })
    }
  })
})
