import { describe, expect, it } from 'vitest'
import { cachedSite, minute, noon, numbered, statusOf } from '../kit/cached-site.js'
import { fronts } from '../kit/fronts.js'
import type { OriginHandler } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value, values } from '../kit/raw-request.js'
import { pattern, same } from '../kit/store-entries.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred } from '../kit/until.js'

trapUnhandled()
const own = owner()

const date = new Date(noon).toUTCString()
const hourAgo = new Date(noon - 3_600_000).toUTCString()
const bytes = pattern(1_000, 1)
const whole: OriginHandler = (_req, res) => {
  const fields = ['Content-Type', 'application/x-test', 'ETag', '"v1"', 'Last-Modified', hourAgo]
  res.writeHead(200, [...minute, ...fields, 'Content-Length', '1000']).end(bytes)
}

describe.each(fronts)('a cache behind $name', (kind) => {
  it('asks once for what is fresh, and tells its age to the second', async () => {
    const site = await cachedSite(own, kind, numbered([...minute, 'X-Kept', 'a', 'x-kept', 'b']))
    const first = await site.ask()
    expect([first.status, first.text, statusOf(first), value(first.headers, 'age')]).toEqual([
      200,
      'answer 1',
      'sluice; fwd=uri-miss; fwd-status=200; stored; ttl=60',
      undefined,
    ])
    for (const age of [0, 1, 59, 59.999]) {
      site.now = noon + age * 1000
      const { complete, headers, status, text } = await site.ask()
      expect([status, text, complete]).toEqual([200, 'answer 1', true])
      const seconds = Math.floor(age)
      expect([statusOf({ headers }), values(headers, 'age')]).toEqual([
        `sluice; hit; ttl=${60 - seconds}`,
        [String(seconds)],
      ])
      for (const name of ['date', 'cache-control', 'content-length', 'x-kept'])
        expect(values(headers, name)).toEqual(values(first.headers, name))
    }
    site.now = noon + 60_000
    expect((await site.ask()).text).toBe('answer 2')
    expect(site.origin.requests).toHaveLength(2)
  })

  it('answers conditions from what it has', async () => {
    const site = await cachedSite(own, kind, whole)
    await site.ask()
    const asked = async (...headers: string[]) => {
      const { body, complete, headers: fields, status } = await site.ask({ headers })
      expect([complete, statusOf({ headers: fields })]).toEqual([true, 'sluice; hit; ttl=60'])
      if (status === 304) expect(value(fields, 'etag')).toBe('"v1"')
      return [status, body.length]
    }
    expect(await asked('If-None-Match', '"v1"')).toEqual([304, 0])
    expect(await asked('If-None-Match', '"v0", W/"v1"')).toEqual([304, 0])
    expect(await asked('If-None-Match', '"v2"')).toEqual([200, 1_000])
    expect(await asked('If-Modified-Since', hourAgo)).toEqual([304, 0])
    expect(await asked('If-None-Match', '"v2"', 'If-Modified-Since', hourAgo)).toEqual([200, 1_000])
    expect(await asked('If-Match', '"v1"')).toEqual([200, 1_000])
    expect(site.origin.requests).toHaveLength(1)
    // What must be so at the origin only the origin can deny (RFC 9111 section 4.3.2).
    for (const headers of [
      ['If-Match', '"v2"'],
      ['If-Unmodified-Since', new Date(noon - 7_200_000).toUTCString()],
    ]) {
      const { body, status } = await site.ask({ headers })
      expect([status, body.length]).toEqual([412, 0])
    }
    expect(site.origin.requests).toHaveLength(3)
  })

  it('answers If-Unmodified-Since with what it has where nothing tells when that was modified', async () => {
    const site = await cachedSite(own, kind, numbered([...minute, 'ETag', '"v1"']))
    await site.ask()
    const { status, text } = await site.ask({ headers: ['If-Unmodified-Since', hourAgo] })
    expect([status, text]).toEqual([200, 'answer 1'])
    expect(site.origin.requests).toHaveLength(1)
  })

  it('answers a condition with the first fetch, which goes out without it', async () => {
    const site = await cachedSite(own, kind, whole)
    const { status } = await site.ask({ headers: ['If-None-Match', '"v1"'] })
    expect(status).toBe(304)
    expect(values(site.origin.requests[0]?.rawHeaders ?? [], 'if-none-match')).toEqual([])
    expect(same((await site.ask()).body, bytes)).toBe(true)
    expect(site.origin.requests).toHaveLength(1)
  })

  it('cuts ranges out of what it has', async () => {
    const site = await cachedSite(own, kind, whole)
    await site.ask()
    const range = (text: string, ...more: string[]) => site.ask({ headers: ['Range', text, ...more] })
    for (const [text, from, to] of [
      ['bytes=0-0', 0, 1],
      ['bytes=100-199', 100, 200],
      ['bytes=900-', 900, 1_000],
      ['bytes=-1', 999, 1_000],
      ['bytes=500-5000', 500, 1_000],
    ] as const) {
      const { body, complete, headers, status } = await range(text)
      expect([status, complete, value(headers, 'content-range')]).toEqual([
        206,
        true,
        `bytes ${from}-${to - 1}/1000`,
      ])
      expect([statusOf({ headers }), value(headers, 'content-length')]).toEqual([
        'sluice; hit; ttl=60',
        String(to - from),
      ])
      expect(same(body, bytes.subarray(from, to))).toBe(true)
    }
    const beyond = await range('bytes=1000-')
    expect([beyond.status, value(beyond.headers, 'content-range')]).toEqual([416, 'bytes */1000'])
    expect((await range('bytes=0-9', 'If-Range', '"v1"')).status).toBe(206)
    expect((await range('bytes=0-9', 'If-Range', '"v0"')).status).toBe(200)
    expect(site.origin.requests).toHaveLength(1)
  })

  it('puts several ranges into one answer', async () => {
    const site = await cachedSite(own, kind, whole)
    await site.ask()
    const { body, complete, headers, status } = await site.ask({ headers: ['Range', 'bytes=0-9,500-509'] })
    expect([status, complete, value(headers, 'content-length')]).toEqual([206, true, String(body.length)])
    const [, boundary] = /^multipart\/byteranges; ?boundary="?([^"]+)"?$/.exec(
      value(headers, 'content-type') ?? '',
    ) as RegExpExecArray
    const parts = body.toString('latin1').split(`--${boundary}`)
    expect(parts).toHaveLength(4)
    for (const [part = '', from, to] of [
      [parts[1], 0, 10],
      [parts[2], 500, 510],
    ] as const) {
      const [head = '', ...rest] = part.split('\r\n\r\n')
      expect(head.toLowerCase()).toContain(`content-range: bytes ${from}-${to - 1}/1000`)
      expect(rest.join('\r\n\r\n')).toBe(`${bytes.toString('latin1', from, to)}\r\n`)
    }
  })

  it('answers HEAD from a stored GET, and asks for one of what it does not have', async () => {
    const site = await cachedSite(own, kind, whole)
    const before = await site.ask({ method: 'HEAD' })
    expect([before.status, before.body.length, statusOf(before)]).toEqual([
      200,
      0,
      'sluice; fwd=uri-miss; fwd-status=200',
    ])
    await site.ask()
    const { body, complete, headers, status } = await site.ask({ method: 'HEAD' })
    expect([status, body.length, complete, value(headers, 'content-length')]).toEqual([200, 0, true, '1000'])
    expect(statusOf({ headers })).toBe('sluice; hit; ttl=60')
    expect(site.origin.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET'])
  })

  it('keeps trailers, and what came in pieces', async () => {
    const site = await cachedSite(own, kind, (_req, res) => {
      res.writeHead(200, [...minute, 'Trailer', 'X-Sum'])
      res.write('one ')
      res.write('two')
      res.addTrailers({ 'X-Sum': '7' })
      res.end()
    })
    const first = await site.ask({ headers: ['TE', 'trailers'] })
    const second = await site.ask({ headers: ['TE', 'trailers'] })
    for (const { complete, status, text } of [first, second])
      expect([status, text, complete]).toEqual([200, 'one two', true])
    expect(statusOf(second)).toBe('sluice; hit; ttl=60')
    expect(values(first.trailers, 'x-sum')).toEqual(['7'])
    expect(values(second.trailers, 'x-sum')).toEqual(['7'])
    expect(site.origin.requests).toHaveLength(1)
  })

  it('passes early hints on while it fetches, and none with a hit', async () => {
    const hinted = deferred()
    const site = await cachedSite(own, kind, async (_req, res) => {
      res.writeEarlyHints({ link: '</a.css>; rel=preload' })
      await hinted.promise
      res.writeHead(200, [...minute, 'Content-Length', '2']).end('ok')
    })
    const call = site.client.call()
    await expect.poll(() => call.informed.map(({ status }) => status), { interval: 2 }).toEqual([103])
    expect(value(call.informed[0]?.headers ?? [], 'link')).toBe('</a.css>; rel=preload')
    hinted.resolve()
    expect((await call.answer()).text).toBe('ok')
    const again = site.client.call()
    expect(statusOf(await again.answer())).toBe('sluice; hit; ttl=60')
    expect(again.informed).toEqual([])
  })

  it('keeps empty bodies and answers without one', async () => {
    const site = await cachedSite(own, kind, (req, res) => {
      if (req.url === '/204') res.writeHead(204, [...minute]).end()
      else if (req.url === '/chunked') res.writeHead(200, [...minute]).end()
      else res.writeHead(200, [...minute, 'Content-Length', '0']).end()
    })
    for (const [path, status] of [
      ['/empty', 200],
      ['/chunked', 200],
      ['/204', 204],
    ] as const)
      for (const hit of [false, true]) {
        const got = await site.ask(path)
        expect([path, got.status, got.body.length, got.complete]).toEqual([path, status, 0, true])
        expect(statusOf(got)?.includes('hit')).toBe(hit)
      }
    expect(site.origin.requests).toHaveLength(3)
  })

  it('keeps a body of just maxEntry, and one byte more flows by', async () => {
    const site = await cachedSite(
      own,
      kind,
      (req, res) => {
        const [, size, said] = /(\d+)(said)?/.exec(req.url ?? '') as RegExpExecArray
        res.writeHead(200, [...minute, ...(said ? ['Content-Length', size as string] : [])])
        res.write(pattern(10, 2))
        res.end(pattern(Number(size), 2).subarray(10))
      },
      { maxEntry: 5_000 },
    )
    for (const size of [5_000, 5_001])
      for (const said of ['said', '']) {
        const path = `/${size}${said}`
        await site.ask(path)
        const { body, complete, headers } = await site.ask(path)
        expect([path, complete, same(body, pattern(size, 2))]).toEqual([path, true, true])
        expect([path, statusOf({ headers })?.includes('hit')]).toEqual([path, size === 5_000])
      }
    expect(statusOf(await site.ask('/5001said'))).toContain('detail=too-large')
  })

  it('sends on what the target dated and named, and stores 301, 404 and 410 too', async () => {
    const site = await cachedSite(own, kind, (req, res) => {
      res.writeHead(Number(req.url?.slice(1)), ['Date', date, 'Cache-Control', 'max-age=60', 'X-Name', 'n'])
      res.end(req.url)
    })
    for (const status of [200, 203, 301, 308, 404, 405, 410, 414, 501]) {
      await site.ask(`/${status}`)
      const got = await site.ask(`/${status}`)
      expect([got.status, got.text, statusOf(got), value(got.headers, 'x-name')]).toEqual([
        status,
        `/${status}`,
        'sluice; hit; ttl=60',
        'n',
      ])
    }
  })
})
