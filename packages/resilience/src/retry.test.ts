import {
  type Context,
  type Outcome,
  ProxyError,
  type ProxyErrorCode,
  PushBody,
  type Reply,
} from '@sluice/core'
import { leftLine, type Target, type Tried } from '@sluice/upstream'
import { describe, expect, it, vi } from 'vitest'
import { type RetryOptions, resolveRetry, retry, retryBudget, whyNot } from './index.js'

class Source extends PushBody {
  stopped = false
  protected resume(): void {}
  protected stop(): void {
    this.stopped = true
  }
}

interface Attempt extends Context {
  target?: Target
  tried?: readonly Target[]
}

/** As much of a context as `retry` needs; every fork is kept. */
function context(
  method = 'GET',
  body: unknown = null,
  forks: Attempt[] = [],
): { ctx: Attempt; forks: Attempt[] } {
  const ctx = {
    out: { method, path: '/', headers: [], body },
    fork(this: Attempt) {
      const fork = { ...this, out: { ...this.out } } as Attempt
      forks.push(fork)
      return fork
    },
  } as unknown as Attempt
  return { ctx, forks }
}

const target = (id: string): Target => ({ id }) as Target
const reply = (status: number, body: Reply['body'] = null): Reply => ({ status, headers: [], body })

/** Runs `retry` over attempts that each go to a target of their own and end as told. */
async function run(
  ends: (ProxyErrorCode | Error | number)[],
  options: RetryOptions = {},
  method = 'GET',
  body: unknown = null,
) {
  const { ctx, forks } = context(method, body)
  let calls = 0
  const handler = retry(options)((attempt: Attempt) => {
    const end = ends[calls++]
    attempt.target = target(`t${calls}`)
    if (typeof end === 'number') return reply(end)
    throw typeof end === 'string' ? new ProxyError(end) : end
  }) as (ctx: Attempt) => Promise<Reply>
  const result = await handler(ctx).then(
    ({ status }) => status,
    (error: Error) => ('code' in error ? error.code : error.message),
  )
  return { result, calls, tried: forks.map((fork) => fork.tried?.map(({ id }) => id)) }
}

describe('retry', () => {
  it('tries a safe request again, and leaves out the targets that were tried', async () => {
    expect(await run(['connection_terminated', 200])).toEqual({ result: 200, calls: 2, tried: [['t1']] })
    expect(
      await run(['connection_refused', 'connection_terminated', 'http_response_timeout', 200], {
        attempts: 4,
      }),
    ).toEqual({
      result: 200,
      calls: 4,
      tried: [['t1'], ['t1', 't2'], ['t1', 't2', 't3']],
    })
  })

  it.each<[string, RetryOptions, (ProxyErrorCode | number)[]]>([
    ['an answer', {}, ['connection_refused', 200]],
    ['a failure', {}, ['connection_refused', 'connection_timeout']],
    ['a try with a time limit', { perTry: '1h' }, ['connection_refused', 200]],
  ])('shows outside whom it has asked last, after %s', async (_name, options, ends) => {
    const { ctx } = context()
    const { out } = ctx
    let calls = 0
    const handler = retry(options)((attempt: Attempt) => {
      const end = ends[calls++]
      attempt.target = target(`t${calls}`)
      if (typeof end === 'number') return reply(end)
      throw new ProxyError(end as ProxyErrorCode)
    }) as (ctx: Attempt) => Promise<Reply>
    await handler(ctx).catch(() => {})
    expect([ctx.target?.id, ctx.tried?.map(({ id }) => id), ctx.out === out]).toEqual(['t2', ['t1'], true])
  })

  it('counts nothing as a try that was sent to nobody, and asks neither `when` nor the budget nor waits for it', async () => {
    const moved = new ProxyError('connection_timeout', { cause: leftLine })
    const budget = retryBudget({ share: 0, min: 0 })
    const when = vi.fn<() => boolean>(() => false)
    const options = { attempts: 1, budget, when, backoff: { base: '1h', max: '1h' } } as const
    expect(await run([moved, moved, moved, 200], options, 'POST', 'x')).toEqual({
      result: 200,
      calls: 4,
      tried: [['t1'], ['t1', 't2'], ['t1', 't2', 't3']],
    })
    expect(when).not.toHaveBeenCalled()
    expect(await run([moved, 'connection_refused', 'connection_refused'], { attempts: 2 })).toMatchObject({
      result: 'connection_refused',
      calls: 3,
    })
  })

  it('says of every try that it may go to another target while nobody has seen it', async () => {
    const { ctx } = context()
    const seen: unknown[] = []
    const handler = retry({ attempts: 2 })((attempt: Attempt & Tried) => {
      seen.push(attempt.movable)
      attempt.movable = false
      throw new ProxyError('connection_refused')
    }) as (ctx: Attempt) => Promise<Reply>
    await expect(handler(ctx)).rejects.toThrow()
    expect(seen).toEqual([true, true])
  })

  it('gives up after its attempts, with the last error', async () => {
    expect(await run(['connection_refused', 'connection_timeout', 200])).toMatchObject({
      result: 'connection_timeout',
      calls: 2,
    })
  })

  it.each<[string, ProxyErrorCode, string, unknown, number]>([
    ['a POST that may have been processed', 'connection_terminated', 'POST', null, 1],
    ['a POST that was not sent', 'connection_refused', 'POST', 'text', 2],
    ['a POST whose stream nobody has read', 'connection_refused', 'POST', new Source(), 2],
    ['a client that left', 'client_left', 'GET', null, 1],
    ['a malformed request', 'http_request_error', 'GET', null, 1],
    ['nobody available', 'destination_unavailable', 'GET', null, 1],
  ])('%s', async (_name, code, method, body, calls) => {
    expect(await run([code, 200], {}, method, body)).toMatchObject({ calls })
  })

  it('does not send a body again that was read', async () => {
    const body = new Source()
    body.taken = true
    expect(await run(['connection_refused', 200], {}, 'POST', body)).toMatchObject({ calls: 1 })
  })

  it('asks the user: yes whatever the method, no whatever the rules', async () => {
    expect(await run(['connection_terminated', 200], { when: () => true }, 'POST')).toMatchObject({
      calls: 2,
    })
    expect(await run([500, 200], { when: ({ failure }) => failure === 500 })).toMatchObject({ calls: 2 })
    expect(await run(['connection_refused', 200], { when: () => false })).toMatchObject({ calls: 1 })
    expect(await run(['client_left', 200], { when: () => true })).toMatchObject({ calls: 1 })
    expect(await run(['connection_refused', 200], { when: () => undefined })).toMatchObject({ calls: 2 })
  })

  it('ends its wait at once when the client leaves, with no timer left', async () => {
    vi.useFakeTimers()
    try {
      const { ctx } = context()
      let closed = (_end: Outcome): void => {}
      Object.assign(ctx, { onClose: (fn: typeof closed) => (closed = fn) })
      let calls = 0
      const handler = retry({ backoff: { base: '1h', max: '1h', random: () => 0.5 } })(() => {
        calls++
        throw new ProxyError('connection_refused')
      }) as (ctx: Attempt) => Promise<Reply>
      const result = handler(ctx)
      await Promise.resolve()
      await Promise.resolve()
      expect(vi.getTimerCount()).toBe(1)
      closed({ kind: 'client-left', error: new ProxyError('client_left'), bytes: 0 })
      await expect(result).rejects.toMatchObject({ code: 'client_left' })
      expect([vi.getTimerCount(), calls]).toEqual([0, 1])
    } finally {
      vi.useRealTimers()
    }
  })

  it('is bounded by its budget', async () => {
    const budget = retryBudget({ share: 0, min: 1, clock: () => 0 })
    const lost = ['connection_terminated', 200] as const
    expect(await run([...lost], { budget })).toMatchObject({ result: 200, calls: 2 })
    expect(await run([...lost], { budget })).toMatchObject({ result: 'connection_terminated', calls: 1 })
    const failed = { failure: 503, method: 'GET', attempt: 1, replayable: true }
    expect(whyNot(failed, resolveRetry({ statuses: [503], budget }))).toBe('budget-used')
  })

  it('takes nothing out of its budget for what no target has processed', async () => {
    const budget = retryBudget({ share: 0, min: 0 })
    for (const code of ['connection_refused', 'connection_timeout', 'http_request_refused'] as const)
      expect(await run([code, 200], { budget }, 'POST')).toMatchObject({ result: 200, calls: 2 })
    expect(await run(['http_response_timeout', 200], { budget })).toMatchObject({ calls: 1 })
    expect(await run([503, 200], { budget, statuses: [503] })).toMatchObject({ calls: 1 })
  })

  it('has a budget of its own by default: a fifth of the traffic, and some', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    try {
      let sent = 0
      const handler = retry()(() => {
        sent++
        throw new ProxyError('connection_terminated')
      }) as (ctx: Attempt) => Promise<Reply>
      for (let i = 0; i < 1_000; i++) await handler(context().ctx).catch(() => {})
      expect(sent).toBe(1_203)
    } finally {
      vi.useRealTimers()
    }
  })

  it.each([
    ['its parts', { share: 0, min: 0 }, 1],
    ['none', false, 2],
    ['one that is shared', retryBudget({ share: 0, min: 0 }), 1],
  ] as const)('takes as its budget %s', async (_name, budget, calls) => {
    expect(await run(['connection_terminated', 200], { budget })).toMatchObject({ calls })
  })

  it('sends a flowing body again, and its first try is the exchange itself', async () => {
    const body = new Source()
    const { ctx, forks } = context('OPTIONS', body)
    const seen: unknown[] = []
    const handler = retry()((attempt: Attempt) => {
      seen.push(attempt.out.body)
      ;(attempt.out.body as PushBody).pipe({ write: () => true, end() {}, abort() {}, onDrain() {} })
      if (seen.length === 1) throw new ProxyError('connection_terminated')
      return reply(200)
    }) as (ctx: Attempt) => Promise<Reply>
    expect((await handler(ctx)).status).toBe(200)
    expect([seen.length, forks.length, new Set([...seen, body]).size]).toEqual([2, 1, 3])
    expect(ctx.out.body).toBe(body)
  })

  it('leaves alone a body that a layer has put in the place of the first', async () => {
    const own = new Source()
    const { ctx } = context('POST', new Source())
    const seen: unknown[] = []
    const handler = retry()((attempt: Attempt) => {
      if (seen.length === 0) attempt.out.body = own
      seen.push(attempt.out.body)
      throw new ProxyError('connection_refused')
    }) as (ctx: Attempt) => Promise<Reply>
    await expect(handler(ctx)).rejects.toMatchObject({ code: 'connection_refused' })
    expect(seen).toEqual([own, own])
    expect(ctx.out.body).toBe(own)
  })

  it('lets a body go on as it is whose length is known to be over the cap', async () => {
    const body = Object.assign(new Source(), { length: 65_537 })
    const { ctx } = context('POST', body)
    const handler = retry()(({ out }: Attempt) => reply(out.body === body ? 200 : 500)) as (
      ctx: Attempt,
    ) => Promise<Reply>
    expect((await handler(ctx)).status).toBe(200)
  })

  it('lets errors that are not of the proxy pass', async () => {
    expect(await run([new TypeError('a bug'), 200])).toMatchObject({ result: 'a bug', calls: 1 })
  })

  it('drops a reply with a listed status before it tries again, and passes the last on', async () => {
    expect(await run([503, 200], { statuses: [503] })).toMatchObject({ result: 200, calls: 2 })
    expect(await run([503, 503], { statuses: [503] })).toMatchObject({ result: 503, calls: 2 })
    expect(await run([503, 200])).toMatchObject({ result: 503, calls: 1 })
    const body = new Source()
    let calls = 0
    const handler = retry({ statuses: [502] })(() => (calls++ === 0 ? reply(502, body) : reply(200)))
    expect((await handler(context().ctx)).status).toBe(200)
    expect(body.stopped).toBe(true)
  })
})

describe("a function of the app's that throws", () => {
  const bug = (): never => {
    throw new Error('a bug')
  }
  const failing = { request() {}, take: bug }

  it.each<[string, RetryOptions]>([
    ['retry.budget.take', { statuses: [503], budget: failing }],
    ['retry.backoff.random', { statuses: [503], backoff: { random: bug } }],
    ['retry.when', { when: bug }],
  ])('%s: 500 that names it, and reply and body are let go of', async (name, options) => {
    const error = { code: 'proxy_internal_error', status: 500, message: `${name} threw: a bug` }
    const [sent, came] = [new Source(), new Source()]
    const { ctx } = context('OPTIONS', sent)
    const answered = retry(options)(() => reply(503, came)) as (ctx: Attempt) => Promise<Reply>
    await expect(answered(ctx)).rejects.toMatchObject(error)
    expect([came.stopped, ctx.out.body === sent]).toEqual([true, true])
    const failed = retry(options)(() => {
      throw new ProxyError('connection_terminated')
    }) as (ctx: Attempt) => Promise<Reply>
    const lost = context('OPTIONS', sent)
    await expect(failed(lost.ctx)).rejects.toMatchObject(error)
    expect(lost.ctx.out.body).toBe(sent)
  })

  it('retry.budget.request: 500 that names it, by the path that the options have, and nobody is asked', async () => {
    const budget = { request: bug, take: () => true }
    const handler = retry({ budget }, 'upstreams.api.retry')(() => expect.unreachable()) as (
      ctx: Attempt,
    ) => Promise<Reply>
    await expect(handler(context().ctx)).rejects.toMatchObject({
      status: 500,
      message: 'upstreams.api.retry.budget.request threw: a bug',
    })
  })

  it('a ProxyError is what it says', async () => {
    const when = (): never => {
      throw new ProxyError('http_request_error')
    }
    expect(await run([503, 200], { when })).toEqual({ result: 'http_request_error', calls: 1, tried: [] })
  })
})

it('names each reason against a further try', () => {
  const settings = resolveRetry({ statuses: [503] })
  const failed = {
    failure: new ProxyError('connection_terminated'),
    method: 'GET',
    attempt: 1,
    replayable: true,
  }
  expect(whyNot(failed, settings)).toBeUndefined()
  expect(whyNot({ ...failed, attempt: 2 }, settings)).toBe('attempts-used')
  expect(whyNot({ ...failed, method: 'POST' }, settings)).toBe('method-not-safe')
  expect(whyNot({ ...failed, replayable: false }, settings)).toBe('body-gone')
  expect(whyNot({ ...failed, failure: 500 }, settings)).toBe('status-not-listed')
  expect(whyNot({ ...failed, failure: new ProxyError('client_left') }, settings)).toBe(
    'not-the-targets-fault',
  )
})

it.each([
  [{ attempts: 0 }, 'retry.attempts: got 0'],
  [{ methods: ['G T'] }, 'retry.methods[0]'],
  [{ statuses: [200] }, 'retry.statuses[0]'],
  [{ budget: { share: 2 } }, 'retry.budget.share: got 2'],
  [{ budget: { clock: () => 0 } }, 'retry.budget.clock: unknown option'],
  [{ budget: true }, 'retry.budget: got true, takes { share, min }, false, or what retryBudget() gives'],
  [{ backoff: { base: -1 } }, 'retry.backoff.base'],
  [{ perTry: 'soon' }, 'retry.perTry'],
  [{ replay: -1 }, 'retry.replay'],
  [{ budgets: {} }, 'retry.budgets: unknown option'],
  [{ methods: ['get'] }, 'retry.methods[0]'],
])('refuses %j', (options, says) => {
  expect(() => retry(options as never)).toThrow(says)
})

describe('the time of a try with a body that flows', () => {
  /** A try that never has an answer: `took` once it has begun to send the body. */
  function hanging(options: RetryOptions, took: boolean) {
    const body = new (class extends Source {
      more(): void {
        this.push(Buffer.from('x'))
      }
      last(): void {
        this.finish()
      }
    })()
    const { ctx } = context('POST', body)
    const ends: string[] = []
    const cancelled: string[] = []
    const fork = ctx.fork.bind(ctx)
    ctx.fork = (...given) => {
      const made = fork(...given)
      made.cancel = (error) => void cancelled.push((error as ProxyError).code)
      return made
    }
    const sink = { write: () => true, end() {}, abort() {}, onDrain() {} }
    const handler = retry(options)((attempt: Attempt) => {
      if (took) (attempt.out.body as Source).pipe(sink)
      return new Promise<Reply>(() => {})
    }) as (ctx: Attempt) => Promise<Reply>
    handler(ctx).catch((error: ProxyError) => ends.push(error.code))
    return { body, ends, cancelled }
  }

  it.each<[string, RetryOptions]>([
    ['kept', { perTry: 100 }],
    ['not kept', { perTry: 100, replay: 0 }],
  ])('begins when the body, %s, was sent: until then it is up to the client', async (_name, options) => {
    vi.useFakeTimers()
    try {
      const { body, ends, cancelled } = hanging(options, true)
      for (let i = 0; i < 5; i++) {
        await vi.advanceTimersByTimeAsync(60)
        body.more()
      }
      expect(ends).toEqual([])
      body.last()
      await vi.advanceTimersByTimeAsync(99)
      expect(ends).toEqual([])
      await vi.advanceTimersByTimeAsync(1)
      expect([ends, cancelled]).toEqual([['http_response_timeout'], ['http_response_timeout']])
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it.each<[string, RetryOptions, boolean, string]>([
    [
      'is that of the try, where nobody has begun to send it',
      { perTry: 100 },
      false,
      'http_response_timeout',
    ],
    ['of all tries goes on all the same', { perTry: 60, total: 100 }, true, 'total_timeout'],
    ['of all tries alone does too', { total: 100 }, true, 'total_timeout'],
  ])('%s', async (_name, options, took, code) => {
    vi.useFakeTimers()
    try {
      const { ends, cancelled } = hanging(options, took)
      await vi.advanceTimersByTimeAsync(99)
      expect(ends).toEqual([])
      await vi.advanceTimersByTimeAsync(1)
      expect([ends, cancelled, vi.getTimerCount()]).toEqual([[code], [code], 0])
    } finally {
      vi.useRealTimers()
    }
  })
})
