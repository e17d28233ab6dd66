import { cache, createCache } from '@sluice/cache'
import { describe, expect, it } from 'vitest'
import { type Front, fronts, rawFronts } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, value } from '../kit/raw-request.js'
import { TestStore } from '../kit/test-store.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const fresh = { 'Cache-Control': 'max-age=60', ETag: '"a"' }
const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')
const status = (answer: { headers: string[] }): string | undefined => value(answer.headers, 'cache-status')

describe.each(fronts)('a cache, through $name', (kind) => {
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
