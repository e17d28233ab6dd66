import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { balance, first } from '@sluice/balance'
import { type CompressRequestsOptions, compressRequests, Pressure } from '@sluice/compress'
import { attach, chain, toListener } from '@sluice/core'
import { forward, undiciTransport, wireTransport } from '@sluice/forward'
import { hedge, type RetryOptions, retry } from '@sluice/resilience'
import { createUpstream } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import type { Answer, Ask } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { fakeTime } from '../kit/fake-time.js'
import { listen } from '../kit/listen.js'
import { type OriginRequest, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const json = ['Content-Type', 'application/json']
const text = JSON.stringify(Array.from({ length: 400 }, (_, i) => ({ id: i, name: `the name of ${i}` })))
const post: Ask = { method: 'POST', headers: json, body: text }

interface RigOptions extends CompressRequestsOptions {
  transport?: 'wire' | 'undici'
  retry?: RetryOptions
}

/** A proxy that codes requests to its first target, or to the next where that fails, on a clock that a test moves. */
async function rig(targets: string | readonly string[], options: RigOptions = {}) {
  const { transport = 'wire', retry: retries = { attempts: 2, budget: false }, ...compress } = options
  const time = fakeTime()
  const pressure = new Pressure((told) => told(0), { clock: time.now })
  const upstream = createUpstream({ name: 'u', targets: [targets].flat() })
  const way = transport === 'wire' ? wireTransport() : undiciTransport()
  const handler = chain()
    .use(retry(retries))
    .use(balance(upstream, first()))
    .use(compressRequests(compress, { clock: time.now, pressure }))
    .handle(forward({ transport: [way] }))
  const server = createServer()
  attach(server, handler)
  const mounted = own(await listen(server))
  own({
    async close() {
      await way.close(true)
      await upstream.close()
    },
  })
  return {
    time,
    upstream,
    port: mounted.port,
    client: mounted.client,
    ask: (ask: Ask = post): Promise<Answer> => mounted.client.ask(ask),
    inFlight: () => upstream.all.reduce((sum, target) => sum + target.inFlight, 0),
  }
}

/** What a target saw of a request: its coding, and its body without it. */
async function seen(request: OriginRequest): Promise<{ coding: string | undefined; text: string }> {
  const coding = value(request.rawHeaders, 'content-encoding')
  const body = await request.body()
  const plain = coding === 'gzip' ? gunzipSync(body) : coding === 'br' ? brotliDecompressSync(body) : body
  return { coding, text: plain.toString() }
}

type Answers = (req: IncomingMessage, res: ServerResponse, coding: string | undefined, at: number) => void

/** A target that reads each body and answers as told. */
async function target(answers: Answers = (_req, res) => void res.end('ok')) {
  let count = 0
  const got: Awaited<ReturnType<typeof seen>>[] = []
  const origin = own(
    await originServer(async (req, res, request) => {
      const at = count++
      const one = await seen(request)
      got.push(one)
      answers(req, res, one.coding, at)
    }),
  )
  return {
    ...origin,
    url: origin.url,
    requests: origin.requests,
    codings: () => got.map(({ coding }) => coding),
    got,
  }
}

const takesGzip: Answers = (_req, res) => void res.setHeader('Accept-Encoding', 'gzip').end('ok')

describe.each(['wire', 'undici'] as const)('compressRequests over %s', (transport) => {
  it('codes for a target that has said that it takes it, and for no other', async () => {
    const origin = await target(takesGzip)
    const at = await rig(origin.url, { transport })
    for (let i = 0; i < 3; i++) expect(await at.ask()).toMatchObject({ status: 200, text: 'ok' })
    expect(origin.codings()).toEqual([undefined, 'gzip', 'gzip'])
    expect(origin.got.every((one) => one.text === text)).toBe(true)
    const other = await target()
    const silent = await rig(other.url, { transport })
    for (let i = 0; i < 3; i++) await silent.ask()
    expect(other.codings()).toEqual([undefined, undefined, undefined])
  })

  it.each([false, true])(
    'sends it plain again where a target answers 415, and from then on (chunked: %j)',
    async (chunked) => {
      const origin = await target((_req, res, coding) => {
        res.statusCode = coding === undefined ? 200 : 415
        res.end(coding === undefined ? 'ok' : 'what is this?')
      })
      const at = await rig(origin.url, { transport, to: 'all' })
      for (let i = 0; i < 3; i++)
        expect(await at.ask({ ...post, chunked })).toMatchObject({ status: 200, text: 'ok' })
      expect(origin.codings()).toEqual(['gzip', undefined, undefined, undefined])
      expect(origin.got.every((one) => one.text === text)).toBe(true)
      await until(() => at.inFlight() === 0, 'all leases to be released')
    },
  )

  it('one that says what it does not do costs a request a minute, then two, then four', async () => {
    const origin = await target((_req, res, coding) => {
      res.statusCode = coding === undefined ? 200 : 415
      res.setHeader('Accept-Encoding', 'gzip').end()
    })
    const at = await rig(origin.url, { transport })
    const coded: number[] = []
    for (let i = 0; i < 20; i++, at.time.passAtOnce(30_000)) {
      const before = origin.codings().length
      expect((await at.ask()).status).toBe(200)
      if (origin.codings().slice(before).includes('gzip')) coded.push(i)
    }
    expect(coded).toEqual([1, 3, 7, 15])
  })

  it('a body that is too long to be kept is refused to the client, once', async () => {
    const origin = await target((_req, res, coding) => {
      res.statusCode = coding === undefined ? 200 : 415
      res.end()
    })
    const at = await rig(origin.url, { transport, to: 'all', replay: 1_000 })
    expect([(await at.ask()).status, (await at.ask()).status]).toEqual([415, 200])
    expect(origin.codings()).toEqual(['gzip', undefined])
  })

  it('a 415 that is for the type is passed on, and the target stays one that takes it', async () => {
    const origin = await target((_req, res) => {
      res.statusCode = 415
      res.end('no JSON here')
    })
    const at = await rig(origin.url, { transport, to: 'all' })
    for (let i = 0; i < 2; i++) expect(await at.ask()).toMatchObject({ status: 415, text: 'no JSON here' })
    expect(origin.codings()).toEqual(['gzip', undefined, 'gzip', undefined])
  })

  it('one that wants a length gets it with the plain body', async () => {
    const origin = await target((req, res) => {
      res.statusCode = req.headers['content-length'] === undefined ? 411 : 200
      res.end()
    })
    const at = await rig(origin.url, { transport, to: 'all' })
    expect([(await at.ask()).status, (await at.ask()).status]).toEqual([200, 200])
    expect(origin.codings()).toEqual(['gzip', undefined, undefined])
  })

  it('a try on another target is coded anew, or goes as that one takes it', async () => {
    const origin = await target()
    const dead = own(await deadTarget())
    const at = await rig([dead.url, origin.url], { transport, to: 'all' })
    for (const chunked of [false, true]) expect((await at.ask({ ...post, chunked })).status).toBe(200)
    expect(origin.codings()).toEqual(['gzip', 'gzip'])
    expect(origin.got.every((one) => one.text === text)).toBe(true)
  })

  it('a try after a refused connection needs nothing kept', async () => {
    const origin = await target()
    const dead = own(await deadTarget())
    const at = await rig([dead.url, origin.url], { transport, to: 'all', replay: 0 })
    for (const chunked of [false, true]) expect((await at.ask({ ...post, chunked })).status).toBe(200)
    expect(origin.got).toEqual([
      { coding: 'gzip', text },
      { coding: 'gzip', text },
    ])
  })

  it('a try after one that broke off within the body has all of it', async () => {
    const breaks = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        connection.reset()
      }),
    )
    const origin = await target()
    const retries = { attempts: 2, methods: ['POST'], budget: false } as const
    const at = await rig([breaks.url, origin.url], { transport, to: 'all', retry: retries })
    expect((await at.ask({ ...post, chunked: true })).status).toBe(200)
    expect(origin.got).toEqual([{ coding: 'gzip', text }])
    await until(() => at.inFlight() === 0, 'all leases to be released')
  })

  it('trailers are kept; lengths and digests of the plain bytes go', async () => {
    const origin = await target()
    const at = await rig(origin.url, { transport, to: 'all' })
    const headers = [
      ...json,
      'Content-Digest',
      'sha-256=:x:',
      'Repr-Digest',
      'sha-256=:x:',
      'Digest',
      'x',
      'Content-MD5',
      'x',
    ]
    await at.ask({ ...post, headers: [...headers, 'X-Other', '1'] })
    const [{ rawHeaders }] = origin.requests as [OriginRequest]
    const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
    expect(names.filter((name) => /digest|md5|length/.test(name))).toEqual([])
    expect(names).toContain('x-other')
    expect(value(rawHeaders, 'transfer-encoding')).toBe('chunked')
  })
})

describe('compressRequests', () => {
  it('keeps trailers, but for digests of the plain bytes', async () => {
    const origin = await target()
    const at = await rig(origin.url, { to: 'all' })
    const call = at.client.call({
      method: 'POST',
      open: true,
      headers: [...json, 'Trailer', 'X-Sum, Content-Digest'],
    })
    const body = call.body as unknown as import('node:http').ClientRequest
    body.addTrailers({ 'X-Sum': '7', 'Content-Digest': 'sha-256=:x:' })
    body.end(text)
    expect((await call.answer()).status).toBe(200)
    expect(origin.got).toEqual([{ coding: 'gzip', text }])
    expect(origin.requests[0]?.rawTrailers).toEqual(['X-Sum', '7'])
  })

  it.each([
    ['a GET', { headers: json }],
    ['a GET with a body', { method: 'GET', headers: json, body: text }],
    ['a DELETE with a body', { method: 'DELETE', headers: json, body: text }],
    ['no body', { method: 'POST', headers: json }],
    ['a short body', { ...post, body: '{}' }],
    ['an image', { ...post, headers: ['Content-Type', 'image/png'] }],
    ['what does not say what it is', { ...post, headers: [] }],
    ['a part', { ...post, method: 'PUT', headers: [...json, 'Content-Range', 'bytes 0-99/200'] }],
    ['no-transform', { ...post, headers: [...json, 'Cache-Control', 'no-transform'] }],
    ['gRPC', { ...post, headers: ['Content-Type', 'application/grpc+json'] }],
    ['what is signed', { ...post, headers: [...json, 'Signature-Input', 'a=("content-digest")'] }],
  ] as [string, Ask][])('leaves alone %s', async (_, ask) => {
    const origin = await target()
    const at = await rig(origin.url, { to: 'all' })
    expect((await at.ask(ask)).status).toBe(200)
    expect(origin.got).toEqual([{ coding: undefined, text: ask.body ?? '' }])
  })

  it('leaves alone what is coded already', async () => {
    const origin = own(await originServer())
    const at = await rig(origin.url, { to: 'all' })
    await at.ask({ ...post, headers: [...json, 'Content-Encoding', 'zzz'] })
    expect(value(origin.requests[0]?.rawHeaders ?? [], 'content-encoding')).toBe('zzz')
    expect((await origin.requests[0]?.body())?.toString()).toBe(text)
  })

  it('codes in another coding, at a level of its own', async () => {
    const origin = await target()
    const at = await rig(origin.url, { to: 'all', coding: 'br', level: 11 })
    await at.ask()
    expect(origin.got).toEqual([{ coding: 'br', text }])
  })

  it('unlearns by what a target says, and learns again', async () => {
    const said = ['gzip', 'br, *;q=0', 'x, gzip;q=0.1', '', '*', 'gzip;q=0', 'gzip']
    const origin = await target(
      (_req, res, _coding, i) => void res.setHeader('Accept-Encoding', said[i] ?? '').end(),
    )
    const at = await rig(origin.url)
    for (let i = 0; i < 7; i++) await at.ask()
    await at.ask()
    expect(origin.codings()).toEqual([
      undefined,
      'gzip',
      undefined,
      'gzip',
      undefined,
      'gzip',
      undefined,
      'gzip',
    ])
  })

  it('a client that waits for 100 Continue hears it when the target has said so', async () => {
    const asked = deferred<string>()
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res, request) => {
        expect(await seen(request)).toEqual({ coding: 'gzip', text })
        res.end('ok')
      }),
    )
    origin.server.on('checkContinue', async (req, res: ServerResponse) => {
      asked.resolve(String(req.headers['content-encoding']))
      await go.promise
      res.writeContinue()
      origin.server.emit('request', req, res)
    })
    const at = await rig(origin.url, { to: 'all' })
    const call = at.client.call({
      method: 'POST',
      open: true,
      headers: [...json, 'Expect', '100-continue', 'Content-Length', `${text.length}`],
    })
    let heard = 0
    call.body.on('continue', () => {
      heard++
      call.body.end(text)
    })
    expect(await within(asked.promise, 'the head at the target')).toBe('gzip')
    expect(heard).toBe(0)
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'ok' })
    expect(heard).toBe(1)
  })

  it('of a client that waits for 100 Continue a body of any length is sent plain where the head alone is refused', async () => {
    const origin = own(
      await originServer(async (req, res, request) => {
        res.end(`${req.headers['content-encoding']} ${(await request.body()).length}`)
      }),
    )
    origin.server.on('checkContinue', (req, res: ServerResponse) => {
      if (req.headers['content-encoding'] !== undefined) return void res.writeHead(415).end()
      res.writeContinue()
      origin.server.emit('request', req, res)
    })
    const at = await rig(origin.url, { to: 'all', replay: 0 })
    const body = text.repeat(20)
    const headers = [...json, 'Expect', '100-continue', 'Content-Length', `${body.length}`]
    const call = at.client.call({ method: 'POST', open: true, headers })
    call.body.on('continue', () => call.body.end(body))
    expect(await call.answer()).toMatchObject({ status: 200, text: `undefined ${body.length}` })
    await until(() => at.inFlight() === 0, 'all leases to be released')
  })

  it('a target that refuses by the head alone has the plain body from its first byte on', async () => {
    let count = 0
    const origin = own(
      await originServer(async (req, res, request) => {
        if (count++ === 0) {
          // It reads nothing of it.
          res.writeHead(415, { Connection: 'close' }).end()
          return
        }
        res.end(`${req.headers['content-encoding']} ${(await request.body()).length}`)
      }),
    )
    const at = await rig(origin.url, { to: 'all' })
    const call = at.client.call({ method: 'POST', open: true, headers: json })
    call.body.write(text.slice(0, 5_000))
    await origin.request(1)
    call.body.end(text.slice(5_000))
    expect(await call.answer()).toMatchObject({ status: 200, text: `undefined ${text.length}` })
    await until(() => at.inFlight() === 0, 'all leases to be released')
  })

  it('a hedged request is coded for each target; the loser ends', async () => {
    const hold = deferred()
    const slow = await target(async (_req, res) => {
      await hold.promise
      res.end('slow')
    })
    const gone = deferred()
    const fast = await target(async (_req, res) => {
      res.write('fa')
      await gone.promise
      res.end('st')
    })
    // Bodies that flow aren't hedged: this one is in memory by the time it comes here.
    const upstream = own(createUpstream({ name: 'u', targets: [slow.url, fast.url] }))
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const handler = chain()
      .use((next) => (ctx) => {
        ctx.out.body = text
        return next(ctx)
      })
      .use(hedge({ after: 1, methods: ['POST'], budget: false }))
      .use(balance(upstream, first()))
      .use(compressRequests({ to: 'all' }))
      .handle(forward({ transport: [transport] }))
    const { client } = own(await listen(createServer(toListener(handler))))
    const call = client.call(post)
    expect((await call.head).status).toBe(200)
    // The loser's connection goes while the answer still flows, though its target hasn't answered yet.
    await slow.requests[0]?.closed
    expect(slow.requests[0]?.aborted).toBe(true)
    gone.resolve()
    expect((await call.answer()).text).toBe('fast')
    expect([slow.codings(), fast.codings()]).toEqual([['gzip'], ['gzip']])
    await until(() => upstream.all.every(({ inFlight }) => inFlight === 0), 'all leases to be released')
    // Short and in memory, it was coded at once, and has a length.
    expect(Number(value(fast.requests[0]?.rawHeaders ?? [], 'content-length'))).toBeGreaterThan(0)
    hold.resolve()
  })

  it('lets go of a refusal that never ends, while the answer to the plain body flows', async () => {
    const refused = deferred()
    const origin = await target(async (_req, res, coding) => {
      if (coding !== undefined) return void res.writeHead(415).write('and another thing: ')
      res.write('o')
      await refused.promise
      res.end('k')
    })
    const at = await rig(origin.url, { to: 'all' })
    const call = at.client.call(post)
    expect((await call.head).status).toBe(200)
    await origin.requests[0]?.closed
    expect(origin.requests[0]?.aborted).toBe(true)
    refused.resolve()
    expect((await call.answer()).text).toBe('ok')
  })

  it('a client that leaves in the middle leaves nothing behind', async () => {
    const origin = own(await originServer((req) => void req.resume()))
    const at = await rig(origin.url, { to: 'all' })
    const call = at.client.call({ method: 'POST', open: true, headers: json })
    call.head.catch(() => {})
    call.body.write(text)
    const request = await origin.request(0)
    call.abort()
    await request.closed
    expect(request.aborted).toBe(true)
    await until(() => at.inFlight() === 0, 'all leases to be released')
  })
})
