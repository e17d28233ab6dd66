import { execFile } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { deadTarget } from '../../../test/kit/dead-target.js'
import { leakCheck } from '../../../test/kit/leak-check.js'
import { type Origin, originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { rawOrigin } from '../../../test/kit/raw-origin.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { atRest, deferred, until, within } from '../../../test/kit/until.js'
import { cachedFetch } from './cached-fetch.js'
import { createCache } from './create-cache.js'
import type { Fetch } from './fetch-call.js'

trapUnhandled()
const own = owner()

const status = (response: Response): string => response.headers.get('cache-status') ?? ''

/** An origin that counts what it is asked. */
async function counting(
  answer: (n: number, req: IncomingMessage, res: ServerResponse) => unknown,
): Promise<{ origin: Origin; url: string; asked(): number }> {
  let n = 0
  const origin = own(await originServer((req, res) => void answer(++n, req, res)))
  return { origin, url: `${origin.url}/`, asked: () => n }
}

const page = (n: number, res: ServerResponse): void => {
  res.setHeader('Cache-Control', 'max-age=60')
  res.setHeader('ETag', `"${n}"`)
  res.end(`page ${n}`)
}

describe('cachedFetch', () => {
  it.each([undefined, null, {}, 'https://example.com/', { fetch }])(
    'of %j is a TypeError that says so',
    (given) => {
      expect(() => cachedFetch(given as never)).toThrow(TypeError)
      expect(() => cachedFetch(given as never)).toThrow(
        /^cachedFetch: got .+, takes a function such as fetch$/,
      )
    },
  )

  it('answers again what it has fetched, for strings, URLs and requests', async () => {
    const { url, asked } = await counting((n, _req, res) => page(n, res))
    const now = Date.now()
    const cached = cachedFetch(fetch, { clock: () => now })
    const first = await cached(url)
    expect([first.status, first.statusText, first.ok, first.url, first.redirected]).toEqual([
      ...[200, 'OK', true, url, false],
    ])
    expect([await first.text(), status(first)]).toEqual([
      'page 1',
      'sluice; fwd=uri-miss; fwd-status=200; stored; ttl=60',
    ])
    for (const input of [url, new URL(`${url}#part`), new Request(url)]) {
      const again = await cached(input)
      expect([await again.text(), status(again), again.url]).toEqual(['page 1', 'sluice; hit; ttl=60', url])
    }
    expect(asked()).toBe(1)
  })

  it.each([
    ['no-store', 'page 2', 2],
    ['reload', 'page 2', 2],
    ['no-cache', 'page 1', 2],
    ['force-cache', 'page 1', 1],
    ['only-if-cached', 'page 1', 1],
    ['default', 'page 1', 1],
  ] as const)('knows the mode %s', async (mode, text, times) => {
    const { url, asked } = await counting((n, req, res) => {
      if (n > 1 && req.headers['if-none-match'] === '"1"') res.writeHead(304, { ETag: '"1"' }).end()
      else page(n, res)
    })
    const cached = cachedFetch(fetch)
    await (await cached(url)).text()
    const response = await cached(url, { cache: mode } as RequestInit)
    expect([await response.text(), asked()]).toEqual([text, times])
    // What was brought anew is there for all.
    const after = await (await cached(url)).text()
    expect(after).toBe(mode === 'reload' ? 'page 2' : 'page 1')
  })

  it('takes what is stale where that is asked for, and rejects where nothing else would do', async () => {
    let now = Date.now()
    const { url, asked } = await counting((n, _req, res) => page(n, res))
    const cached = cachedFetch(fetch, { clock: () => now })
    await (await cached(url)).text()
    now += 100_000
    const stale = await cached(new Request(url, { cache: 'force-cache' } as RequestInit))
    expect([await stale.text(), asked()]).toEqual(['page 1', 1])
    await expect(cached(`${url}none`, { cache: 'only-if-cached' } as RequestInit)).rejects.toThrow(TypeError)
    const told = await cached(`${url}none`, { headers: { 'Cache-Control': 'only-if-cached' } })
    expect(told.status).toBe(504)
    expect(asked()).toBe(1)
  })

  it('fetches once for many, and streams to all', async () => {
    const gate = deferred()
    const { url, asked } = await counting(async (_n, _req, res) => {
      res.setHeader('Cache-Control', 'max-age=60')
      res.write('first,')
      await gate.promise
      res.end('last')
    })
    const cached = cachedFetch(fetch)
    const responses = await within(Promise.all([1, 2, 3, 4].map(() => cached(url))), 'heads')
    const readers = responses.map(({ body }) => (body as ReadableStream<Uint8Array>).getReader())
    for (const reader of readers) {
      const { value } = await within(reader.read(), 'the first part')
      expect(Buffer.from(value as Uint8Array).toString()).toBe('first,')
      // It is the reader's own: what it does to it is nobody else's business.
      value?.fill(0)
    }
    gate.resolve()
    for (const reader of readers) {
      const { value } = await within(reader.read(), 'the rest')
      expect(Buffer.from(value as Uint8Array).toString()).toBe('last')
      expect((await reader.read()).done).toBe(true)
    }
    expect(await (await cached(url)).text()).toBe('first,last')
    expect(asked()).toBe(1)
  })

  it("lets one caller's signal end that caller alone, before the head and after", async () => {
    const gate = deferred()
    const half = deferred()
    const { url, asked } = await counting(async (_n, _req, res) => {
      await gate.promise
      res.setHeader('Cache-Control', 'max-age=60')
      res.write('a')
      await half.promise
      res.end('b')
    })
    const cached = cachedFetch(fetch)
    const reason = new Error('left')
    expect(await cached(url, { signal: AbortSignal.abort(reason) }).catch((error: unknown) => error)).toBe(
      reason,
    )
    const leaving = new AbortController()
    const left = cached(url, { signal: leaving.signal })
    const leavingLater = new AbortController()
    const later = cached(url, { signal: leavingLater.signal })
    const staying = cached(url)
    await until(() => asked() === 1, 'the origin')
    leaving.abort(reason)
    expect(await left.catch((error: unknown) => error)).toBe(reason)
    gate.resolve()
    const response = await within(later, 'a head')
    leavingLater.abort(reason)
    expect(await response.text().catch((error: unknown) => error)).toBe(reason)
    half.resolve()
    expect(await (await staying).text()).toBe('ab')
    expect(asked()).toBe(1)
  })

  it('ends a fetch that is for its caller alone with that caller', async () => {
    const begun = deferred()
    const closed = deferred()
    const { url } = await counting((_n, _req, res) => {
      begun.resolve()
      res.on('close', () => closed.resolve())
    })
    const leaving = new AbortController()
    const left = cachedFetch(fetch)(url, { method: 'POST', signal: leaving.signal }).catch(
      (error: unknown) => error,
    )
    await within(begun.promise, 'the origin')
    leaving.abort(new Error('left'))
    await within(closed.promise, 'the end of the connection')
    expect(String(await left)).toBe('Error: left')
  })

  it('stores each step of redirects, and tells where the answer is from', async () => {
    const seen: string[] = []
    const other = own(
      await originServer((req, res) => {
        seen.push(`other ${req.url} ${String(req.headers.authorization)} ${String(req.headers['x-mine'])}`)
        res.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('there')
      }),
    )
    const { url } = await counting((_n, req, res) => {
      seen.push(`first ${req.url}`)
      const to = req.url === '/' ? '/next' : `${other.url}/end`
      res.writeHead(302, {
        'Cache-Control': req.url === '/' ? 'public, max-age=60' : 'no-store',
        Location: to,
      })
      res.end('moved')
    })
    const cached = cachedFetch(fetch)
    const init = { headers: { Authorization: 'Basic eDp5', 'X-Mine': '1' } }
    for (const _ of [1, 2]) {
      const response = await cached(url, init)
      expect([await response.text(), response.redirected, response.url]).toEqual([
        ...['there', true, `${other.url}/end`],
      ])
    }
    expect(seen).toEqual(['first /', 'first /next', 'other /end undefined 1', 'first /next'])
    const manual = await cached(url, { ...init, redirect: 'manual' })
    expect([manual.status, manual.headers.get('location'), await manual.text()]).toEqual([
      302,
      '/next',
      'moved',
    ])
    await expect(cached(url, { ...init, redirect: 'error' })).rejects.toThrow(TypeError)
  })

  it.each([303, 307])(
    'keeps for no URL what a POST has found behind a %i, and drops what it has changed',
    async (kind) => {
      const other = own(
        await originServer((req, res) => {
          // It would say so of a page that isn't its own.
          res.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Location': `${url}page` })
          res.end(req.method === 'POST' ? 'posted' : 'theirs')
        }),
      )
      const { url } = await counting((n, req, res) => {
        if (req.method !== 'POST') page(n, res)
        else res.writeHead(kind, { Location: `${other.url}/there` }).end()
      })
      const cached = cachedFetch(fetch)
      const text = async (at: string) => await (await cached(at)).text()
      expect([await text(`${url}page`), await text(`${other.url}/there`)]).toEqual(['page 1', 'theirs'])
      const response = await cached(`${url}page`, { method: 'POST', body: 'x' })
      expect([response.url, response.redirected, await response.text()]).toEqual([
        ...[`${other.url}/there`, true, kind === 303 ? 'theirs' : 'posted'],
      ])
      expect(await text(`${url}page`)).toBe('page 3')
      expect(await text(`${other.url}/there`)).toBe('theirs')
      expect(other.requests).toHaveLength(3)
    },
  )

  it('rejects a GET with a body, as fetch does', async () => {
    const { url, asked } = await counting((n, _req, res) => page(n, res))
    const cached = cachedFetch(fetch)
    await expect(cached(url, { method: 'GET', body: 'x' })).rejects.toThrow(TypeError)
    expect(asked()).toBe(0)
  })

  it('gives up redirects that go in a circle', async () => {
    const { url, asked } = await counting((_n, _req, res) => void res.writeHead(302, { Location: '/' }).end())
    await expect(cachedFetch(fetch)(url)).rejects.toThrow('fetch failed')
    expect(asked()).toBe(21)
  })

  it('stores bodies as fetch decodes them', async () => {
    const { url, asked } = await counting((_n, _req, res) => {
      const coded = gzipSync('plain text')
      res.writeHead(200, {
        'Cache-Control': 'max-age=60',
        'Content-Encoding': 'gzip',
        'Content-Length': coded.length,
        Vary: 'Accept-Encoding',
      })
      res.end(coded)
    })
    const cached = cachedFetch(fetch)
    for (const _ of [1, 2]) {
      const response = await cached(url)
      expect(response.headers.get('content-encoding')).toBeNull()
      expect(await response.text()).toBe('plain text')
    }
    const part = await cached(url, { headers: { Range: 'bytes=0-4' } })
    expect([part.status, await part.text()]).toEqual([206, 'plain'])
    expect(asked()).toBe(1)
  })

  it('rejects as fetch does, and serves stale instead where it may', async () => {
    const target = own(await deadTarget())
    const cached = cachedFetch(fetch)
    const theirs = (await fetch(target.url).catch((error: unknown) => error)) as TypeError
    const ours = (await cached(target.url).catch((error: unknown) => error)) as TypeError
    expect(ours).toBeInstanceOf(TypeError)
    expect([ours.message, (ours.cause as { code: string }).code]).toEqual([
      theirs.message,
      (theirs.cause as { code: string }).code,
    ])

    let now = Date.now()
    const failure = new TypeError('fetch failed')
    let failing = false
    const flaky: Fetch = async () => {
      if (failing) throw failure
      return new Response('kept', { headers: { 'Cache-Control': 'max-age=60' } })
    }
    const kept = cachedFetch(flaky, { clock: () => now })
    await (await kept('http://a.example/')).text()
    failing = true
    now += 120_000
    const stale = await kept('http://a.example/')
    expect([await stale.text(), status(stale)]).toEqual([
      'kept',
      expect.stringContaining('detail=stale-if-error') as string,
    ])
    expect(await kept('http://a.example/other').catch((error: unknown) => error)).toBe(failure)
  })

  it('stores no body that breaks off', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf',
        )
        connection.end()
      }),
    )
    const cached = cachedFetch(fetch)
    for (const _ of [1, 2]) {
      const response = await cached(`${origin.url}/`)
      expect(status(response)).toContain('fwd=uri-miss')
      await expect(response.text()).rejects.toThrow(TypeError)
    }
  })

  it('drops what an unsafe method has changed, and sends its body on', async () => {
    let text = 'old'
    const { url, asked } = await counting(async (_n, req, res) => {
      if (req.method === 'POST') {
        text = ''
        for await (const part of req) text += String(part)
        return res.writeHead(204).end()
      }
      return res.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(text)
    })
    const cached = cachedFetch(fetch)
    expect(await (await cached(url)).text()).toBe('old')
    const posted = await cached(new Request(url, { method: 'POST', body: 'new' }))
    expect([posted.status, posted.body]).toEqual([204, null])
    expect(await (await cached(url)).text()).toBe('new')
    const stream = new Blob(['newer']).stream()
    await cached(url, { method: 'post', body: stream, duplex: 'half' } as RequestInit)
    expect(await (await cached(url)).text()).toBe('newer')
    expect(asked()).toBe(5)
  })

  it('answers HEAD, and shares a cache that is purged by tag', async () => {
    const { url, asked } = await counting((n, _req, res) => {
      res.writeHead(200, { 'Cache-Control': 'max-age=60', 'Cache-Tag': 'shop' }).end(`page ${n}`)
    })
    const cache = createCache()
    const cached = cachedFetch(fetch, cache)
    await (await cached(url)).text()
    const head = await cached(url, { method: 'HEAD' })
    expect([head.status, head.body, head.headers.get('content-length'), asked()]).toEqual([200, null, '6', 1])
    expect(await cache.purge({ tag: 'shop' })).toBe(1)
    expect(await (await cached(url)).text()).toBe('page 2')
  })

  it('lets what is no business of a cache pass by', async () => {
    const { url, asked } = await counting((n, _req, res) => page(n, res))
    const cached = cachedFetch(fetch)
    expect(await (await cached('data:text/plain,hello')).text()).toBe('hello')
    await expect(cached('http://a:b@127.0.0.1/')).rejects.toThrow(TypeError)
    await expect(cached('no url')).rejects.toThrow(TypeError)
    await expect(cached(url, { integrity: 'sha256-AAAA' })).rejects.toThrow(TypeError)
    expect(asked()).toBe(1)
  })

  it('reads no faster than its caller, where nothing is stored', async () => {
    const part = Buffer.alloc(64 * 1024, 'x')
    let written = 0
    let stopped = false
    const { url } = await counting(async (_n, _req, res) => {
      res.setHeader('Cache-Control', 'no-store')
      for (let i = 0; i < 400; i++) {
        written += part.length
        if (!res.write(part)) {
          stopped = true
          await once(res, 'drain')
        }
      }
      res.end()
    })
    const response = await cachedFetch(fetch)(url)
    await until(() => stopped, 'backpressure')
    expect(await atRest(() => written)).toBeLessThan(400 * part.length)
    expect((await response.arrayBuffer()).byteLength).toBe(400 * part.length)
  })

  it('ends a fetch whose response has been dropped unread', async () => {
    // A process of its own, since a runner of tests holds what passes through it.
    const program = `
      import { createServer } from 'node:http'
      import { cachedFetch } from '@sluice/cache'
      const server = createServer((_req, res) => {
        res.setHeader('Cache-Control', 'no-store')
        res.on('close', () => process.exit(0))
        res.write(Buffer.alloc(8_000_000))
      }).listen(0, '127.0.0.1', async () => {
        await (async () => void await cachedFetch(fetch)('http://127.0.0.1:' + server.address().port))()
        setInterval(gc, 5)
      })`
    const args = ['--expose-gc', '--input-type=module', '-e', program]
    const options = { cwd: new URL('..', import.meta.url), timeout: 10_000 }
    await expect(promisify(execFile)(process.execPath, args, options)).resolves.toMatchObject({ stderr: '' })
  })

  it('names a wrong option', () => {
    expect(() => cachedFetch(fetch, { maxSize: 'many' as never })).toThrow(/cache\.maxSize/)
  })

  it('leaves nothing open', async () => {
    const leaks = leakCheck()
    const origin = await originServer((_req, res) => page(1, res))
    const cached = cachedFetch(fetch)
    const response = await cached(origin.url)
    await response.body?.cancel()
    await (await cached(origin.url)).text()
    await origin.close()
    await leaks.settled()
  })
})

it('rejects for a caller that leaves between a redirect and what it leads to', async () => {
  const controller = new AbortController()
  const from: Fetch = async (input) => {
    if (!String(input).endsWith('/a')) return new Response('page')
    // Nobody wants the body of a redirect: it is told just before the next step.
    const body = new ReadableStream({ cancel: () => controller.abort(new Error('gone')) })
    return new Response(body, { status: 302, headers: { location: '/b' } })
  }
  const cached = cachedFetch(from)
  const called = cached('http://site.test/a', { signal: controller.signal })
  await expect(within(called, 'the caller to hear')).rejects.toThrow('gone')
})

it('asks for nothing more on behalf of a caller that has left while it waited for the fetch of another', async () => {
  const gate = deferred()
  const signals: unknown[] = []
  const from: Fetch = async (_, init) => {
    signals.push(init?.signal)
    await gate.promise
    return new Response('mine', { headers: { 'cache-control': 'private' } })
  }
  const cached = cachedFetch(from)
  const controller = new AbortController()
  const first = cached('http://site.test/')
  const second = cached('http://site.test/', { signal: controller.signal })
  controller.abort(new Error('gone'))
  await expect(second).rejects.toThrow('gone')
  expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  gate.resolve()
  expect(await (await first).text()).toBe('mine')
  await atRest(() => signals.length)
  // The answer was for the first one alone: whoever still waited would have asked by itself.
  expect(signals).toEqual([undefined])
})
