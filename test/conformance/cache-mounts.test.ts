import { cache, createCache } from '@sluice/cache'
import { describe, expect, it } from 'vitest'
import {
  type Front,
  fronts,
  originServer,
  owner,
  rawClient,
  rawFronts,
  rawOrigin,
  trapUnhandled,
  until,
  value,
  within,
} from '../kit/index.js'
import { TestStore } from '../kit/test-store.js'

trapUnhandled()
const own = owner()

const fresh = { 'Cache-Control': 'max-age=60', ETag: '"a"' }
const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')
const status = (answer: { headers: string[] }): string | undefined => value(answer.headers, 'cache-status')

describe.each(fronts)('a cache, through $name', (kind) => {
  it('answers GET, HEAD, conditions and ranges from what one fetch has brought', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, { ...fresh, 'Content-Type': 'text/plain' })
        res.end('0123456789')
      }),
    )
    const { client } = own(await kind.start({ targets: origin.url, use: [cache()] }))
    const miss = await client.ask()
    expect([miss.text, status(miss)]).toEqual([
      '0123456789',
      'sluice; fwd=uri-miss; fwd-status=200; stored; ttl=60',
    ])
    const hit = await client.ask()
    expect([hit.text, status(hit)]).toMatchObject([
      '0123456789',
      expect.stringMatching(/^sluice; hit; ttl=(?:60|59|58)$/),
    ])
    const head = await client.ask({ method: 'HEAD' })
    expect([head.status, head.text, value(head.headers, 'content-length')]).toEqual([200, '', '10'])
    expect((await client.ask({ headers: ['If-None-Match', '"a"'] })).status).toBe(304)
    const part = await client.ask({ headers: ['Range', 'bytes=2-4'] })
    expect([part.status, part.text, value(part.headers, 'content-range')]).toEqual([
      206,
      '234',
      'bytes 2-4/10',
    ])
    expect(origin.requests).toHaveLength(1)
  })

  it('streams one fetch to all who wait, and goes on when its first client leaves', async () => {
    const origin = own(await originServer(() => {}))
    const front = own(await kind.start({ targets: origin.url, use: [cache()] }))
    const calls = Array.from({ length: 5 }, () => front.client.call())
    const { res } = await origin.request()
    res.writeHead(200, fresh)
    res.write('first ')
    const heads = await Promise.all(calls.map((call) => call.head))
    for (const { body } of heads.slice(1)) await new Promise((resolve) => body.once('data', resolve))
    calls[0]?.abort()
    res.end('second')
    for (const call of calls.slice(1)) expect((await call.answer()).complete).toBe(true)
    expect((await front.client.ask()).text).toBe('first second')
    expect(origin.requests).toHaveLength(1)
    await released(front)
  })

  it('goes on when all leave before the head, and stores', async () => {
    const origin = own(await originServer(() => {}))
    const front = own(await kind.start({ targets: origin.url, use: [cache()] }))
    const calls = Array.from({ length: 5 }, () => front.client.call())
    const request = await origin.request()
    for (const call of calls) call.abort()
    await within(Promise.allSettled(calls.map((call) => call.head)), 'the clients to have left')
    request.res.writeHead(200, fresh)
    request.res.end('x')
    await until(async () => status(await front.client.ask())?.includes('hit') === true, 'it to be stored')
    expect(origin.requests).toHaveLength(1)
    await released(front)
  })

  it('a client that leaves while it is being looked up harms nothing', async () => {
    const store = new TestStore()
    store.slow = true
    store.trouble.set('get', 'hangs')
    const origin = own(await originServer((_req, res) => void res.writeHead(200, fresh).end('x')))
    const front = own(await kind.start({ targets: origin.url, use: [cache({ store, storeTimeout: 0 })] }))
    const call = front.client.call()
    await until(() => store.waiting.length > 0, 'the look-up')
    call.abort()
    await call.head.catch(() => {})
    store.trouble.clear()
    for (const go of store.waiting.splice(0)) go()
    expect((await front.client.ask()).text).toBe('x')
    await released(front)
  })

  it('an answer for one client ends with its client', async () => {
    const origin = own(await originServer(() => {}))
    const front = own(await kind.start({ targets: origin.url, use: [cache()] }))
    const call = front.client.call()
    const request = await origin.request()
    request.res.writeHead(200, { 'Cache-Control': 'private' })
    request.res.write('x')
    await call.head
    call.abort()
    await within(request.closed, 'the target to hear of it')
    expect(request.aborted).toBe(true)
    await released(front)
  })

  it('a target that breaks off breaks off each, and nothing is stored', async () => {
    const origin = own(await originServer(() => {}))
    const front = own(await kind.start({ targets: origin.url, use: [cache()], retry: false }))
    const calls = [front.client.call(), front.client.call()]
    const { res } = await origin.request()
    res.writeHead(200, { ...fresh, 'Content-Length': 10 })
    res.write('half')
    await Promise.all(calls.map((call) => call.head))
    res.destroy()
    for (const call of calls) expect((await call.answer()).complete).toBe(false)
    const again = front.client.call()
    const second = await origin.request(1)
    second.res.writeHead(200, fresh)
    second.res.end('whole')
    expect((await again.answer()).text).toBe('whole')
    await released(front)
  })

  it('a target that is gone is 502 for each who waits', async () => {
    const origin = own(await originServer((req) => req.socket.destroy()))
    const front = own(await kind.start({ targets: origin.url, use: [cache()], retry: false }))
    const answers = await Promise.all([front.client.ask(), front.client.ask()])
    expect(answers.map((answer) => answer.status)).toEqual([502, 502])
    await released(front)
  })

  it('what POST sends arrives, and drops what is stored', async () => {
    const origin = own(
      await originServer(async (req, res, seen) => {
        const body = await seen.body()
        res.writeHead(200, req.method === 'GET' ? fresh : {})
        res.end(`${req.method} ${body.toString()} ${origin.requests.length}`)
      }),
    )
    const { client } = own(await kind.start({ targets: origin.url, use: [cache()] }))
    expect((await client.ask()).text).toBe('GET  1')
    expect((await client.ask({ method: 'POST', body: 'hello' })).text).toBe('POST hello 2')
    expect((await client.ask({ method: 'GET', body: 'fat' })).text).toBe('GET fat 3')
    expect((await client.ask()).text).toBe('GET  4')
    expect((await client.ask()).text).toBe('GET  4')
  })

  it('purges by the URL that the client has asked for', async () => {
    const made = createCache()
    const origin = own(
      await originServer((_req, res) => void res.writeHead(200, fresh).end(`${origin.requests.length}`)),
    )
    const front = own(await kind.start({ targets: origin.url, use: [cache(made)] }))
    const host = ['Host', 'site.example']
    expect((await front.client.ask({ path: '/x', headers: host })).text).toBe('1')
    const scheme = kind.tls ? 'https' : 'http'
    expect(await made.purge({ url: `${scheme}://site.example/x` })).toBe(1)
    expect((await front.client.ask({ path: '/x', headers: host })).text).toBe('2')
  })

  it('trailers reach who waits, and who comes later', async () => {
    const origin = own(
      await rawOrigin((connection) =>
        connection.write(
          'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
            '2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n',
        ),
      ),
    )
    const { client } = own(await kind.start({ targets: origin.url, use: [cache()] }))
    const first = await client.ask({ headers: ['TE', 'trailers'] })
    const second = await client.ask({ headers: ['TE', 'trailers'] })
    expect(status(second)).toMatch(/hit/)
    expect([second.text, second.trailers]).toEqual([first.text, first.trailers])
    expect([first.text, second.text]).toEqual(['hi', 'hi'])
    expect(first.trailers.map((text) => text.toLowerCase())).toEqual(['x-sum', '7'])
  })
})

describe.each(rawFronts)('a cache on a connection, through $name', (kind) => {
  it('answers in turn what comes at once: hits behind a miss', async () => {
    const origin = own(
      await originServer(
        (req, res) => void res.writeHead(200, fresh).end(`${req.url} ${origin.requests.length}`),
      ),
    )
    const front = own(await kind.start({ targets: origin.url, use: [cache()] }))
    await front.client.ask({ path: '/a', headers: ['Host', 'x'] })
    const client = own(await rawClient(front.port))
    client.write(
      ['/a', '/b', '/a', '/b', '/a'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''),
    )
    const answers = await client.responses(5)
    expect(answers.map(({ body }) => body.toString())).toEqual(['/a 1', '/b 2', '/a 1', '/b 2', '/a 1'])
  })

  it('early hints reach the one whose fetch it is, and no hit has any', async () => {
    const origin = own(
      await rawOrigin((connection) =>
        connection.write(
          'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n' +
            'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nhi',
        ),
      ),
    )
    const front = own(await kind.start({ targets: origin.url, use: [cache()] }))
    const client = own(await rawClient(front.port))
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await client.until('hi')
    expect(client.text).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK/i,
    )
    const again = own(await rawClient(front.port))
    again.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await again.until('hi')
    expect(again.text).toMatch(/^HTTP\/1\.1 200 OK/)
  })

  it('upgrades pass by', async () => {
    const origin = own(
      await rawOrigin((connection) =>
        connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw bytes',
        ),
      ),
    )
    const front = own(await kind.start({ targets: origin.url, use: [cache()] }))
    const client = own(await rawClient(front.port))
    client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
    await client.until('raw bytes')
    expect(client.text).not.toMatch(/cache-status/i)
  })
})
