import { describe, expect, it } from 'vitest'
import { cachedSite, noon, numbered, statusOf } from '../kit/cached-site.js'
import { fronts, twoFronts } from '../kit/fronts.js'
import type { OriginHandler } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const date = ['Date', new Date(noon).toUTCString()]
const validated: OriginHandler = (req, res) => {
  const fields = [...date, 'ETag', '"v1"', 'Last-Modified', new Date(noon - 3_600_000).toUTCString()]
  if (req.headers['if-none-match'] === '"v1"')
    res.writeHead(304, [...fields, 'Cache-Control', 'max-age=120', 'X-Renewed', 'yes']).end()
  else res.writeHead(200, [...fields, 'Cache-Control', 'max-age=60', 'Content-Length', '4']).end('page')
}

describe.each(fronts)('what is stale behind $name', (kind) => {
  it('is validated with all that it has, and renewed by a 304', async () => {
    const site = await cachedSite(own, kind, validated)
    await site.ask()
    site.now += 61_000
    const renewed = await site.ask()
    const { rawHeaders } = site.origin.requests[1] as { rawHeaders: readonly string[] }
    expect(values(rawHeaders, 'if-none-match')).toEqual(['"v1"'])
    expect(values(rawHeaders, 'if-modified-since')).toEqual([new Date(noon - 3_600_000).toUTCString()])
    expect([renewed.status, renewed.text, value(renewed.headers, 'x-renewed')]).toEqual([200, 'page', 'yes'])
    expect(statusOf(renewed)).toBe('sluice; fwd=stale; fwd-status=304; stored; ttl=59')
    const hit = await site.ask()
    expect([statusOf(hit), value(hit.headers, 'x-renewed')]).toEqual(['sluice; hit; ttl=59', 'yes'])
    expect(site.origin.requests).toHaveLength(2)
  })

  it('is still there where a 304 is of another one, and the fetch after it is lost', async () => {
    let count = 0
    const site = await cachedSite(
      own,
      kind,
      (req, res) => {
        if (++count > 2) return void req.socket.destroy()
        res.writeHead(count === 1 ? 200 : 304, ['Cache-Control', 'max-age=0', 'ETag', `"${count}"`])
        res.end(count === 1 ? 'page' : undefined)
      },
      { staleIfError: '1h' },
    )
    for (let i = 0; i < 4; i++) expect((await site.ask()).text).toBe('page')
  })

  it('is validated for a client that has it, which gets a 304', async () => {
    const site = await cachedSite(own, kind, validated)
    await site.ask()
    site.now += 61_000
    const { body, complete, status } = await site.ask({ headers: ['If-None-Match', '"v1"'] })
    expect([status, body.length, complete]).toEqual([304, 0, true])
    expect((await site.ask()).text).toBe('page')
    expect(site.origin.requests).toHaveLength(2)
  })

  it('is served at once while it is fetched again behind it, once', async () => {
    const gate = deferred()
    let count = 0
    const site = await cachedSite(own, kind, async (_req, res) => {
      const body = `answer ${++count}`
      if (count > 1) await gate.promise
      const fields = ['Cache-Control', 'max-age=60, stale-while-revalidate=60']
      res.writeHead(200, ['Date', new Date(site.now).toUTCString(), ...fields]).end(body)
    })
    await site.ask()
    site.now += 90_000
    for (let i = 0; i < 3; i++) {
      const stale = await site.ask()
      expect([stale.text, statusOf(stale), value(stale.headers, 'age')]).toEqual([
        'answer 1',
        'sluice; hit; ttl=-30; detail=stale-while-revalidate',
        '90',
      ])
    }
    gate.resolve()
    await until(async () => (await site.ask()).text === 'answer 2', 'the answer that was fetched behind')
    expect(site.origin.requests).toHaveLength(2)
  })

  it('is served when the target has died, and not where that is forbidden', async () => {
    const site = await cachedSite(own, kind, (req, res) => {
      const more = req.url === '/must' ? ', must-revalidate' : ''
      res.writeHead(200, [...date, 'Cache-Control', `max-age=60${more}`]).end(`page ${req.url}`)
    })
    for (const path of ['/may', '/must']) await site.ask(path)
    site.now += 61_000
    await site.origin.close()
    const stale = await site.ask('/may')
    expect([stale.status, stale.text]).toEqual([200, 'page /may'])
    expect(statusOf(stale)).toBe('sluice; fwd=stale; ttl=-1; detail=stale-if-error')
    for (const path of ['/must', '/never']) {
      const error = await site.ask(path)
      expect(error.status).toBeGreaterThanOrEqual(502)
      expect(statusOf(error)).toBe('sluice; fwd=uri-miss; detail=error')
    }
    // Past the hour that it is good for by default.
    site.now += 3_600_000
    expect((await site.ask('/may')).status).toBeGreaterThanOrEqual(502)
  })

  it('goes to nobody but who asked for it where the target gave it no lifetime', async () => {
    const options = { staleWhileRevalidate: '1m', staleIfError: '1m' } as const
    const page: OriginHandler = (req, res) =>
      void res.writeHead(200, [...date, 'ETag', `W/"${req.headers.cookie}"`]).end(req.headers.cookie)
    const site = await cachedSite(own, kind, page, options)
    const first = await site.ask({ headers: ['Cookie', 'alice'] })
    expect([first.text, statusOf(first)]).toEqual([
      'alice',
      'sluice; fwd=uri-miss; fwd-status=200; stored; ttl=0',
    ])
    expect((await site.ask({ headers: ['Cookie', 'bob'] })).text).toBe('bob')
    const greedy = ['Cookie', 'mallory', 'Cache-Control', 'max-stale']
    expect((await site.ask({ headers: greedy })).text).toBe('mallory')
    await site.origin.close()
    expect((await site.ask({ headers: greedy })).status).toBeGreaterThanOrEqual(502)
  })

  it('is served for an answer with an error where the answer or an option allows that', async () => {
    let status = 200
    const site = await cachedSite(own, kind, (req, res) => {
      const more = req.url === '/said' ? ', stale-if-error=60' : ''
      res.writeHead(status, [...date, 'Cache-Control', `max-age=60${more}`]).end(`${status} ${req.url}`)
    })
    for (const path of ['/said', '/unsaid']) await site.ask(path)
    site.now += 61_000
    status = 503
    const stale = await site.ask('/said')
    expect([stale.text, statusOf(stale)]).toEqual([
      '200 /said',
      'sluice; fwd=stale; fwd-status=503; ttl=-1; detail=stale-if-error',
    ])
    const error = await site.ask('/unsaid')
    expect([error.status, error.text]).toEqual([503, '503 /unsaid'])
    expect(statusOf(error)).toBe('sluice; fwd=stale; fwd-status=503; detail=error')
    site.now += 60_000
    expect((await site.ask('/said')).status).toBe(503)
  })

  it('is not asked for by a client that wants only what is cached', async () => {
    const site = await cachedSite(own, kind, numbered([...date, 'Cache-Control', 'max-age=60']))
    const only = { headers: ['Cache-Control', 'only-if-cached'] }
    const none = await site.ask(only)
    expect([none.status, statusOf(none)]).toEqual([504, 'sluice; detail=only-if-cached'])
    await site.ask()
    expect((await site.ask(only)).text).toBe('answer 1')
    expect(site.origin.requests).toHaveLength(1)
  })

  it('and what is fresh, are asked for again by clients that want it so', async () => {
    const site = await cachedSite(own, kind, numbered([...date, 'Cache-Control', 'max-age=60']))
    await site.ask()
    const asks = async (...headers: string[]) => {
      const { headers: fields, text } = await site.ask({ headers })
      return [text, statusOf({ headers: fields })]
    }
    const fetched = (n: number, ttl: number) => [
      `answer ${n}`,
      `sluice; fwd=request; fwd-status=200; stored; ttl=${ttl}`,
    ]
    expect(await asks('Cache-Control', 'no-cache')).toEqual(fetched(2, 60))
    expect(await asks('Pragma', 'no-cache')).toEqual(fetched(3, 60))
    site.now += 30_000
    expect(await asks('Cache-Control', 'max-age=20')).toEqual(fetched(4, 30))
    expect(await asks('Cache-Control', 'min-fresh=40')).toEqual(fetched(5, 30))
    site.now += 40_000
    expect(await asks('Cache-Control', 'max-stale=20')).toEqual([
      'answer 5',
      'sluice; hit; ttl=-10; detail=stale',
    ])
  })
})

describe.each(twoFronts)('what has broken off behind $name', (kind) => {
  it('is not stored, and what was stored before is still served', async () => {
    let broken = false
    const site = await cachedSite(own, kind, (_req, res) => {
      res.writeHead(200, [...date, 'Cache-Control', 'max-age=60', 'Content-Length', '10'])
      if (!broken) return res.end('0123456789')
      res.write('01234', () => res.destroy())
      return undefined
    })
    await site.ask()
    site.now += 61_000
    broken = true
    const cut = await site.ask()
    expect([cut.status, cut.complete]).toEqual([200, false])
    await site.origin.close()
    const stale = await site.ask()
    expect([stale.status, stale.complete, stale.text]).toEqual([200, true, '0123456789'])
  })
})
