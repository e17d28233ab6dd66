import { once } from 'node:events'
import { createServer } from 'node:http2'
import { wireTransport } from '@sluice/forward'
import { bodyBuffer, bodyLimit } from '@sluice/guard'
import { createProxy } from 'sluice'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { attachedFronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { type Answer, type Call, httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { type Front, fronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { echo, type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const post = { method: 'POST', open: true, path: '/slow' } as const

const grpc = ['Content-Type', 'application/grpc+proto']

/** Paths that the target was asked for. */
const asked = ({ requests }: Origin): string[] => requests.map(({ url }) => url)

/** What the front has read so far has been seen to by then. */
async function another(front: Pick<Front, 'client'>): Promise<void> {
  for (let i = 0; i < 3; i++)
    expect(await front.client.ask({ path: '/other' })).toMatchObject({ status: 200 })
}

function write(call: Call, text: string): Promise<void> {
  return new Promise((resolve, reject) =>
    call.body.write(text, (error) => (error ? reject(error) : resolve())),
  )
}

describe.each(fronts)('bodyBuffer through $name', (kind) => {
  it('asks no target before a body is whole, and then with its length', async () => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start({ targets: origin.url, use: [bodyBuffer('1kb')] }))
    const call = front.client.call(post)
    for (const part of ['in ', 'some ']) {
      await write(call, part)
      await another(front)
    }
    expect(new Set(asked(origin))).toEqual(new Set(['/other']))
    call.body.end('parts')
    expect(await call.answer()).toMatchObject({ status: 200, text: 'in some parts', complete: true })
    const { rawHeaders } = await origin.request(6)
    expect(value(rawHeaders, 'content-length')).toBe('13')
    expect(value(rawHeaders, 'transfer-encoding')).toBeUndefined()
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('goes on with one that is larger as soon as enough of it is there', async () => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start({ targets: origin.url, use: [bodyBuffer(1_000)] }))
    const call = front.client.call(post)
    await write(call, 'x'.repeat(999))
    await another(front)
    expect(asked(origin)).not.toContain('/slow')
    await write(call, 'y')
    const { req } = await until(() => origin.requests.find(({ url }) => url === '/slow'), 'the request')
    expect(req.complete).toBe(false)
    call.body.end('z'.repeat(300_000))
    const answer = await call.answer()
    expect(answer.text === `${'x'.repeat(999)}y${'z'.repeat(300_000)}`).toBe(true)
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('passes on what has no body, an empty one, and one that comes at once', async () => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start({ targets: origin.url, use: [bodyBuffer('64kb')] }))
    expect(await front.client.ask()).toMatchObject({ status: 200, text: '' })
    expect(await front.client.ask({ method: 'POST' })).toMatchObject({ status: 200, text: '' })
    for (const body of ['short', 'x'.repeat(100_000)])
      for (const chunked of [false, true]) {
        const answer = await front.client.ask({ method: 'POST', body, chunked })
        expect([answer.status, answer.text === body]).toEqual([200, true])
      }
  })

  it('a client that leaves before its body is there has asked nobody', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [bodyBuffer('1kb')] }))
    const call = front.client.call(post)
    call.body.on('error', () => {})
    await write(call, 'half')
    await another(front)
    const left = call.head.catch(() => 'left')
    call.abort()
    expect(await left).toBe('left')
    await another(front)
    expect(new Set(asked(origin))).toEqual(new Set(['/other']))
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('a body that is too large is 413 before a target is asked, where the limit is no larger', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit(10), bodyBuffer('1kb')] }))
    const answer = await front.client.ask({ method: 'POST', body: 'x'.repeat(20), chunked: true })
    expect(answer).toMatchObject({ status: 413 })
    expect(origin.requests).toHaveLength(0)
  })

  it('a target that can’t be reached costs nothing of it: the next one has all', async () => {
    const origin = own(await originServer(echo))
    const dead = await deadTarget()
    const front = own(await kind.start({ targets: [dead.url, origin.url], use: [bodyBuffer('1kb')] }))
    for (let i = 0; i < 4; i++)
      expect(await front.client.ask({ method: 'POST', body: 'all of it', chunked: true })).toMatchObject({
        status: 200,
        text: 'all of it',
      })
  })

  it.each(kind.http2 ? ['HTTP/2'] : [])(
    'calls of gRPC over %s are conversations, and are let be',
    async () => {
      const origin = own(
        await originServer((req, res) => {
          req.once('data', (part: Buffer) => res.write(part))
          req.on('end', () => res.end())
        }),
      )
      const front = own(await kind.start({ targets: origin.url, use: [bodyBuffer('1kb')] }))
      const call = front.client.call({ ...post, headers: [...grpc, 'TE', 'trailers'] })
      call.body.write('hello')
      const { body } = await call.head
      expect(String((await once(body, 'data'))[0])).toBe('hello')
      call.body.end()
      expect((await call.answer()).complete).toBe(true)
    },
  )

  it.each<[string, string[]]>([
    ['that clients of it do not make', grpc],
    ['whose length is known', [...grpc, 'TE', 'trailers', 'Content-Length', '3']],
    ['for browsers, which are no conversations', ['Content-Type', 'application/grpc-web', 'TE', 'trailers']],
    ...(kind.http2
      ? []
      : [['over HTTP/1.1, where there is none', [...grpc, 'TE', 'trailers']] as [string, string[]]]),
  ])('calls of gRPC %s are waited for', async (_, headers) => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start({ targets: origin.url, use: [bodyBuffer('1kb')] }))
    const call = front.client.call({ ...post, headers })
    await write(call, 'o')
    await another(front)
    expect(asked(origin)).not.toContain('/slow')
    call.body.end('ne')
    expect(await call.answer()).toMatchObject({ status: 200, text: 'one' })
  })

  it('0 waits for nothing', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [bodyBuffer(0)] }))
    const call = front.client.call(post)
    await write(call, 'x')
    await until(() => origin.requests.length === 1, 'the request')
    call.body.end()
    await call.answer()
  })
})

describe.each(attachedFronts)('bodyBuffer, trailers and 100 Continue, through $name', (kind) => {
  it('trailers come with it', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [bodyBuffer('1kb')] }))
    const call = front.client.call({ ...post, headers: ['TE', 'trailers'] })
    // A stream of HTTP/2 has its trailers from elsewhere.
    if (!('addTrailers' in call.body)) return call.abort()
    ;(call.body as { addTrailers(fields: object): void }).addTrailers({ 'X-Sum': 'abc' })
    call.body.end('summed')
    expect(await call.answer()).toMatchObject({ status: 200 })
    const seen = await origin.request()
    await seen.body()
    expect(seen.rawTrailers).toEqual(['X-Sum', 'abc'])
  })

  it('whether a client that asks first is to send its body is for the target to say', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 417 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [bodyBuffer('1kb')] }))
    const coding = kind.http2 ? [] : ['Transfer-Encoding', 'chunked']
    const call = front.client.call({ ...post, headers: ['Expect', '100-continue', ...coding] })
    let heard = 0
    call.body.on('continue', () => heard++)
    call.body.on('error', () => {})
    expect(await call.answer()).toMatchObject({ status: 417, text: 'no' })
    expect(heard).toBe(0)
    call.abort()
  })
})

describe.each(attachedRawFronts)('bodyBuffer, through $name', (kind) => {
  const refusing = async () =>
    own(
      await kind.start({
        targets: (await deadTarget()).url,
        use: [bodyBuffer(10), () => () => ({ status: 403, headers: [], body: 'no' })],
      }),
    )

  it('nobody takes a body that is whole, and the next request has its answer', async () => {
    const { port } = await refusing()
    const bytes =
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nwholeGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    const { responses } = await rawRequest(port, bytes)
    expect(responses.map(({ status }) => status)).toEqual([403, 403])
  })

  it('nor the rest of one that is still to come: the connection ends in good order', async () => {
    const { port } = await refusing()
    const bytes = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n${'x'.repeat(100_000)}`
    const { ended, responses } = await rawRequest(port, bytes)
    expect([responses.map(({ status }) => status), ended]).toEqual([[403], 'end'])
    expect(value(responses[0]?.headers ?? [], 'connection')).toBe('close')
  })
})

it('createProxy lets calls of gRPC be where targets may speak it: over HTTP/2', async () => {
  const origin = own(await originServer(echo))
  const targets = [origin.url]
  const proxy = own(
    createProxy({
      upstreams: {
        plain: { targets },
        may: { targets, http2: 'alpn' },
        own: { targets, transport: wireTransport() },
      },
      routes: ['plain', 'may', 'own'].map((upstream) => ({ upstream, path: `/${upstream}` })),
      guard: { bodyBuffer: '1kb' },
    }),
  )
  const { client } = own(await listen(createServer(proxy.listener), { http2: true }))
  const calls = ['/own', '/plain', '/may'].map((path) =>
    client.call({ ...post, path, headers: [...grpc, 'TE', 'trailers'] }),
  )
  for (const call of calls) await write(call, 'a part')
  await until(() => asked(origin).length === 2, 'two requests')
  expect(new Set(asked(origin))).toEqual(new Set(['/own', '/may']))
  for (const call of calls) call.body.end('.')
  const answers: Answer[] = await Promise.all(calls.map((call) => call.answer()))
  expect(answers.map(({ text }) => text)).toEqual(['a part.', 'a part.', 'a part.'])
})

it('createProxy has one for all routes, and each route its own', async () => {
  const origin = own(await originServer())
  const proxy = own(
    createProxy({
      upstreams: { site: { targets: [origin.url] } },
      routes: [
        { upstream: 'site', path: '/talk', limits: { bodyBuffer: 0 } },
        { upstream: 'site', path: '/short', limits: { bodyBuffer: 5 } },
        { upstream: 'site' },
      ],
      guard: { bodyBuffer: '1kb' },
    }),
  )
  const { port } = await proxy.listen()
  const client = own(httpClient({ port }))
  const calls = ['/talk', '/short', '/other'].map((path) => client.call({ ...post, path }))
  for (const call of calls) await write(call, 'a part')
  await until(() => asked(origin).length === 2, 'two requests')
  expect(new Set(asked(origin))).toEqual(new Set(['/talk', '/short']))
  for (const call of calls) call.body.end('.')
  const answers: Answer[] = await Promise.all(calls.map((call) => call.answer()))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect((await (await origin.request(2)).body()).toString()).toBe('a part.')
})
