import { Readable } from 'node:stream'
import {
  type Client,
  type Context,
  errorPages,
  type HookResult,
  type Layer,
  onError,
  onRequest,
  onResponse,
  ProxyError,
  type Reply,
  toReadable,
} from '@sluice/core'
import { createProxy } from 'sluice'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Front, fronts, listening, rawFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { mountNamed } from '../kit/mounts.js'
import { observer } from '../kit/observer.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

type Site = Context & Client
const request = (fn: (ctx: Site) => HookResult): Layer<Site> => onRequest<Site>(fn)
const response = (fn: (reply: Reply, ctx: Site) => HookResult): Layer<Site> => onResponse<Site>(fn)
const failed = (fn: (error: ProxyError, ctx: Site) => HookResult): Layer<Site> => onError<Site>(fn)

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

/** An origin whose answer never ends. */
const endless = () =>
  originServer((req, res) => {
    req.resume()
    res.writeHead(200, { 'Content-Type': 'text/plain' })
    res.write('x'.repeat(1000))
  })

/** Every exchange with the target has been cut: none is still open. A pool may have opened a connection for the next one. */
const letGo = (origin: Origin): Promise<boolean> =>
  until(() => origin.requests.every(({ aborted }) => aborted), 'the target to be let go')

let count = 0
/**
 * Words that no other test says: what was told once isn't told again. Of a hundred different errors of one process no more are told, so it is looked at through
 * one front, and the others say all the same.
 */
const secret = (kind: object): string => `secret ${kind === listening ? ++count : 0} of /srv/app.js`

describe.each(fronts)('hooks through $name', (kind) => {
  it('onRequest edits what goes out, waits, or answers by itself', async () => {
    const origin = own(await originServer())
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          request(async ({ out, client }) => {
            await Promise.resolve()
            out.headers.push('X-Hook', client.address)
          }),
          request(({ out }) =>
            out.path === '/own' ? { status: 202, headers: ['x-own', '1'], body: 'own' } : undefined,
          ),
        ],
      }),
    )
    expect(await front.client.ask({ method: 'POST', body: 'abc' })).toMatchObject({ status: 200 })
    const seen = await origin.request()
    expect(value(seen.rawHeaders, 'x-hook')).toBe('127.0.0.1')
    expect(String(await seen.body())).toBe('abc')
    const answer = await front.client.ask({ path: '/own', method: 'POST', body: 'x'.repeat(100_000) })
    expect(answer).toMatchObject({ status: 202, text: 'own', complete: true })
    expect(origin.requests).toHaveLength(1)
    await released(front)
  })

  it('onResponse edits in place, or gives another reply and lets the target go', async () => {
    const origin = own(await endless())
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          response((reply, ctx) => {
            if (ctx.out.path !== '/edit') return { status: 299, headers: [], body: 'other' }
            reply.status = 203
            reply.headers.push('X-Edited', 'yes')
            reply.body = toReadable(reply.body)
              .map((chunk: Buffer) => String(chunk).toUpperCase())
              .take(1)
            return undefined
          }),
        ],
      }),
    )
    const edited = await front.client.ask({ path: '/edit' })
    expect(edited).toMatchObject({ status: 203, text: 'X'.repeat(1000), complete: true })
    expect(value(edited.headers, 'x-edited')).toBe('yes')
    expect(await front.client.ask()).toMatchObject({ status: 299, text: 'other' })
    await released(front)
    await letGo(origin)
  })

  it('a new reply may carry the body on', async () => {
    const origin = own(await originServer((_req, res) => void res.end('a body that goes on')))
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          response((reply) => ({ ...reply, status: 201 })),
          response(async (reply) => {
            await Promise.resolve()
            return { status: 200, headers: [], body: toReadable(reply.body).map((chunk: Buffer) => chunk) }
          }),
        ],
      }),
    )
    expect(await front.client.ask()).toMatchObject({
      status: 201,
      text: 'a body that goes on',
      complete: true,
    })
    await released(front)
  })

  it.each([
    ['onRequest throws', request, false, false],
    ['onRequest rejects', request, true, false],
    ['onResponse throws', response, false, true],
    ['onResponse rejects', response, true, true],
  ] as const)('%s: 500, one report with the stack, and nothing leaks', async (_name, hook, later, asked) => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const words = secret(kind)
    const fail = later
      ? async () => {
          await Promise.resolve()
          throw new Error(words)
        }
      : () => {
          throw new Error(words)
        }
    const origin = own(await endless())
    const front = own(await kind.start({ targets: origin.url, use: [(hook as typeof request)(fail)] }))
    for (let i = 0; i < 3; i++) {
      const answer = await front.client.ask(i === 1 ? { method: 'POST', body: 'x'.repeat(200_000) } : {})
      expect(answer).toMatchObject({ status: 500, complete: true })
      expect(answer.text + answer.headers.join()).not.toContain('secret')
    }
    expect(origin.requests).toHaveLength(asked ? 3 : 0)
    await released(front)
    await letGo(origin)
    const told = warn.mock.calls.filter(([warning]) => String(warning).includes(words))
    if (kind !== listening) return
    expect(told).toHaveLength(1)
    expect((told[0]?.[1] as unknown as { detail?: string } | undefined)?.detail).toMatch(/hooks\.test\.ts/)
  })

  it('a ProxyError that a hook throws keeps its status', async () => {
    const origin = own(await originServer())
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          request(() => {
            throw new ProxyError('destination_unavailable')
          }),
        ],
      }),
    )
    expect(await front.client.ask()).toMatchObject({ status: 503, complete: true })
  })

  it.each([
    ['a line break in a value', 'X-A', 'b\r\nX-Evil: 1\r\n\r\nHTTP/1.1 200 OK\r\n'],
    ['a bare LF', 'X-A', 'b\nX-Evil: 1'],
    ['a NUL', 'X-A', 'b\0'],
    ['a character beyond bytes', 'X-A', 'b\u010aX-Evil: 1'],
    ['a line break in a name', 'X-A: b\r\nX-Evil', '1'],
    ['a blank in a name', 'X A', 'b'],
    ['no name', '', 'b'],
    ['a pseudo field', ':status', '200'],
    ['a value that is no text', 'X-A', 7 as unknown as string],
    ['no value', 'X-A', undefined as unknown as string],
    ['another length', 'Content-Length', '1'],
  ])('%s is a 500, and never a second field or message', async (_name, field, text) => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(await endless())
    const out = own(
      await kind.start({
        targets: origin.url,
        use: [request((ctx) => void ctx.out.headers.push(field, text))],
      }),
    )
    if (field !== 'Content-Length') {
      expect(await out.client.ask()).toMatchObject({ status: 500, complete: true })
      expect(origin.requests).toHaveLength(0)
    }
    const back = own(
      await kind.start({
        targets: origin.url,
        use: [
          response((reply, ctx) => {
            if (field === 'Content-Length') reply.headers.push(field, '2')
            if (ctx.out.path === '/new') return { status: 200, headers: [field, text], body: 'new' }
            reply.headers.push(field, text)
            return undefined
          }),
        ],
      }),
    )
    for (const path of ['/', '/new']) {
      const answer = await back.client.ask({ path })
      expect(answer).toMatchObject({ status: 500, complete: true })
      expect(value(answer.headers, 'x-evil')).toBeUndefined()
    }
    await released(back)
    await letGo(origin)
  })

  it.each([
    ['a path with a line break', (ctx: Site) => void Object.assign(ctx.out, { path: '/ HTTP/1.1\r\nX: y' })],
    ['a path with a blank', (ctx: Site) => void Object.assign(ctx.out, { path: '/a b' })],
    ['an empty path', (ctx: Site) => void Object.assign(ctx.out, { path: '' })],
    ['a method with a blank', (ctx: Site) => void Object.assign(ctx.out, { method: 'GET /x' })],
    ['a framing of its own', (ctx: Site) => void ctx.out.headers.push('Transfer-Encoding', 'chunked')],
    ['a connection of its own', (ctx: Site) => void ctx.out.headers.push('Connection', 'x-a', 'X-A', '1')],
    ['another protocol', (ctx: Site) => void ctx.out.headers.push('upgrade', 'websocket')],
    ['no list', (ctx: Site) => void Object.assign(ctx.out, { headers: ['a'] })],
    ['no reply', () => 'ok' as never],
    ['a reply of no status', () => ({ status: 99, headers: [], body: null })],
    ['a 101 without a socket', () => ({ status: 101, headers: [], body: null })],
  ] as readonly [string, (ctx: Site) => HookResult][])(
    'onRequest that gives %s is a 500',
    async (_name, hook) => {
      const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
      const origin = own(await originServer())
      const front = own(await kind.start({ targets: origin.url, use: [request(hook)] }))
      expect(await front.client.ask()).toMatchObject({ status: 500, complete: true })
      expect(origin.requests).toHaveLength(0)
      for (const [warning] of warn.mock.calls) expect(String(warning)).toMatch(/onRequest gave/)
    },
  )

  it('onRequest that reads the body and puts nothing in its place is a 500, and no target hears of it', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(await originServer())
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          request(async ({ req, out }) => {
            const read = toReadable(out.path === '/out' ? out.body : (req as Readable))
            let text = ''
            for await (const chunk of read) text += chunk
            if (out.path === '/replaced') out.body = text.toUpperCase()
          }),
        ],
      }),
    )
    const post = { method: 'POST', body: 'hello' }
    for (const path of ['/out', '/req']) {
      expect(await front.client.ask({ ...post, path })).toMatchObject({ status: 500, complete: true })
    }
    expect(origin.requests).toHaveLength(0)
    for (const [warning] of warn.mock.calls) expect(String(warning)).toMatch(/read/)
    expect(await front.client.ask({ ...post, path: '/replaced' })).toMatchObject({ status: 200 })
    expect(String(await origin.requests[0]?.body())).toBe('HELLO')
    await released(front)
  })

  it('a client that leaves while onRequest waits: the target is never called, and nothing leaks', async () => {
    const leaks = leakCheck()
    const origin = await originServer()
    const seen = observer()
    const put = new Readable({ read() {} })
    let resume: ((reply?: Reply) => void) | undefined
    const front = await kind.start({
      targets: origin.url,
      use: [
        seen.layer,
        request((ctx) => {
          ctx.out.body = put
          return new Promise((resolve) => {
            resume = resolve as never
          })
        }),
      ],
    })
    const call = front.client.call({ method: 'POST', open: true })
    call.head.catch(() => {})
    const go = await until(() => resume, 'the hook')
    call.abort()
    expect((await seen.outcome()).kind).toBe('client-left')
    go()
    await until(() => put.destroyed, 'the body to be let go')
    expect(seen.codes).toEqual(['client_left'])
    expect(origin.requests).toHaveLength(0)
    await front.close()
    await origin.close()
    await leaks.settled()
  })

  it('a client that leaves while onResponse waits: the target is let go at once', async () => {
    const leaks = leakCheck()
    const origin = await endless()
    let asked = 0
    let resume: (() => void) | undefined
    const late = new Readable({ read() {} })
    const front = await kind.start({
      targets: origin.url,
      use: [
        response(async () => {
          asked++
          await new Promise<void>((resolve) => {
            resume = resolve
          })
          return { status: 200, headers: [], body: late }
        }),
      ],
    })
    const call = front.client.call()
    call.head.catch(() => {})
    await until(() => asked === 1, 'the hook')
    call.abort()
    await letGo(origin)
    await released(front)
    resume?.()
    await until(() => late.destroyed, 'what the hook gave to be let go')
    await front.close()
    await origin.close()
    await leaks.settled()
  })

  it('onError hears what is thrown further in, hooks included, and answers or lets it go on', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const dead = await originServer()
    await dead.close()
    const words = secret(kind)
    const heard: string[] = []
    const seen = observer()
    const front = own(
      await kind.start({
        targets: dead.url,
        use: [
          seen.layer,
          errorPages<Site>({ pages: { default: 'page' } }),
          failed(async (error, ctx) => {
            await Promise.resolve()
            heard.push(error.code)
            if (ctx.out.path === '/mended') return { status: 200, headers: [], body: 'from elsewhere' }
            if (ctx.out.path === '/own') return { status: 503, headers: [], body: 'own' }
            return undefined
          }),
          request(({ out }) => {
            if (out.path === '/throws') throw new Error(words)
          }),
        ],
      }),
    )
    expect(await front.client.ask({ path: '/mended' })).toMatchObject({ status: 200, text: 'from elsewhere' })
    expect(await seen.outcome(0)).toMatchObject({ kind: 'done' })
    expect(await front.client.ask({ path: '/own' })).toMatchObject({ status: 503, text: 'own' })
    expect(await seen.outcome(1)).toMatchObject({ kind: 'error', error: { code: 'connection_refused' } })
    expect(await front.client.ask()).toMatchObject({ status: 502, text: 'page' })
    expect(await front.client.ask({ path: '/throws' })).toMatchObject({ status: 500, text: 'page' })
    expect(heard).toEqual([
      'connection_refused',
      'connection_refused',
      'connection_refused',
      'proxy_internal_error',
    ])
  })

  it('onError that throws or gives what forbids itself is a 500, and reported', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const words = secret(kind)
    const dead = await originServer()
    await dead.close()
    const front = own(
      await kind.start({
        targets: dead.url,
        use: [
          failed((_error, ctx) => {
            if (ctx.out.path === '/') throw new Error(words)
            return { status: 200, headers: ['X-A', 'b\r\nX-Evil: 1'], body: words }
          }),
        ],
      }),
    )
    for (const path of ['/', '/splits']) {
      const answer = await front.client.ask({ path })
      expect(answer).toMatchObject({ status: 500, complete: true })
      expect(answer.text + answer.headers.join()).not.toMatch(/secret|evil/i)
    }
    if (kind !== listening) return
    expect(warn.mock.calls.filter(([warning]) => String(warning).includes(words))).toHaveLength(1)
  })
})

const handshake = ['GET /chat HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: echo', '', ''].join(
  '\r\n',
)

/** A target that upgrades and echoes. */
const echoing = () =>
  rawOrigin(async (connection) => {
    await connection.head()
    await connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhead',
    )
    connection.socket.on('data', (chunk) => connection.socket.write(chunk))
  })

describe.each(rawFronts)('hooks on upgrades through $name', (kind) => {
  it('run, at once or later, and the tunnel survives', async () => {
    const origin = own(await echoing())
    const paths: string[] = []
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          request(async ({ out }) => {
            await new Promise((resolve) => setImmediate(resolve))
            paths.push(out.path)
          }),
          response(async (reply) => {
            await new Promise((resolve) => setImmediate(resolve))
            reply.headers.push('X-Hook', 'late')
          }),
          response((reply) => ({ ...reply, headers: [...reply.headers, 'X-Copy', '1'] })),
        ],
      }),
    )
    const client = own(await rawClient(front.port))
    client.write(handshake)
    await client.until('\r\n\r\nhead')
    client.write('to and fro')
    await client.until('to and fro')
    expect(client.text).toMatch(/^HTTP\/1\.1 101 [\s\S]*X-Copy: 1\r\nX-Hook: late\r\n/)
    expect(paths).toEqual(['/chat'])
    client.reset()
    await released(front)
    await until(() => origin.sockets === 0, 'the target to be let go')
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error(secret(kind))
      },
      500,
    ],
    ['refuses', () => ({ status: 403, headers: ['x', 'y'], body: 'no' }), 403],
    [
      'makes another status of it',
      (reply: Reply) => void Object.assign(reply, { status: 403, body: 'no' }),
      403,
    ],
    ['splits', (reply: Reply) => void reply.headers.push('X', 'a\r\nX-Evil: 1'), 500],
  ] as readonly [string, (reply: Reply) => HookResult, number][])(
    'onResponse that %s: no tunnel, and the target is let go',
    async (_name, hook, status) => {
      vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
      const origin = own(await echoing())
      const front = own(await kind.start({ targets: origin.url, use: [response(hook)] }))
      const client = own(await rawClient(front.port))
      client.write(handshake)
      const [answer] = await client.responses()
      expect(answer?.status).toBe(status)
      expect(client.text).not.toMatch(/evil/i)
      await until(() => origin.sockets === 0, 'the target to be let go')
      await released(front)
    },
  )

  it('a client or a target that leaves while onResponse waits leaves nothing', async () => {
    const leaks = leakCheck()
    const origin = await echoing()
    let asked = 0
    const waiting: (() => void)[] = []
    const front = await kind.start({
      targets: origin.url,
      use: [
        response(() => {
          asked++
          return new Promise<void>((resolve) => void waiting.push(resolve))
        }),
      ],
    })
    const leaver = await rawClient(front.port)
    leaver.write(handshake)
    await until(() => asked === 1, 'the hook')
    leaver.reset()
    await until(() => origin.sockets === 0, 'the target to be let go')
    const left = await rawClient(front.port)
    left.write(handshake)
    await until(() => asked === 2, 'the hook')
    ;(await origin.connection(1)).reset()
    await until(() => origin.sockets === 0, 'the target to be gone')
    for (const go of waiting) go()
    await within(left.closed, 'the end of the client')
    left.close()
    await released(front)
    await front.close()
    await origin.close()
    await leaks.settled()
  })
})

describe('hooks of createProxy', () => {
  it('stand in the order pages, onError, onResponse, onRequest, use', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(await originServer())
    const order: string[] = []
    const proxy = own(
      createProxy({
        upstreams: { a: origin.url },
        pages: { default: ({ code }) => `page of ${code}` },
        onError: (error) => void order.push(`error ${error.code}`),
        onResponse: (reply, ctx) => {
          order.push(`response ${reply.status} to ${ctx.client.address}`)
        },
        onRequest: ({ out }) => {
          order.push('request')
          return out.path === '/own' ? { status: 204, headers: [], body: null } : undefined
        },
        use: [
          (next) => (ctx) => {
            order.push('use')
            if (ctx.out.path === '/fails') throw new ProxyError('destination_unavailable')
            return next(ctx)
          },
        ],
      }),
    )
    const front = own(await mountNamed('node:http').serve(proxy))
    await front.client.ask()
    expect(order.splice(0)).toEqual(['request', 'use', 'response 200 to 127.0.0.1'])
    await front.client.ask({ path: '/own' })
    expect(order.splice(0)).toEqual(['request', 'response 204 to 127.0.0.1'])
    expect(await front.client.ask({ path: '/fails' })).toMatchObject({
      status: 503,
      text: 'page of destination_unavailable',
    })
    expect(order.splice(0)).toEqual(['request', 'use', 'error destination_unavailable'])
  })
})

it.each([onRequest, onResponse, onError])('%o wants a function', (hook) => {
  expect(() => (hook as (fn: unknown) => unknown)({})).toThrow(/takes a function/)
})
