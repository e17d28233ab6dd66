import { createServer } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { gzipSync } from 'node:zlib'
import { decompressRequests } from '@sluice/compress'
import { chain, clientAddress, fromListener, type Middleware, toListener } from '@sluice/core'
import { bodyBuffer, bodyLimit } from '@sluice/guard'
import express from 'express'
import express4 from 'express4'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { listen } from '../kit/listen.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

type Listener = Parameters<typeof fromListener>[0]

/** An app by a framework, with its own parser of bodies, that also tells what stood on the request before. */
const parsing = (framework: typeof express): Listener => {
  const app = framework()
  app.use(framework.text({ type: () => true }))
  app.use((req, res) => void res.end(`${req.url} ${req.body?.length} ${req.get('x-a')}`))
  return app
}

const reading: Listener = async (req, res) => {
  let size = 0
  try {
    for await (const chunk of req) size += chunk.length
  } catch {
    return
  }
  res.end(`${req.url} ${size} ${req.headers['x-a']}`)
}

const apps = { 'Express 5': parsing(express), 'Express 4': parsing(express4), 'a listener': reading }
const protocols = {
  'HTTP/1.1': { serve: createServer, http2: false },
  'HTTP/2': { serve: createHttp2Server, http2: true },
}

describe.each(
  Object.entries(protocols).flatMap(([protocol, how]) =>
    Object.entries(apps)
      // They take no requests of HTTP/2.
      .filter(([name]) => protocol === 'HTTP/1.1' || name === 'a listener')
      .map(([name, app]) => ({ name: `${name} over ${protocol}`, app, ...how })),
  ),
)('$name behind layers that make another body of the client’s', ({ app, serve, http2 }) => {
  const clientOf = async (layer: Middleware) => {
    const built = chain().use(clientAddress()).use(layer).handle(fromListener(app))
    const { port } = own(await listen((serve as typeof createServer)(toListener(built))))
    return own(httpClient({ port, http2 }))
  }
  const ask = { path: '/p', method: 'POST', headers: ['X-A', 'b'] }
  const inParts = async (layer: Middleware, parts: string[]) => {
    const call = (await clientOf(layer)).call({ ...ask, open: true })
    for (const part of parts) {
      call.body.write(part)
      await new Promise((resolve) => setImmediate(resolve))
    }
    call.body.end()
    const { status, text } = await call.answer()
    return [status, text]
  }

  it('keeps a limit that no length is said of', async () => {
    const [status] = await inParts(bodyLimit(10), ['x'.repeat(8), 'x'.repeat(8)])
    expect(status).toBe(413)
    expect(await inParts(bodyLimit(10), ['x'.repeat(8)])).toEqual([200, '/p 8 b'])
  })

  it('reads what was waited for', async () => {
    expect(await inParts(bodyBuffer('16kb'), ['x'.repeat(8), 'x'.repeat(8)])).toEqual([200, '/p 16 b'])
    // More than is waited for.
    const part = 'x'.repeat(20_000)
    expect(await inParts(bodyBuffer('16kb'), [part, part, part])).toEqual([200, '/p 60000 b'])
  })

  it('reads what was decoded, and is not told of the coding', async () => {
    const to = await clientOf(decompressRequests())
    const body = gzipSync('x'.repeat(50_000))
    const headers = [...ask.headers, 'Content-Encoding', 'gzip']
    expect(await to.ask({ ...ask, headers, body })).toMatchObject({ status: 200, text: '/p 50000 b' })
  })

  it('reads text that a layer has put there', async () => {
    const to = await clientOf((next) => (ctx) => {
      ctx.out.body = 'of a layer'
      return next(ctx)
    })
    expect(await to.ask({ ...ask, body: 'x' })).toMatchObject({ status: 200, text: '/p 10 b' })
  })
})

describe.each(Object.entries(protocols))('a listener over %s', (_name, { serve, http2 }) => {
  const served = async (app: Listener) => {
    const built = chain().use(bodyLimit('1mb')).handle(fromListener(app))
    const { port } = own(await listen((serve as typeof createServer)(toListener(built))))
    return own(httpClient({ port, http2 }))
  }

  it('hears that its client has left, though nobody listens for errors', async () => {
    let heard = (_how: unknown): void => {}
    const left = new Promise((resolve) => {
      heard = resolve
    })
    const begun = new Promise<void>((resolve) => {
      void served((req) => {
        req.once('data', resolve)
        req.once('close', () => heard([req.aborted, req.readableEnded]))
      }).then((client) => {
        const call = client.call({ method: 'POST', open: true })
        call.head.catch(() => {})
        call.body.on('error', () => {})
        call.body.write('x')
        void begun.then(() => call.abort())
      })
    })
    expect(await left).toEqual([true, false])
  })

  it('may answer without reading, and its connection serves on', async () => {
    const client = await served((_req, res) => void res.end('no'))
    for (let i = 0; i < 3; i++)
      expect(await client.ask({ method: 'POST', body: 'x'.repeat(1_000), chunked: true })).toMatchObject({
        status: 200,
        text: 'no',
      })
  })

  it('stops a body of which it wants no more', async () => {
    const client = await served((req, res) => {
      req.once('data', () => {
        req.destroy()
        res.end('enough')
      })
    })
    const call = client.call({ method: 'POST', open: true })
    call.body.write('x')
    call.body.on('error', () => {})
    expect(await call.answer()).toMatchObject({ status: 200, text: 'enough' })
  })
})
