import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { gunzipSync } from 'node:zlib'
import { type CacheOptions, connectCache, createCache } from '@sluice/cache'
import compression from 'compression'
import connect from 'connect'
import express from 'express'
import session from 'express-session'
import helmet from 'helmet'
import morgan from 'morgan'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import type { Call } from '../kit/client.js'
import { type AnyMiddleware, type App, frameworks } from '../kit/frameworks.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen, type Mounted } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawClient, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

type Handler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => unknown

interface Place {
  readonly name: string
  readonly http2: boolean
  app(): App
}

const places: readonly Place[] = [
  ...frameworks.map(({ name, app }) => ({ name, app, http2: false })),
  { name: 'Connect on HTTP/2', app: () => connect() as unknown as App, http2: true },
]

async function serve({ app: make, http2 }: Place, ...middlewares: AnyMiddleware[]): Promise<Mounted> {
  const app = make()
  for (const each of middlewares)
    app.use(each)
    // Express 5 and 4 print what they are not handed over; a test's errors are no news.
  ;(app as unknown as { set?(name: string, value: string): void }).set?.('env', 'test')
  return own(await listen(http2 ? createHttp2Server(app as never) : createServer(app), { http2 }))
}

/** The second in which a test runs must not turn. */
const still = (): (() => number) => {
  const now = Date.now()
  return () => now
}

const express5 = places[0] as Place
const status = (answer: { headers: string[] }): string => value(answer.headers, 'cache-status') ?? ''

/** A page that is another each time. */
function pages(headers: Record<string, string> = { 'Cache-Control': 'max-age=60' }): {
  handler: Handler
  made: number
} {
  const self = {
    made: 0,
    handler: ((_req, res) => {
      self.made++
      for (const [name, text] of Object.entries(headers)) res.setHeader(name, text)
      res.end(`page ${self.made}`)
    }) as Handler,
  }
  return self
}

describe.each(places)('connectCache in $name', (place) => {
  it('serves again what the app has answered, without the app', async () => {
    const { made, handler } = pages()
    expect(made).toBe(0)
    const { client } = await serve(place, connectCache({ clock: still() }), handler)
    const first = await client.ask()
    expect([first.status, first.text, status(first)]).toEqual([
      200,
      'page 1',
      'sluice; fwd=uri-miss; fwd-status=200; stored; ttl=60',
    ])
    const second = await client.ask()
    expect([second.text, status(second), value(second.headers, 'age')]).toEqual([
      'page 1',
      'sluice; hit; ttl=60',
      '0',
    ])
    expect((await client.ask({ path: '/other' })).text).toBe('page 2')
  })

  it('gives nobody the page of another where the app says nothing but an ETag', async () => {
    const handler: Handler = (req, res) => {
      res.setHeader('ETag', `W/"${req.headers.cookie}"`)
      res.end(`account of ${req.headers.cookie}`)
    }
    const { client } = await serve(place, connectCache({ staleWhileRevalidate: '60s' }), handler)
    for (const [who, ...more] of [['alice'], ['bob'], ['mallory', 'Cache-Control', 'max-stale']])
      expect((await client.ask({ headers: ['Cookie', who as string, ...more] })).text).toBe(
        `account of ${who}`,
      )
  })

  it('answers conditions, ranges, HEAD and only-if-cached by itself', async () => {
    const { handler } = pages({ 'Cache-Control': 'max-age=60', ETag: '"1"' })
    const { client } = await serve(place, connectCache(), handler)
    const missed = await client.ask({ headers: ['If-None-Match', '"1"', 'Range', 'bytes=0-3'] })
    expect([missed.status, missed.body.length]).toEqual([304, 0])
    const part = await client.ask({ headers: ['Range', 'bytes=0-3'] })
    expect([part.status, part.text, value(part.headers, 'content-range')]).toEqual([
      206,
      'page',
      'bytes 0-3/6',
    ])
    expect((await client.ask({ headers: ['If-None-Match', '"1"'] })).status).toBe(304)
    const head = await client.ask({ method: 'HEAD' })
    expect([head.status, head.body.length, value(head.headers, 'content-length')]).toEqual([200, 0, '6'])
    const none = await client.ask({ path: '/none', headers: ['Cache-Control', 'only-if-cached'] })
    expect(none.status).toBe(504)
  })

  it('runs the app once for many who ask at once, and streams to all', async () => {
    const gate = deferred()
    let runs = 0
    const { client } = await serve(place, connectCache(), async (_req, res) => {
      runs++
      res.setHeader('Cache-Control', 'max-age=60')
      res.write('first,')
      await gate.promise
      res.end('last')
    })
    const calls = Array.from({ length: 8 }, () => client.call())
    const answers = await Promise.all(
      calls.map(async (call) => {
        const { body, headers } = await within(call.head, 'a head')
        const answer = { headers, text: '' }
        body.on('data', (chunk: Buffer) => {
          answer.text += chunk.toString()
        })
        return answer
      }),
    )
    await until(() => answers.every(({ text }) => text === 'first,'), 'the first part everywhere')
    gate.resolve()
    await until(() => answers.every(({ text }) => text === 'first,last'), 'the rest everywhere')
    expect(answers.filter((answer) => status(answer).includes('collapsed')).length).toBe(7)
    expect(runs).toBe(1)
  })

  it('serves stale, and runs the app behind the answer', async () => {
    let now = Date.now()
    let runs = 0
    const seen: unknown[] = []
    const { client } = await serve(
      place,
      connectCache({ staleWhileRevalidate: '30s', clock: () => now }),
      (req, res) => {
        seen.push(res.headersSent, res.writableEnded, res.getHeader('age'), req.headers['if-none-match'])
        runs++
        res.setHeader('Cache-Control', 'max-age=60')
        res.setHeader('ETag', `"${runs}"`)
        res.write('page ')
        res.end(String(runs))
      },
    )
    expect((await client.ask()).text).toBe('page 1')
    now += 61_000
    const stale = await client.ask()
    expect([stale.text, status(stale)]).toEqual([
      'page 1',
      'sluice; hit; ttl=-1; detail=stale-while-revalidate',
    ])
    await until(() => runs === 2, 'the run behind it')
    const fresh = await until(async () => {
      const answer = await client.ask()
      return answer.text === 'page 2' && answer
    }, 'the new page')
    expect(status(fresh)).toBe('sluice; hit; ttl=60')
    expect(seen).toEqual([false, false, undefined, undefined, false, false, undefined, '"1"'])
    expect(runs).toBe(2)
  })

  it('goes on with what is stored when the app says 304', async () => {
    let now = Date.now()
    let runs = 0
    const { client } = await serve(place, connectCache({ clock: () => now }), (req, res) => {
      runs++
      res.setHeader('Cache-Control', 'max-age=60')
      res.setHeader('ETag', '"same"')
      if (req.headers['if-none-match'] === '"same"') res.statusCode = 304
      res.end(res.statusCode === 304 ? undefined : 'page')
    })
    await client.ask()
    now += 61_000
    const answer = await client.ask()
    expect([answer.status, answer.text]).toEqual([200, 'page'])
    expect(status(answer)).toBe('sluice; fwd=stale; fwd-status=304; stored; ttl=60')
    expect(runs).toBe(2)
  })

  it.each([
    ['', 'page 1'],
    [', no-cache', '500 Internal Server Error\n'],
  ])('does not hold on to what an app calls another by its 304 (max-age=0%s)', async (more, once) => {
    let runs = 0
    const handler: Handler = (req, res) => {
      runs++
      const known = req.headers['if-none-match']
      res.setHeader('Cache-Control', `max-age=0${more}`)
      res.setHeader('ETag', runs === 1 ? '"1"' : '"2"')
      res.statusCode = known === undefined ? 200 : 304
      res.end(known === undefined ? `page ${runs}` : undefined)
    }
    const { client } = await serve(place, connectCache(), handler)
    const texts: string[] = []
    for (let i = 0; i < 4; i++) texts.push((await client.ask()).text)
    expect([texts, runs]).toEqual([['page 1', once, 'page 3', 'page 3'], 4])
  })

  it('takes every way in which an app may write', async () => {
    const ways: Record<string, Handler> = {
      '/object': (_req, res) =>
        res.writeHead(200, 'Fine', { 'Cache-Control': 'max-age=9', 'X-A': ['1', '2'] }).end('body'),
      '/list': (_req, res) =>
        res.writeHead(200, ['Cache-Control', 'max-age=9', 'X-A', '1', 'X-A', '2']).end('body'),
      '/early': (_req, res) => {
        res.setHeader('Cache-Control', 'max-age=9')
        res.setHeader('X-A', ['1', '2'])
        res.flushHeaders()
        setImmediate(() => res.end('body'))
      },
      '/pipe': (_req, res) => {
        res.setHeader('Cache-Control', 'max-age=9')
        res.setHeader('X-A', ['1', '2'])
        Readable.from([Buffer.from('bo'), Buffer.from('dy')]).pipe(res)
      },
      '/pipeline': async (_req, res) => {
        res.setHeader('Cache-Control', 'max-age=9')
        res.setHeader('X-A', ['1', '2'])
        await pipeline(Readable.from([Buffer.from('bo'), Buffer.from('dy')]), res)
      },
      '/encoded': (_req, res) => {
        res.setHeader('Cache-Control', 'max-age=9')
        res.setHeader('X-A', ['1', '2'])
        res.write('626f', 'hex', () => res.end('ZHk=', 'base64'))
      },
    }
    const { client } = await serve(place, connectCache(), (req, res, next) => {
      const way = ways[req.url as string]
      return way === undefined ? next() : way(req, res, next)
    })
    for (const path of Object.keys(ways)) {
      for (const how of ['stored', 'hit']) {
        const answer = await client.ask({ path })
        expect([path, answer.text, answer.complete]).toEqual([path, 'body', true])
        expect(values(answer.headers, 'x-a').join(', ')).toBe('1, 2')
        expect(status(answer)).toContain(how)
      }
    }
  })

  it('tells an app what it has written: head, end, and that it is over', async () => {
    const told: unknown[] = []
    const { client } = await serve(place, connectCache(), (_req, res) => {
      res.on('finish', () => told.push('finish'))
      res.on('close', () => told.push('close'))
      told.push(res.headersSent, res.writableEnded)
      res.statusCode = 404
      res.write('x')
      told.push(res.headersSent, res.writableEnded, res.statusCode)
      try {
        res.setHeader('X-Late', '1')
      } catch (error) {
        told.push((error as NodeJS.ErrnoException).code)
      }
      res.end()
      told.push(res.writableEnded, res.writableFinished)
    })
    expect((await client.ask()).status).toBe(404)
    await until(() => told.includes('close'), 'close')
    expect(told).toEqual([
      ...[false, false, true, false, 404, 'ERR_HTTP_HEADERS_SENT', true, true, 'finish', 'close'],
    ])
  })

  it("keeps what was set before to each client, and the app's own for all", async () => {
    let count = 0
    const { client } = await serve(
      place,
      (_req, res, next) => {
        count++
        res.setHeader('X-Request', String(count))
        res.setHeader('Set-Cookie', `id=${count}`)
        next()
      },
      connectCache(),
      (_req, res) => {
        res.setHeader('X-Mine', 'all')
        res.setHeader('Cache-Control', 'max-age=60')
        res.setHeader('Set-Cookie', [res.getHeader('Set-Cookie') as string, 'lang=en'].flat())
        res.end('page')
      },
    )
    for (const id of ['1', '2']) {
      const { headers } = await client.ask()
      expect(values(headers, 'x-request')).toEqual([id])
      expect(values(headers, 'x-mine')).toEqual(['all'])
      expect(values(headers, 'set-cookie')).toEqual([`id=${id}`, 'lang=en'])
    }
  })

  it('obeys a no-store that was set before', async () => {
    const { handler } = pages({})
    const { client } = await serve(
      place,
      (_req, res, next) => {
        res.setHeader('Cache-Control', 'no-store')
        next()
      },
      connectCache(),
      handler,
    )
    expect((await client.ask()).text).toBe('page 1')
    const again = await client.ask()
    expect([again.text, status(again)]).toEqual([
      'page 2',
      expect.stringContaining('detail=no-store') as string,
    ])
  })

  it('goes on storing when the client leaves', async () => {
    const gate = deferred()
    const begun = deferred()
    const left = deferred()
    const told: unknown[] = []
    const { client, server } = await serve(
      place,
      (_req, res, next) => {
        res.on('close', () => left.resolve())
        next()
      },
      connectCache(),
      async (_req, res) => {
        res.on('close', () => told.push('close'))
        res.setHeader('Cache-Control', 'max-age=60')
        res.write('a')
        begun.resolve()
        await gate.promise
        told.push(res.destroyed, res.writableEnded, res.writable)
        res.end('b')
        told.push(res.writableEnded)
      },
    )
    expect(server.listening).toBe(true)
    const call: Call = client.call()
    await within(begun.promise, 'the app')
    await within(call.head, 'a head')
    call.abort()
    await within(left.promise, 'the client to leave')
    gate.resolve()
    const answer = await until(async () => {
      const found = await client.ask()
      return status(found).includes('hit') && found
    }, 'a hit')
    expect(answer.text).toBe('ab')
    expect(told).toEqual([false, false, true, true, 'close'])
  })

  it('gives up an answer that stands still once its client has left', async () => {
    const begun = deferred()
    let runs = 0
    const told: string[] = []
    const { client } = await serve(place, connectCache({}, { abandoned: 20 }), (_req, res) => {
      runs++
      res.setHeader('Cache-Control', 'max-age=60')
      res.on('close', () => told.push(`close ${runs}`))
      if (runs > 1) return res.end('whole')
      res.write('a')
      begun.resolve()
      return undefined
    })
    const call = client.call()
    await within(begun.promise, 'the app')
    await within(call.head, 'a head')
    call.abort()
    await until(() => told.includes('close 1'), 'the end of the first answer')
    expect((await client.ask()).text).toBe('whole')
  })

  it('makes an answer of what the framework does with an error, and none of half an answer', async () => {
    const { client } = await serve(place, connectCache({ negative: { 500: '10s' } }), (req, res, next) => {
      if (req.url === '/early') return next(new Error('early'))
      res.setHeader('Cache-Control', 'max-age=60')
      res.write('half')
      return setImmediate(() => next(new Error('late')))
    })
    expect((await client.ask({ path: '/early' })).status).toBe(500)
    expect(status(await client.ask({ path: '/early' }))).toContain('hit')
    // There the framework ends half an answer as if it were whole, also without a cache.
    if (place.http2) return
    for (const _ of [1, 2]) {
      const half = await client
        .call({ path: '/late' })
        .answer()
        .catch(() => undefined)
      expect(half?.complete ?? false).toBe(false)
    }
  })

  it('ends what is for one client alone with that client, also within another', async () => {
    const told = deferred()
    const { client } = await serve(place, connectCache(), connectCache(), (_req, res) => {
      res.setHeader('Cache-Control', 'no-store')
      res.on('close', () => told.resolve())
      res.write('a')
    })
    const call = client.call()
    await within(call.head, 'a head')
    call.abort()
    await within(told.promise, 'close')
  })

  it('ends the exchange of each that stands within another', async () => {
    const ended = channel('sluice:request:end')
    const kinds: string[] = []
    const note = (message: unknown): void => {
      kinds.push((message as { outcome: { kind: string } }).outcome.kind)
    }
    ended.subscribe(note)
    own({ close: () => ended.unsubscribe(note) })
    const { client } = await serve(place, connectCache(), connectCache(), pages().handler)
    await client.ask()
    await until(() => kinds.length === 2, 'two ends')
    expect(kinds).toEqual(['done', 'done'])
  })

  it('takes what a proxy behind it brings: trailers, and what breaks off', async () => {
    const origin = own(
      await originServer((req, res) => {
        res.writeHead(200, { 'Cache-Control': 'max-age=60', Trailer: 'X-Sum' })
        res.write('body')
        if (req.url === '/broken') return setImmediate(() => res.destroy())
        res.addTrailers({ 'X-Sum': '4' })
        return res.end()
      }),
    )
    const proxy = own(createProxy(origin.url))
    const { client } = await serve(place, connectCache({}, { abandoned: 0 }), proxy.listener)
    for (const how of ['stored', 'hit']) {
      const answer = await client.ask()
      expect([answer.text, status(answer)]).toEqual(['body', expect.stringContaining(how) as string])
      expect(value(answer.trailers, 'x-sum')).toBe('4')
    }
    for (const _ of [1, 2]) {
      const broken = await client.ask({ path: '/broken' })
      expect([broken.complete, status(broken)]).toEqual([
        false,
        expect.stringContaining('uri-miss') as string,
      ])
    }
    expect(origin.requests.length).toBe(3)
  })

  it('lets middlewares behind it see the head, whoever makes it', async () => {
    const { client } = await serve(
      place,
      connectCache(),
      (_req, res: ServerResponse, next) => {
        const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => ServerResponse
        res.writeHead = ((...args: unknown[]) => {
          res.setHeader('X-Seen', String(args[0]))
          return writeHead(...args)
        }) as typeof res.writeHead
        next()
      },
      (_req, res) => {
        res.statusCode = 203
        res.setHeader('Cache-Control', 'max-age=60')
        res.write('a')
        res.end('b')
      },
    )
    for (const _ of [1, 2]) {
      const answer = await client.ask()
      expect([answer.status, answer.text, values(answer.headers, 'x-seen')]).toEqual([203, 'ab', ['203']])
    }
  })

  it('runs the app behind a stale answer when that has gone out', async () => {
    let now = Date.now()
    const order: string[] = []
    const { client } = await serve(
      place,
      (_req, res, next) => {
        res.on('finish', () => order.push('finish'))
        next()
      },
      connectCache({ staleWhileRevalidate: '30s', clock: () => now }),
      (_req, res) => {
        order.push('run')
        res.setHeader('Cache-Control', 'max-age=60')
        res.end('page')
      },
    )
    await client.ask()
    now += 61_000
    await client.ask()
    await until(() => order.length === 4, 'the run behind it')
    expect(order).toEqual(['run', 'finish', 'finish', 'run'])
  })

  it('takes from the request what the cache answers, and leaves the rest', async () => {
    const seen: string[][] = []
    const { client } = await serve(place, connectCache(), (req: IncomingMessage, res: ServerResponse) => {
      seen.push(req.rawHeaders.filter((_, i) => /^(x-|if-|range)/i.test(req.rawHeaders[i & ~1] as string)))
      expect(req.headers.range).toBeUndefined()
      expect(req.headers['x-a']).toBe('1')
      res.end('page')
    })
    const headers = [
      'Range',
      'bytes=0-1',
      'If-None-Match',
      '"1"',
      'X-A',
      '1',
      'X-Forwarded-Host',
      'a',
      'X-B',
      '2',
    ]
    await client.ask({ headers: headers.slice(2) })
    const [raw = []] = seen
    expect(raw.map((text) => text.toLowerCase())).toEqual(['x-a', '1', 'x-b', '2'])
  })

  it('cuts off all who read an answer that fails, and runs the app again for the next', async () => {
    const fails: ((error: Error) => void)[] = []
    let runs = 0
    const half: Handler = (_req, res, next) => {
      runs++
      res.setHeader('Cache-Control', 'max-age=60')
      if (runs > 1) return res.end('whole')
      res.write('half')
      return fails.push(next)
    }
    const { client } = await serve(place, connectCache({}, { abandoned: 0 }), half)
    const calls = [client.call(), client.call(), client.call()]
    for (const call of calls) await within(call.head, 'a head')
    fails[0]?.(new Error('late'))
    // On HTTP/2 the framework ends the stream of the first in a way that looks whole, as it does without a cache.
    for (const call of calls.slice(place.http2 ? 1 : 0)) expect((await call.answer()).complete).toBe(false)
    expect((await client.ask()).text).toBe('whole')
    expect(runs).toBe(2)
  })

  it('has two of them, one within the other', async () => {
    const { handler } = pages()
    const inner = createCache({ statusName: 'inner' })
    const outer = createCache({ statusName: 'outer' })
    const { client } = await serve(place, connectCache(outer), connectCache(inner), handler)
    expect((await client.ask()).text).toBe('page 1')
    const hit = await client.ask()
    expect(hit.text).toBe('page 1')
    expect(values(hit.headers, 'cache-status').join(', ')).toContain('outer; hit')
    const url = `http://127.0.0.1:${hit.headers.length > 0 ? (client as unknown as { options: { port: number } }).options.port : 0}/`
    expect(await outer.purge({ url })).toBe(1)
    const below = await client.ask()
    expect([below.text, values(below.headers, 'cache-status').join(', ')]).toEqual([
      'page 1',
      expect.stringMatching(/inner; hit.*outer; fwd=uri-miss/) as string,
    ])
    expect(await inner.purge({ url })).toBe(1)
    expect(await outer.purge({ url })).toBe(1)
    expect((await client.ask()).text).toBe('page 2')
  })

  it('leaves nothing open', async () => {
    const leaks = leakCheck()
    const mounted = await serve(place, connectCache(), pages().handler)
    for (const path of ['/', '/', '/a']) await mounted.client.ask({ path })
    await mounted.close()
    await leaks.settled()
  })
})

describe('connectCache', () => {
  const start = (options: CacheOptions, ...middlewares: AnyMiddleware[]): Promise<Mounted> =>
    serve(express5, connectCache(options), ...middlewares)

  it('takes what Express sends', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
    own({ close: () => rmSync(folder, { recursive: true }) })
    writeFileSync(join(folder, 'file.txt'), 'a file')
    const app = express()
    let runs = 0
    app.use(connectCache())
    app.use((_req, res, next) => {
      runs++
      res.set('Cache-Control', 'public, max-age=60')
      next()
    })
    app.get('/json', (_req, res) => void res.json({ a: 1 }))
    app.get('/send', (_req, res) => void res.send('text'))
    app.get('/redirect', (_req, res) => res.redirect(301, '/json'))
    app.get('/nothing', (_req, res) => void res.sendStatus(204))
    app.get('/file', (_req, res) => res.sendFile(join(folder, 'file.txt')))
    app.use('/static', express.static(folder, { maxAge: 60_000 }))
    const { client } = own(await listen(createServer(app)))
    for (const how of ['stored', 'hit']) {
      const json = await client.ask({ path: '/json' })
      expect([json.text, value(json.headers, 'content-type')]).toEqual([
        '{"a":1}',
        'application/json; charset=utf-8',
      ])
      expect(status(json)).toContain(how)
      expect((await client.ask({ path: '/send' })).text).toBe('text')
      const to = await client.ask({ path: '/redirect' })
      expect([to.status, value(to.headers, 'location')]).toEqual([301, '/json'])
      const nothing = await client.ask({ path: '/nothing' })
      expect([nothing.status, nothing.body.length]).toEqual([204, 0])
      expect((await client.ask({ path: '/file' })).text).toBe('a file')
      const served = await client.ask({ path: '/static/file.txt' })
      expect([served.text, status(served)]).toEqual(['a file', expect.stringContaining(how) as string])
    }
    expect(runs).toBe(6)
    const { headers } = await client.ask({ path: '/send' })
    const again = await client.ask({
      path: '/send',
      headers: ['If-None-Match', value(headers, 'etag') as string],
    })
    expect(again.status).toBe(304)
  })

  it('has the public URL in its key, below any mount path', async () => {
    const app = express()
    const cache = createCache()
    let runs = 0
    const router = express.Router()
    router.use(connectCache(cache))
    router.get('/page', (req, res) => {
      runs++
      res.set('Cache-Control', 'max-age=60').send(`${req.baseUrl} ${req.url} ${req.originalUrl} ${runs}`)
    })
    app.use('/a', router)
    app.use('/b', router)
    const { client, port } = own(await listen(createServer(app)))
    for (const _ of [1, 2]) {
      expect((await client.ask({ path: '/a/page?x=1' })).text).toBe('/a /page?x=1 /a/page?x=1 1')
    }
    expect((await client.ask({ path: '/b/page?x=1' })).text).toBe('/b /page?x=1 /b/page?x=1 2')
    expect(await cache.purge({ url: `http://127.0.0.1:${port}/a/page?x=1` })).toBe(1)
    expect((await client.ask({ path: '/a/page?x=1' })).text).toBe('/a /page?x=1 /a/page?x=1 3')
  })

  it('drops what an unsafe method has changed, and leaves its body to the app', async () => {
    const app = express()
    app.use(express.json())
    app.use(connectCache())
    let text = 'old'
    app.get('/', (_req, res) => void res.set('Cache-Control', 'max-age=60').send(text))
    app.post('/', (req, res) => {
      text = (req.body as { text: string }).text
      res.sendStatus(204)
    })
    const { client } = own(await listen(createServer(app)))
    expect((await client.ask()).text).toBe('old')
    const headers = ['Content-Type', 'application/json']
    expect((await client.ask({ method: 'POST', headers, body: '{"text":"new"}' })).status).toBe(204)
    expect((await client.ask()).text).toBe('new')
  })

  it('hands an upload to the app as it comes', async () => {
    const { client } = await start({}, async (req: IncomingMessage, res: ServerResponse) => {
      let bytes = 0
      for await (const part of req) bytes += (part as Buffer).length
      res.end(String(bytes))
    })
    expect((await client.ask({ method: 'POST', body: 'x'.repeat(300_000), chunked: true })).text).toBe(
      '300000',
    )
  })

  it.each([
    ['outside', true],
    ['inside', false],
  ])('stands with compression %s', async (_, outside) => {
    const text = 'compress me, '.repeat(500)
    const app = express()
    if (outside) app.use(compression({ threshold: 0 }))
    app.use(connectCache())
    if (!outside) app.use(compression({ threshold: 0 }))
    let runs = 0
    app.get('/', (_req, res) => {
      runs++
      res.set('Cache-Control', 'max-age=60')
      res.type('text/plain')
      res.write(text)
      res.end(text)
    })
    const { client } = own(await listen(createServer(app)))
    for (const _ of [1, 2]) {
      const coded = await client.ask({ headers: ['Accept-Encoding', 'gzip'] })
      expect(value(coded.headers, 'content-encoding')).toBe('gzip')
      expect(gunzipSync(coded.body).toString()).toBe(text + text)
      const plain = await client.ask()
      expect(value(plain.headers, 'content-encoding')).toBeUndefined()
      expect(plain.text).toBe(text + text)
    }
    // What is coded inside varies; outside one answer serves both.
    expect(runs).toBe(outside ? 1 : 2)
  })

  it('stands behind sessions, logs and helmet', async () => {
    const lines: string[] = []
    const app = express()
    app.use(helmet())
    app.use(morgan(':status :res[content-length]', { stream: { write: (line) => void lines.push(line) } }))
    app.use(session({ secret: 'keyboard', resave: false, saveUninitialized: true }))
    app.use(connectCache())
    app.get('/', (_req, res) => void res.set('Cache-Control', 'max-age=60').send('page'))
    const { client } = own(await listen(createServer(app)))
    const cookies = new Set<string>()
    for (const _ of [1, 2, 3]) {
      const answer = await client.ask()
      expect([answer.status, answer.text]).toEqual([200, 'page'])
      expect(value(answer.headers, 'x-content-type-options')).toBe('nosniff')
      const found = values(answer.headers, 'set-cookie')
      expect(found.length).toBe(1)
      cookies.add(found[0] as string)
    }
    // Each client has a session of its own.
    expect(cookies.size).toBe(3)
    await until(() => lines.length === 3, 'three lines')
    expect(lines).toEqual(['200 4\n', '200 4\n', '200 4\n'])
  })

  it('stores nothing of a session that begins behind it, unless its lifetime is said', async () => {
    const app = express()
    app.use(connectCache({ setCookie: 'never' }))
    app.use(session({ secret: 'keyboard', resave: false, saveUninitialized: true }))
    let runs = 0
    app.get('/', (_req, res) => {
      runs++
      res.set('Cache-Control', 'max-age=60').send('page')
    })
    const { client } = own(await listen(createServer(app)))
    const cookies = new Set<string>()
    for (const _ of [1, 2]) {
      const answer = await client.ask()
      expect(status(answer)).toContain('set-cookie')
      cookies.add(value(answer.headers, 'set-cookie') as string)
    }
    expect([runs, cookies.size]).toEqual([2, 2])
  })

  it("takes nothing from one client's forwarding fields, and all that a trusted proxy says", async () => {
    for (const trust of [false, true]) {
      const app = express()
      app.set('trust proxy', trust)
      app.use(connectCache())
      app.get('/', (req, res) => {
        res.set('Cache-Control', 'max-age=60')
        res.send(`${req.protocol}://${req.hostname} ${String(req.headers['x-forwarded-host'])}`)
      })
      const { client } = own(await listen(createServer(app)))
      const headers = ['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'other.example']
      const told = await client.ask({ headers })
      const plain = await client.ask()
      expect(told.text).toBe(trust ? 'https://other.example other.example' : 'http://127.0.0.1 undefined')
      expect(plain.text).toBe('http://127.0.0.1 undefined')
      expect(status(plain)).toContain(trust ? 'uri-miss' : 'hit')
    }
  })

  it('holds the app to the pace of the slowest who reads, where nothing is stored', async () => {
    const part = Buffer.alloc(64 * 1024, 'x')
    let written = 0
    let stopped = false
    const { port } = await start({}, async (_req: IncomingMessage, res: ServerResponse) => {
      res.setHeader('Cache-Control', 'no-store')
      for (let i = 0; i < 150; i++) {
        written += part.length
        if (!res.write(part)) {
          stopped = true
          await once(res, 'drain')
        }
      }
      res.end()
    })
    const client = own(await rawClient(port))
    client.socket.pause()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => stopped, 'backpressure')
    expect(await atRest(() => written)).toBeLessThan(150 * part.length)
    client.socket.resume()
    await until(() => written === 150 * part.length, 'the rest')
  })

  it('serves requests in a pipeline in their order', async () => {
    const { handler } = pages()
    const { port } = await start({}, handler as AnyMiddleware)
    const client = own(await rawClient(port))
    const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
    client.write(get('/a') + get('/a') + get('/b') + get('/a'))
    const answers = await client.responses(4)
    expect(answers.map(({ body }) => body.toString())).toEqual(['page 1', 'page 1', 'page 2', 'page 1'])
  })

  it('passes on trailers and early hints, and stores the former', async () => {
    const { client, port } = await start({ clock: still() }, (_req: IncomingMessage, res: ServerResponse) => {
      res.writeEarlyHints({ link: '</a.css>; rel=preload' })
      res.writeHead(200, { 'Cache-Control': 'max-age=60', Trailer: 'X-Sum' })
      res.write('body')
      res.addTrailers({ 'X-Sum': '4' })
      res.end()
    })
    expect(port).toBeGreaterThan(0)
    const call = client.call()
    const first = await call.answer()
    expect(call.informed).toEqual([{ status: 103, headers: ['link', '</a.css>; rel=preload'] }])
    expect(first.trailers).toEqual(['X-Sum', '4'])
    const second = await client.ask()
    expect([second.text, second.trailers, status(second)]).toEqual([
      'body',
      ['X-Sum', '4'],
      'sluice; hit; ttl=60',
    ])
  })

  it('has pages whose app destroys the response answered with an error', async () => {
    const { client } = await start({}, (_req: IncomingMessage, res: ServerResponse) => void res.destroy())
    expect((await client.ask()).status).toBe(500)
  })

  it('stands before a proxy, which sends what the cache wants to know', async () => {
    let now = Date.now()
    const asked: (string | undefined)[] = []
    const origin = own(
      await originServer((req, res) => {
        asked.push(req.headers['if-none-match'])
        const known = req.headers['if-none-match'] === '"o"'
        const date = new Date(now).toUTCString()
        res.writeHead(known ? 304 : 200, { 'Cache-Control': 'max-age=60', ETag: '"o"', Date: date })
        res.end(known ? undefined : 'origin')
      }),
    )
    const proxy = own(createProxy(origin.url))
    const { client } = await start({ clock: () => now, staleWhileRevalidate: '1m' }, proxy.listener)
    const headers = ['If-None-Match', '"mine"']
    for (let i = 0; i < 2; i++) expect((await client.ask({ headers })).text).toBe('origin')
    now += 65_000
    expect(status(await client.ask({ headers }))).toContain('stale-while-revalidate')
    await until(async () => /hit; ttl=\d+$/.test(status(await client.ask({ headers }))), 'a fresh one')
    expect(asked).toEqual([undefined, '"o"'])
  })

  it('goes by what the router decides', async () => {
    const app = express()
    app.use(connectCache())
    app.get('/', (_req, _res, next) => next('route'))
    app.get('/', (_req, res, next) => {
      res.set('Cache-Control', 'max-age=60')
      next()
    })
    app.get('/', (_req, res) => void res.send('last'))
    const { client } = own(await listen(createServer(app)))
    for (const how of ['stored', 'hit']) {
      const answer = await client.ask()
      expect([answer.text, status(answer)]).toEqual(['last', expect.stringContaining(how) as string])
    }
  })

  it('goes on with compression that stands inside, behind a stale answer', async () => {
    let now = Date.now()
    let runs = 0
    const app = express()
    app.use(connectCache({ clock: () => now, staleWhileRevalidate: '1m' }))
    app.use(compression({ threshold: 0 }))
    app.get('/', (_req, res) => {
      runs++
      res.set('Cache-Control', 'max-age=60')
      res.type('text/plain')
      res.write(`page ${runs} `)
      setImmediate(() => res.end('x'.repeat(5000)))
    })
    const { client } = own(await listen(createServer(app)))
    const headers = ['Accept-Encoding', 'gzip']
    const get = async (): Promise<string> =>
      gunzipSync((await client.ask({ headers })).body)
        .toString()
        .slice(0, 6)
    expect(await get()).toBe('page 1')
    now += 61_000
    expect(await get()).toBe('page 1')
    await until(async () => (await get()) === 'page 2', 'the new page')
    expect(runs).toBe(2)
  })

  it('serves no half of a file whose client has left', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
    own({ close: () => rmSync(folder, { recursive: true }) })
    const bytes = Buffer.alloc(4_000_000, 'abcdefgh')
    writeFileSync(join(folder, 'file.txt'), bytes)
    const { client, port } = await serve(
      express5,
      connectCache({}, { abandoned: 20 }),
      express.static(folder, { maxAge: 60_000 }) as AnyMiddleware,
    )
    const leaving = own(await rawClient(port))
    leaving.write('GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n')
    await leaving.until('abcdefgh')
    leaving.reset()
    for (const _ of [1, 2]) {
      const answer = await until(async () => {
        const one = await client.ask({ path: '/file.txt' })
        return one.complete && one
      }, 'the whole file')
      expect(answer.body.equals(bytes)).toBe(true)
    }
  })

  it('keeps an answer for a client that leaves while nothing has come', async () => {
    const begun = deferred()
    const left = deferred()
    const gate = deferred()
    const { client } = await serve(
      express5,
      (_req, res, next) => {
        res.on('close', () => left.resolve())
        next()
      },
      connectCache(),
      async (_req, res) => {
        begun.resolve()
        await gate.promise
        res.set('Cache-Control', 'max-age=60').send('kept')
      },
    )
    const call = client.call()
    await within(begun.promise, 'the app')
    call.abort()
    await within(left.promise, 'the client to leave')
    const waiting = client.ask()
    gate.resolve()
    const answer = await waiting
    expect(answer.text).toBe('kept')
    expect(status(answer)).toMatch(/collapsed|hit/)
  })

  it('gives each client the type that Express chooses by the order it asks in', async () => {
    const { client } = await start({}, (_req, res) => {
      res.set('Cache-Control', 'max-age=60')
      res.format({ json: () => res.send('json'), html: () => res.send('html') })
    })
    for (const _ of ['stored', 'hit'])
      for (const [accept, type] of [
        ['text/html, application/json', 'html'],
        ['application/json, text/html', 'json'],
      ])
        expect((await client.ask({ headers: ['Accept', accept as string] })).text).toBe(type)
  })

  it('gives each client the language that Express chooses by the order it asks in', async () => {
    const { client } = await start({}, (req, res) => {
      res.set('Cache-Control', 'max-age=60').vary('Accept-Language')
      res.send(req.acceptsLanguages('en', 'fr'))
    })
    for (const _ of ['stored', 'hit'])
      for (const [language, first] of [
        ['fr, en', 'fr'],
        ['en, fr', 'en'],
      ])
        expect((await client.ask({ headers: ['Accept-Language', language as string] })).text).toBe(first)
  })

  it('names a wrong option', () => {
    expect(() => connectCache({ maxSize: 'many' as never })).toThrow(/cache\.maxSize/)
    expect(() => connectCache({}, { abandoned: 'long' as never })).toThrow(/abandoned/)
  })
})
