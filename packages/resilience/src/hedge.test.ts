import { format, stripVTControlCharacters } from 'node:util'
import { type Context, type Handler, ProxyError, PushBody, type Reply } from '@sluice/core'
import { type Lease, leftLine, type Selected, type Target, type Tried } from '@sluice/upstream'
import debug from 'debug'
import { describe, expect, it, vi } from 'vitest'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { type HedgeOptions, hedge, retry, retryBudget } from './index.js'

type Attempt = Context & Tried & Partial<Selected> & { key?: string }

const target = (id: string): Target => ({ id }) as Target
const reply = (status = 200): Reply => ({ status, headers: [], body: null })
const never = (): Promise<Reply> => new Promise(() => {})
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** As much of a context as `hedge` needs; every fork is kept, and what it was cancelled with. */
function context(out: object = {}, keys: object = {}) {
  const forks: Attempt[] = []
  const cancelled: (string | undefined)[] = []
  const closers: (() => void)[] = []
  const ctx = {
    out: { method: 'GET', path: '/', headers: [], body: null, ...out },
    ...keys,
    onClose: (fn: (end: unknown, arg: unknown) => void, arg: unknown) =>
      closers.push(() => fn({ kind: 'client-left', bytes: 0 }, arg)),
    fork(this: Attempt) {
      const index = forks.length
      const cancel = (error?: ProxyError): void => {
        cancelled[index] ??= error?.code ?? 'lost'
      }
      const fork = { ...this, cancel } as Attempt
      forks.push(fork)
      return fork
    },
  } as unknown as Attempt
  const leave = (): void => {
    for (const close of closers) close()
  }
  return { ctx, forks, cancelled, leave }
}

/** A layer over tries that each go to a target of their own, and end as told by their number. */
function made(options: HedgeOptions, tries: (attempt: Attempt, n: number) => Reply | Promise<Reply>) {
  const timers = handTimers()
  const hands = { now: 0 }
  let calls = 0
  const layer = hedge(options, { after: timers.after, clock: () => hands.now })
  const handler = layer((attempt: Attempt) => {
    const n = ++calls
    attempt.target = target(`t${n}`)
    attempt.lease = { target: attempt.target } as Lease
    return tries(attempt, n)
  }) as Handler
  return { timers, hands, handler, calls: () => calls }
}

describe('the time before the second try', () => {
  it('is the longest while no latency is known, then the quantile of first tries, also of those that lost', async () => {
    const { timers, hands, handler } = made({ max: '2s' }, (_attempt, n) => {
      hands.now += 40
      return n === 2 ? never() : reply()
    })
    void handler(context().ctx)
    expect(timers.waits).toEqual([2_000])
    await turn()
    expect(timers.waits).toEqual([])
    void handler(context().ctx)
    expect(timers.waits[0]).toBeGreaterThanOrEqual(40)
    expect(timers.waits[0]).toBeLessThan(44)
    hands.now += 60
    await timers.fire()
    await turn()
    // 40, and 140 that the first try ran before it lost.
    void handler(context().ctx)
    expect(timers.waits[0]).toBeGreaterThanOrEqual(140)
  })

  it.each<[HedgeOptions, number]>([
    [{ after: '70ms' }, 70],
    [{ after: 0 }, 0],
    [{ min: 50, max: 60 }, 50],
    [{ min: 1, max: 20 }, 20],
  ])('%j', async (options, wait) => {
    const { timers, hands, handler } = made(options, (_attempt, n) => {
      hands.now += options.max === 20 ? 40 : 10
      return n === 1 ? reply() : never()
    })
    await handler(context().ctx)
    void handler(context().ctx)
    expect(timers.waits).toEqual([wait])
  })
})

it.each<[string, object, object]>([
  ['a method that is not listed', { method: 'POST' }, {}],
  ['CONNECT', { method: 'CONNECT' }, {}],
  ['a body that flows', { body: new (PushBody as unknown as new () => PushBody)() }, {}],
  ['an upgrade', {}, { upgrade: 'websocket' }],
])('%s costs no more than a look: no fork, no timer, no budget', async (_name, out, keys) => {
  const budget = {
    request: () => expect.unreachable(),
    take: () => expect.unreachable(),
  }
  const { timers, handler } = made({ budget }, () => reply())
  const { ctx, forks } = context(out, keys)
  const answer = handler(ctx)
  expect(answer).not.toBeInstanceOf(Promise)
  expect([timers.waits, forks, ctx.target?.id]).toEqual([[], [], 't1'])
})

it('has one timer for all of its requests, and each has its second try in its time', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    let now = 0
    const pass = async (ms: number): Promise<void> => {
      now += ms
      await vi.advanceTimersByTimeAsync(ms)
    }
    let calls = 0
    const handler = hedge(
      { after: 50 },
      { clock: () => now },
    )((attempt: Attempt) => {
      attempt.lease = {} as Lease
      return ++calls % 10 === 0 ? Promise.resolve(reply()) : never()
    }) as Handler
    for (let i = 0; i < 100; i++) {
      void handler(context().ctx)
      await pass(i === 49 ? 10 : 0)
    }
    await turn()
    expect([calls, vi.getTimerCount()]).toEqual([100, 1])
    await pass(40)
    expect([calls, vi.getTimerCount()]).toEqual([145, 1])
    await pass(10)
    expect([calls, vi.getTimerCount()]).toEqual([190, 0])
  } finally {
    vi.useRealTimers()
  }
})

it('takes a body in memory', async () => {
  for (const body of [null, '', 'text', Buffer.from('bytes')]) {
    const { handler } = made({}, () => reply())
    const { ctx, forks } = context({ body })
    await handler(ctx)
    expect(forks).toHaveLength(1)
  }
})

it('tells what was tried, and what the winner has added', async () => {
  const before = [target('before')]
  const { timers, handler } = made({}, (attempt, n) => {
    attempt.key = `of ${n}`
    attempt.out.path = '/edited'
    return n === 1 ? never() : reply()
  })
  const { ctx, forks, cancelled } = context({}, { tried: before })
  const answer = handler(ctx)
  await timers.fire()
  expect(await answer).toMatchObject({ status: 200 })
  const ids = forks.map(({ tried, spare }) => [tried?.map(({ id }) => id), spare])
  expect(ids).toEqual([
    [['before'], undefined],
    [['before', 't1'], true],
  ])
  expect([ctx.key, ctx.target?.id, ctx.lease?.target.id, ctx.spare]).toEqual(['of 2', 't2', 't2', false])
  expect(ctx.tried?.map(({ id }) => id)).toEqual(['before', 't1', 't2'])
  expect(cancelled).toEqual(['lost'])
})

it.each([
  [1, 2],
  [2, 1],
])('of two errors it tells the first one asked, whichever came first (%i before %i)', async (one, other) => {
  const ends: (() => void)[] = []
  const { timers, handler } = made(
    {},
    (_attempt, n) =>
      new Promise((_resolve, reject) => {
        ends[n] = () => reject(new ProxyError(n === 1 ? 'connection_terminated' : 'connection_refused'))
      }),
  )
  const { ctx } = context()
  const answer = handler(ctx)
  await timers.fire()
  ends[one]?.()
  await turn()
  ends[other]?.()
  await expect(answer).rejects.toMatchObject({ code: 'connection_terminated' })
  expect([ctx.target?.id, ctx.tried?.map(({ id }) => id)]).toEqual(['t1', ['t1', 't2']])
})

it.each([
  ['the second', true, 'http_response_timeout', 't2'],
  ['the first, where the second found no target', false, 'connection_timeout', 't1'],
])(
  'where the first has left a line for a connection, it tells the error of %s',
  async (_which, found, code, id) => {
    for (const one of [1, 2]) {
      const ends: (() => void)[] = []
      const { timers, handler } = made({}, (attempt, n) => {
        if (n === 2 && !found) attempt.lease = attempt.target = undefined as never
        const error =
          n === 1
            ? new ProxyError('connection_timeout', { cause: leftLine })
            : new ProxyError(found ? 'http_response_timeout' : 'destination_unavailable')
        return new Promise((_resolve, reject) => {
          ends[n] = () => reject(error)
        })
      })
      const { ctx } = context()
      const answer = handler(ctx)
      await timers.fire()
      ends[one]?.()
      await turn()
      ends[3 - one]?.()
      await expect(answer).rejects.toMatchObject({ code })
      expect(ctx.target?.id).toBe(id)
    }
  },
)

it.each([
  ['no target', false],
  ['a line that it has left, too', true],
])('to leave a line for a connection is no try, though the second try has found %s', async (_what, found) => {
  const left = new ProxyError('connection_timeout', { cause: leftLine })
  const ends: (() => void)[] = []
  const seen: unknown[] = []
  const { timers, handler } = made({}, (attempt, n) => {
    seen.push([attempt.tried?.map(({ id }) => id), attempt.moved])
    if (n === 3) return reply()
    if (n === 2 && !found) {
      attempt.lease = attempt.target = undefined as never
      throw new ProxyError('destination_unavailable')
    }
    return new Promise((_resolve, reject) => ends.push(() => reject(left)))
  })
  const answer = retry({ attempts: 1 })(handler as never)(context().ctx)
  await timers.fire()
  await turn()
  for (const end of ends) end()
  expect((await answer).status).toBe(200)
  expect(seen).toEqual([
    [undefined, undefined],
    [['t1'], undefined],
    [found ? ['t1', 't2'] : ['t1'], true],
  ])
})

it('a first try that fails in its time is not hedged', async () => {
  const { timers, handler, calls } = made({}, () => {
    throw new ProxyError('connection_refused')
  })
  const { ctx } = context()
  await expect(handler(ctx)).rejects.toMatchObject({ code: 'connection_refused' })
  expect([timers.waits, calls(), ctx.target?.id, ctx.tried]).toEqual([[], 1, 't1', undefined])
})

it.each([
  [0, false],
  [1, true],
])('makes a budget of its parts: a share of %s is asked and says %s', async (share, says) => {
  let afford: boolean | undefined
  const { timers, handler } = made({ budget: { share, min: 0 } }, (attempt, n) => {
    if (n === 2) afford = attempt.afford?.()
    return never()
  })
  void handler(context().ctx)
  await timers.fire()
  expect(afford).toBe(says)
})

it('counts each request once for its budget, however often it is tried', async () => {
  let requests = 0
  const budget = { request: () => void requests++, take: () => true }
  const { handler } = made({ budget }, () => reply())
  await handler(context().ctx)
  await handler(context({}, { tried: [target('before')] }).ctx)
  expect(requests).toBe(1)
})

it('asks its budget when a second try has its target, and never for a first one', async () => {
  let taken = 0
  const budget = { request() {}, take: () => ++taken > 1 }
  const asked: (boolean | undefined)[] = []
  const { timers, handler } = made({ budget }, (attempt, n) => {
    if (n % 2 === 1) {
      asked.push(attempt.afford?.())
      return new Promise((resolve) => setImmediate(() => setImmediate(resolve, reply())))
    }
    asked.push(attempt.afford?.())
    return asked.at(-1) === true ? reply(201) : Promise.reject(new ProxyError('destination_unavailable'))
  })
  const statuses: number[] = []
  for (let i = 0; i < 2; i++) {
    const { ctx } = context()
    const answer = handler(ctx)
    await timers.fire()
    statuses.push((await answer).status)
    expect([ctx.afford, ctx.spare]).toEqual([undefined, i === 1 ? false : ctx.spare])
  }
  expect([asked, statuses]).toEqual([
    [undefined, false, undefined, true],
    [200, 201],
  ])
})

it('a budget that throws when a request begins is 500 by its name, and nobody is asked', async () => {
  const take = () => true
  const request = (): never => {
    throw new Error('a bug')
  }
  const seams = { path: 'upstreams.api.hedge' }
  const handler = hedge({ budget: { request, take } }, seams)(() => expect.unreachable()) as Handler
  await expect(handler(context().ctx)).rejects.toMatchObject({
    code: 'proxy_internal_error',
    message: 'upstreams.api.hedge.budget.request threw',
    cause: new Error('a bug'),
  })
})

it('tells the log why there is no second try, and why one has failed', async () => {
  const lines: string[] = []
  const { log } = debug
  debug.log = (...told: unknown[]) => void lines.push(format(...told))
  debug.enable('sluice:resilience')
  try {
    const { timers, handler } = made({}, (_attempt, n) => {
      if (n === 2) throw new ProxyError('destination_unavailable', { message: 'no other target' })
      return n === 1 ? new Promise((resolve) => setImmediate(resolve, reply())) : reply()
    })
    const answer = handler(context().ctx)
    await timers.fire()
    await answer
    await handler(context({ method: 'POST' }).ctx)
  } finally {
    debug.disable()
    debug.log = log
  }
  const all = stripVTControlCharacters(lines.join('\n'))
  expect(all).toContain('GET / is slow: a second try')
  expect(all).toMatch(/GET \/: try 2 of a hedge: .*no other target/)
  expect(all).toContain('POST / is not hedged: method-not-listed')
})

it('asks nobody twice who has no target yet', async () => {
  const timers = handTimers()
  let take = 0
  const budget = { ...retryBudget(), take: () => ++take > 0 }
  const handler = hedge({ budget }, { after: timers.after })(never) as Handler
  const { ctx, forks } = context()
  void handler(ctx)
  await timers.fire()
  expect([forks.length, take]).toEqual([1, 0])
})

it('drops an answer that comes though its try was cancelled', async () => {
  let late: (reply: Reply) => void = () => {}
  let stopped = false
  class Source extends PushBody {
    protected resume(): void {}
    protected stop(): void {
      stopped = true
    }
  }
  const { timers, handler } = made({}, (_attempt, n) =>
    n === 1 ? new Promise((resolve) => (late = resolve)) : reply(),
  )
  const answer = handler(context().ctx)
  await timers.fire()
  await answer
  late({ ...reply(), body: new Source() })
  await turn()
  expect(stopped).toBe(true)
})

it('ends with the attempt that it hedges, also when the head has gone out', async () => {
  const { timers, handler } = made({}, (_attempt, n) => (n === 1 ? never() : reply()))
  const { ctx, cancelled, leave } = context()
  const answer = handler(ctx)
  await timers.fire()
  await answer
  leave()
  expect(cancelled).toEqual(['lost', 'lost'])
  const both = made({}, never)
  const other = context()
  const left = both.handler(other.ctx)
  await both.timers.fire()
  other.leave()
  await expect(left).rejects.toMatchObject({ code: 'client_left' })
  expect(other.cancelled).toEqual(['client_left', 'lost'])
})

it.each([
  [{ quantile: 1 }, 'hedge.quantile'],
  [{ after: 'soon' }, 'hedge.after'],
  [{ methods: ['get'] }, 'hedge.methods[0]'],
  [{ methods: ['GET', 'CONNECT'] }, "hedge.methods[1]: got 'CONNECT'"],
  [{ statuses: [200] }, 'hedge.statuses[0]'],
  [{ budget: 0.1 }, 'hedge.budget: got 0.1, takes { share, min }'],
  [{ budget: { share: 2 } }, 'hedge.budget.share'],
  [{ failed: () => true }, 'hedge.failed: unknown option'],
])('refuses %j', (options, says) => {
  expect(() => hedge(options as never)).toThrow(says)
})
