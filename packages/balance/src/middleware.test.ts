import { PassThrough } from 'node:stream'
import { type Context, chain, discard, type Outcome, ProxyError, PushBody, type Reply } from '@sluice/core'
import {
  createUpstream,
  leftLine,
  type Selected,
  type Target,
  type TargetInit,
  type Tried,
} from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { balance, first, sticky, targetFrom, withParts } from './index.js'

class Source extends PushBody {
  done(): void {
    this.finish()
  }
  lose(error: Error): void {
    this.fail(error)
  }
  protected resume(): void {}
  protected stop(): void {}
}

/** As much of a context as `balance` needs. */
function context(keys: object = {}): Context & Selected & { close(): void } {
  const closers: (() => void)[] = []
  return {
    ...keys,
    onClose: (fn: (end: unknown, arg: unknown) => void, arg: unknown) =>
      closers.push(() => fn({ kind: 'done', bytes: 0 }, arg)),
    close() {
      for (const close of closers) close()
    },
  } as never
}

const sink = { write: () => true, end() {}, abort() {}, onDrain() {} }
const upstreamOf = (...targets: TargetInit[]) => createUpstream({ name: 'api', targets })

it('adds target and lease, and holds the lease until the body has ended', async () => {
  const upstream = upstreamOf('http://a')
  const [target] = upstream.all
  let now = 0
  const body = new Source()
  const handler = balance(upstream, undefined, { clock: () => now })((ctx) => {
    expect(ctx.target).toBe(target)
    expect(ctx.lease.target).toBe(target)
    now += 40
    return { status: 200, headers: [], body }
  })
  await handler(context())
  expect(target?.inFlight).toBe(1)
  body.pipe(sink)
  body.done()
  expect([target?.inFlight, target?.ewma]).toEqual([0, 40])
})

it.each([
  ['fails', (body: Source) => body.lose(new ProxyError('http_response_incomplete'))],
  ['is dropped', (body: Source, reply: Reply) => discard({ ...reply, body })],
  [
    'is never taken, and the exchange ends',
    (_body: Source, _reply: Reply, ctx: { close(): void }) => ctx.close(),
  ],
])('ends the lease when the body %s', async (_name, end) => {
  const upstream = upstreamOf('http://a')
  const body = new Source()
  const ctx = context()
  const reply = await balance(upstream)(() => ({ status: 200, headers: [], body }))(ctx)
  expect(upstream.all[0]?.inFlight).toBe(1)
  end(body, reply, ctx)
  expect([upstream.all[0]?.inFlight, upstream.all[0]?.ewma]).toEqual([0, 0])
})

it('tells the policy of an answer with its head, of what breaks after it too, and of a tunnel nothing', async () => {
  const heard: unknown[] = []
  const policy = withParts<unknown>((list) => list[0], {
    observe: (_target, result) => heard.push([result?.ok, result?.status, result?.error?.message]),
  })
  const upstream = upstreamOf('http://a')
  const replies: Reply[] = [
    { status: 200, headers: [], body: new Source() },
    { status: 200, headers: [], body: new Source() },
    { status: 101, headers: [], body: null, socket: new PassThrough() },
  ]
  let i = 0
  const handler = balance(upstream, policy)(() => replies[i++] as Reply)
  const [whole, broken, tunnel] = [
    await handler(context()),
    await handler(context()),
    await handler(context()),
  ]
  expect(heard).toEqual([
    [true, 200, undefined],
    [true, 200, undefined],
  ])
  ;(whole.body as Source).pipe(sink)
  ;(whole.body as Source).done()
  ;(broken.body as Source).lose(new ProxyError('http_response_incomplete', { message: 'cut' }))
  tunnel.socket?.destroy()
  await new Promise((resolve) => tunnel.socket?.once('close', resolve))
  expect(heard.slice(2)).toEqual([[false, undefined, 'cut']])
  expect(upstream.all[0]?.inFlight).toBe(0)
})

it.each([
  ['an answer of 503 that a layer drops', 503, undefined, { ok: true, ttfb: 40, status: 503 }],
  ['an answer of 200 that a layer drops', 200, undefined, undefined],
  ['an answer of 503 whose client left', 503, new ProxyError('client_left'), undefined],
])('tells of %s', async (_name, status, why, result) => {
  const upstream = upstreamOf('http://a')
  const heard: unknown[] = []
  upstream.on('result', (_target, result) => void heard.push(result))
  let now = 0
  const body = new Source()
  const handler = balance(upstream, undefined, { clock: () => now })(() => {
    now += 40
    return { status, headers: [], body }
  })
  await handler(context())
  body.cancel(why)
  expect(heard).toEqual([result])
})

it.each([
  ['no file was left to open', Object.assign(new Error(), { code: 'EMFILE' })],
  ['it has left the line for a connection', leftLine],
])('holds nothing against a target that was sent nothing, since %s', async (_name, cause) => {
  const upstream = upstreamOf('http://a')
  const heard: unknown[] = []
  upstream.on('result', (_target, result) => void heard.push(result))
  const error = new ProxyError('connection_timeout', { cause })
  const handler = balance(upstream)(() => Promise.reject(error))
  await expect(handler(context())).rejects.toBe(error)
  expect(heard).toEqual([undefined])
})

it('adds its cookie to a copy: a handler may give one reply many times', async () => {
  const shared: Reply = { status: 200, headers: ['x-app', '1'], body: 'ok' }
  const handler = balance(upstreamOf('http://a'), sticky(first(), { secret: 'a'.repeat(32) }))(() => shared)
  const asked = () => handler({ ...context(), out: { headers: [] }, scheme: 'http' } as never)
  for (const { headers } of [await asked(), await asked()])
    expect(headers.filter((name) => name === 'set-cookie')).toHaveLength(1)
  expect(shared.headers).toEqual(['x-app', '1'])
})

describe('an attempt that never settles', () => {
  const timeout = new ProxyError('http_response_timeout')
  it.each<[string, Outcome, unknown]>([
    ['its client has left', { kind: 'client-left', bytes: 0 }, undefined],
    ['its time is over', { kind: 'error', error: timeout, bytes: 0 }, { ok: false, error: timeout }],
    [
      'the exchange has failed on another target',
      { kind: 'error', error: new ProxyError('connection_refused', { target: 'http://b' }), bytes: 0 },
      undefined,
    ],
    [
      'the app has failed',
      { kind: 'error', error: new ProxyError('proxy_internal_error'), bytes: 0 },
      undefined,
    ],
    ['another one has answered', { kind: 'done', bytes: 0 }, undefined],
  ])('has its lease ended when %s', async (_name, end, result) => {
    const upstream = upstreamOf('http://a')
    const heard: unknown[] = []
    upstream.on('result', (_target, result) => heard.push(result))
    const closers: (() => void)[] = []
    const ctx = {
      onClose: (fn: (end: Outcome, arg: unknown) => void, arg: unknown) => closers.push(() => fn(end, arg)),
    }
    let answer: (reply: Reply) => void = () => {}
    const late = balance(upstream)(() => new Promise<Reply>((resolve) => (answer = resolve)))(ctx as never)
    for (const close of closers) close()
    expect([upstream.all[0]?.inFlight, heard]).toEqual([0, [result]])
    // What comes later changes nothing.
    const body = new Source()
    answer({ status: 200, headers: [], body })
    await late
    body.done()
    expect([upstream.all[0]?.inFlight, heard]).toEqual([0, [result]])
  })
})

it('ends the lease at once when the attempt throws', async () => {
  const upstream = upstreamOf('http://a')
  const handler = balance(upstream)(() => {
    throw new ProxyError('connection_refused')
  })
  await expect(async () => handler(context())).rejects.toThrow('refused')
  expect(upstream.all[0]?.inFlight).toBe(0)
})

it('says which upstream has nobody', async () => {
  const upstream = upstreamOf('http://a')
  upstream.drain('http://a')
  const handler = balance(upstream)(() => ({ status: 200, headers: [], body: null }))
  await expect(async () => handler(context())).rejects.toMatchObject({
    code: 'destination_unavailable',
    status: 503,
    message: 'upstream api has no target that may be used',
  })
})

it('of an upstream that was emptied what is in flight finishes, and the next is told so, until there are targets', async () => {
  const upstream = upstreamOf('http://a')
  const body = new Source()
  const handler = balance(upstream)(() => ({ status: 200, headers: [], body }))
  const { target } = upstream.lease(upstream.all[0] as Target)
  const reply = await handler(context())
  upstream.replace([])
  await expect(async () => handler(context())).rejects.toMatchObject({
    code: 'destination_unavailable',
    status: 503,
    message: 'upstream api has no targets',
    retryAfter: undefined,
  })
  expect([reply.body, target.inFlight]).toEqual([body, 2])
  upstream.replace(['http://b'])
  expect((await handler(context())).status).toBe(200)
})

it('asks targets known to be fit first, then by priority, and the tried ones last', async () => {
  const upstream = upstreamOf({ url: 'http://a', priority: 1 }, 'http://b', 'http://c')
  const seen: string[] = []
  const handler = balance(
    upstream,
    first(),
  )((ctx) => {
    seen.push(ctx.target.id)
    return { status: 200, headers: [], body: null }
  })
  const tried: Target[] = []
  for (let i = 0; i < 4; i++) {
    const ctx = context({ tried: [...tried] } satisfies Tried)
    await handler(ctx)
    tried.push(ctx.target)
  }
  expect(seen).toEqual(['http://b', 'http://c', 'http://a', 'http://b'])
  seen.length = 0
  upstream.mark(upstream.all[0] as Target, 'healthy', 'probe')
  await handler(context())
  expect(seen).toEqual(['http://a'])
})

it('asks whether a spare try is affordable when there is a target for it, before its lease', async () => {
  const upstream = upstreamOf('http://a', 'http://b')
  const [a, b] = upstream.all as [Target, Target]
  let asked = 0
  const tried = (list: Target[], yes: boolean) =>
    context({ tried: list, spare: true, afford: () => ++asked > 0 && yes } satisfies Tried)
  const handler = balance(upstream)(() => ({ status: 200, headers: [], body: null }))
  await expect(handler(tried([a, b], true))).rejects.toMatchObject({ code: 'destination_unavailable' })
  expect(asked).toBe(0)
  await expect(handler(tried([a], false))).rejects.toMatchObject({ code: 'destination_unavailable' })
  expect([asked, b.leased]).toEqual([1, 0])
  expect(await handler(tried([a], true))).toMatchObject({ status: 200 })
  expect([asked, b.leased]).toEqual([2, 1])
})

it('gives a spare try another target that has room, or none', async () => {
  const upstream = upstreamOf('http://a', 'http://b')
  const [a, b] = upstream.all as [Target, Target]
  const handler = balance(upstream)(() => ({ status: 200, headers: [], body: null }))
  const ctx = context({ tried: [a], spare: true } satisfies Tried)
  await handler(ctx)
  expect(ctx.target).toBe(b)
  const none = { code: 'destination_unavailable', message: 'upstream api has no other target with room' }
  await expect(handler(context({ tried: [a, b], spare: true } satisfies Tried))).rejects.toMatchObject(none)
  upstream.gate((target) => target === a)
  await expect(handler(context({ tried: [a], spare: true } satisfies Tried))).rejects.toMatchObject(none)
  expect([a.inFlight, b.inFlight]).toEqual([0, 0])
  // The request itself says where it goes.
  const named = targetFrom(() => 'http://a')(() => ({ status: 200, headers: [], body: null }))
  await expect(named(context({ spare: true } satisfies Tried))).rejects.toMatchObject({
    code: 'destination_unavailable',
  })
})

it.each<[string, (upstream: ReturnType<typeof upstreamOf>, target: Target) => void]>([
  ['drained', (upstream, { id }) => upstream.drain(id)],
  ['ejected', (upstream, target) => upstream.eject(target, 'late', 'test')],
  ['taken out', (upstream) => upstream.replace(['http://b', 'http://c'])],
])('gives none that has been %s while others were asked about', async (_how, lose) => {
  const upstream = upstreamOf('http://a', 'http://b', 'http://c')
  const [a, b, c] = upstream.all as [Target, Target, Target]
  // As with a breaker that lets one in again, which lets another go that has asked to.
  upstream.gate((target) => {
    if (target === b && upstream.available.includes(a)) lose(upstream, a)
    return target !== b
  })
  const picked: (Target | undefined)[] = []
  const ctx = context()
  await balance(upstream, (targets, _ctx, not) => {
    const target = targets.filter((each) => not?.(each) !== true).at(0)
    picked.push(target)
    return target
  })(() => ({ status: 200, headers: [], body: null }))(ctx)
  expect(picked).toEqual([a])
  expect(ctx.target).toBe(c)
})

it('corrects a policy that ignores what is left out', async () => {
  const upstream = upstreamOf('http://a', 'http://b')
  const [a] = upstream.all as [Target]
  const ctx = context({ tried: [a] })
  await balance(upstream, () => a)(() => ({ status: 200, headers: [], body: null }))(ctx)
  expect(ctx.target.id).toBe('http://b')
})

it('by default takes turns over two targets, and draws two of more', async () => {
  const count = async (urls: string[], held = 0): Promise<string[]> => {
    const upstream = upstreamOf(...urls)
    for (let i = 0; i < held; i++) upstream.lease(upstream.all[0] as Target)
    const handler = balance(upstream)(() => ({ status: 200, headers: [], body: null }))
    const seen: string[] = []
    for (let i = 0; i < 6; i++) {
      const ctx = context()
      await handler(ctx)
      seen.push(ctx.target.id)
    }
    return seen
  }
  expect(await count(['http://a', 'http://b'])).toEqual([
    'http://a',
    'http://b',
    'http://a',
    'http://b',
    'http://a',
    'http://b',
  ])
  // Whichever two are drawn, one of them has less in flight than the first.
  const seen = await count(['http://a', 'http://b', 'http://c'], 1)
  expect([seen.length, seen.includes('http://a')]).toEqual([6, false])
})

it('is a middleware of a chain', () => {
  const handler = chain()
    .use(balance(upstreamOf('http://a'), first()))
    .handle((ctx) => ({ status: 200, headers: ['target', ctx.target.id], body: null }))
  expect(typeof handler).toBe('function')
})

it.each([
  [{ max: 0 }, 'targetFrom.max: got 0, takes a whole number from 1 to 1000000'],
  // A table of so many places is made at once.
  [{ max: 1e9 }, 'targetFrom.max: got 1000000000'],
  [{ maks: 5 }, 'targetFrom.maks: unknown option, did you mean max?'],
  [{ clock: 5 }, 'targetFrom.clock: got 5, takes a function'],
])('targetFrom refuses %j', (options, says) => {
  expect(() => targetFrom(() => 'http://a', options as never)).toThrow(says)
})

it('leaves out who is full, tells the status of the answer, and says when nobody has room', async () => {
  const upstream = upstreamOf('http://a', 'http://b')
  const told: unknown[] = []
  upstream.on('result', (target, result) => told.push([target.id, result?.status]))
  const open = upstream.gate(({ inFlight }) => inFlight < 1)
  const bodies: Source[] = []
  const handler = balance(
    upstream,
    first(),
  )(() => {
    const body = new Source()
    bodies.push(body)
    return { status: 404, headers: [], body }
  })
  const one = context()
  await handler(one)
  const two = context({ tried: [upstream.all[1]] })
  // The other one was tried, but the first has no room.
  await handler(two)
  expect([one.target.id, two.target.id]).toEqual(['http://a', 'http://b'])
  await expect(handler(context())).rejects.toThrow('upstream api has no target that takes a request now')
  for (const body of bodies) {
    body.pipe(sink)
    body.done()
  }
  expect(told).toEqual([
    ['http://a', 404],
    ['http://b', 404],
  ])
  open()
  await handler(context({ tried: upstream.all }))
})
