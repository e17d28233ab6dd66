import { balance, powerOfTwo, roundRobin } from '@sluice/balance'
import {
  type Context,
  type Handler,
  ProxyError,
  type ProxyErrorCode,
  PushBody,
  type Reply,
} from '@sluice/core'
import { declared, ejection } from '@sluice/health'
import { breakers, concurrencyOf, retry } from '@sluice/resilience'
import { createUpstream, type Selected, type Target } from '@sluice/upstream'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fakeTime } from '../kit/fake-time.js'
import { seeded } from '../kit/seeded.js'
import { SimContext } from '../sim/lib/exchange.mjs'

class Body extends PushBody {
  done(): void {
    this.finish()
  }
  break(): void {
    this.fail(new ProxyError('http_response_incomplete'))
  }
  protected resume(): void {}
  protected stop(): void {}
}

/** A request that a target has. */
interface Attempt {
  readonly id: number
  readonly target: Target
  readonly method: string
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

interface Exchange {
  readonly ctx: SimContext
  readonly method: string
  tries: number
  /** Where it was sent. */
  readonly asked: Set<Target>
  /** A target may have processed it. */
  processed: boolean
  settled: number
  body?: Body | undefined
  over: boolean
}

const codes = [
  'connection_refused',
  'connection_terminated',
  'http_response_timeout',
  'http_request_refused',
] as const
const kinds = fc.constantFrom(
  'arrive',
  'answer',
  'fail',
  'end',
  'leave',
  'mark',
  'drain',
  'replace',
  'pass',
  'eject',
)
/** Of the line. */
const places = 4
const ids = [0, 1, 2, 3].map((n) => `http://t${n}`)

function started(breaker: boolean, limit: number | 'adaptive', random: boolean) {
  const time = fakeTime()
  const after = (ms: number, fn: () => void): (() => void) => {
    const timer = time.timers.set(fn, ms)
    return () => time.timers.clear(timer)
  }
  const upstream = createUpstream({ name: 'x', targets: ids.slice(0, 3) }, 'upstream', time.now)
  const faults: string[] = []
  const attempts: Attempt[] = []
  const exchanges: Exchange[] = []
  const seen = new Set<Target>(upstream.all)
  upstream.on('targets', (all) => {
    for (const each of all) seen.add(each)
  })
  const parts: Disposable[] = [
    ejection(upstream, { consecutive: 3, base: 1_000, localBase: 100, max: 2_000 }, { timers: time.timers }),
  ]
  if (breaker)
    parts.push(
      breakers(
        upstream,
        { volume: 4, window: 1_000, open: 500, max: 500, jitter: 0, ramp: 0 },
        { after, random: seeded(1) },
      ),
    )
  const limits = concurrencyOf(
    upstream,
    { limit, queue: places, queueTimeout: 3_000, adaptive: { initial: 3, max: 3 } },
    { after },
  )
  const policy = random ? powerOfTwo({ random: seeded(2) }) : roundRobin()
  const most = limit === 'adaptive' ? 3 : limit
  const send: Handler<Context & Selected> = (ctx) => {
    const id = exchanges.findIndex((each) => each.ctx.request === (ctx as unknown as SimContext).request)
    const exchange = exchanges[id] as Exchange
    const { target } = ctx
    exchange.tries++
    const others = upstream.available.some((each) => !exchange.asked.has(each))
    // All that are available are fit or merely full.
    if (exchange.asked.has(target) && others && !breaker && limits.waiting < places)
      faults.push(`${id} is sent back to ${target.id}, and no line is full`)
    exchange.asked.add(target)
    if (exchange.over) faults.push(`${id} is over, and is sent`)
    if (exchange.processed && exchange.method === 'POST') faults.push(`${id} is sent again`)
    if (target.state === 'draining') faults.push(`${id} is sent to ${target.id}, which drains`)
    if (target.inFlight - (limit === 'adaptive' ? target.answering : 0) > most)
      faults.push(`${target.id} has too many`)
    return new Promise((resolve, reject) => {
      attempts.push({ id, target, method: exchange.method, resolve, reject })
    })
  }
  const handler = retry({ attempts: 3, budget: false })(
    limits.middleware(balance(upstream, policy)(declared(upstream, { for: '1s' })(send))) as Handler,
  )
  return {
    time,
    upstream,
    faults,
    attempts,
    exchanges,
    seen,
    parts: [...parts, limits],
    limits,
    breaker,
    handler,
    most,
    limit,
  }
}

type World = ReturnType<typeof started>

function arrive(all: World, method: string): void {
  const { exchanges, handler } = all
  const ctx = new SimContext({ method }, undefined)
  const exchange: Exchange = {
    ctx,
    method,
    tries: 0,
    asked: new Set(),
    processed: false,
    settled: 0,
    over: false,
  }
  exchanges.push(exchange)
  const over = (kind: string): void => {
    if (exchange.over) return
    exchange.over = true
    ctx.end(kind)
  }
  new Promise<Reply>((resolve) => resolve(handler(ctx as unknown as Context))).then(
    (reply) => {
      exchange.settled++
      if (reply.body instanceof Body) exchange.body = reply.body
      else over('done')
    },
    (error: Error) => {
      exchange.settled++
      // Who finds no room waits, or is told why not by the line.
      if (!all.breaker && error.message.endsWith('has no target with room')) all.faults.push(error.message)
      over('error')
    },
  )
}

async function turns(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
}

function act(all: World, kind: string, n: number): void {
  const { attempts, exchanges, upstream, time } = all
  const target = upstream.all[n % Math.max(upstream.all.length, 1)]
  if (kind === 'arrive') for (let i = 0; i < 1 + (n % 4); i++) arrive(all, n % 3 === 0 ? 'POST' : 'GET')
  else if (kind === 'answer') {
    const [one] = attempts.splice(n % Math.max(attempts.length, 1), 1)
    if (one === undefined) return
    const status = [200, 200, 200, 404, 500, 503][n % 6] as number
    const headers = n % 7 === 0 ? ['X-Health', ['draining', 'degraded', 'ok'][n % 3] as string] : []
    const exchange = exchanges[one.id] as Exchange
    exchange.processed = true
    one.resolve({ status, headers, body: n % 2 === 0 ? new Body() : null })
  } else if (kind === 'fail') {
    const [one] = attempts.splice(n % Math.max(attempts.length, 1), 1)
    if (one === undefined) return
    const error = new ProxyError(codes[n % codes.length] as ProxyErrorCode, { target: one.target.id })
    const exchange = exchanges[one.id] as Exchange
    exchange.processed ||= !error.retryable
    one.reject(error)
  } else if (kind === 'end') {
    const open = exchanges.filter(({ body, over }) => body !== undefined && !over)
    const one = open[n % Math.max(open.length, 1)]
    if (one === undefined) return
    if (n % 3 === 0) one.body?.break()
    else one.body?.done()
    one.over = true
    one.ctx.end('done')
  } else if (kind === 'leave') {
    const open = exchanges.filter(({ over }) => !over)
    const one = open[n % Math.max(open.length, 1)]
    if (one === undefined) return
    one.over = true
    one.ctx.end('client-left')
    // As transports do: an attempt whose client has left fails.
    for (const each of attempts.filter(({ id }) => exchanges[id] === one)) {
      attempts.splice(attempts.indexOf(each), 1)
      each.reject(new ProxyError('client_left'))
    }
  } else if (kind === 'pass') time.passAtOnce(n * n)
  else if (kind === 'replace') upstream.replace(ids.filter((_, i) => (n >> i) % 2 === 1))
  else if (target === undefined) return
  else if (kind === 'mark') upstream.mark(target, n % 2 === 0 ? 'healthy' : 'unhealthy', 'probe')
  else if (kind === 'drain') (n % 2 === 0 ? upstream.drain : upstream.undrain).call(upstream, target.id)
  else if (n % 2 === 0) upstream.eject(target, 'test', 'by the test')
  else upstream.restore(target, 'test', 'by the test')
}

it('a chain answers each request once and holds no lease beyond it, whatever becomes of its targets and clients', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(kinds, fc.nat(60)), { maxLength: 60, size: 'max' }),
      fc.boolean(),
      fc.constantFrom(2, 'adaptive' as const),
      fc.boolean(),
      async (list, breaker, limit, random) => {
        const all = started(breaker, limit, random)
        const { upstream, attempts, exchanges, faults, limits, seen, time } = all
        for (const [kind, n] of list) {
          act(all, kind, n)
          await turns()
          expect(faults).toEqual([])
          const held = [...seen].reduce((sum, { inFlight }) => sum + inFlight, 0)
          const bodies = exchanges.filter(({ body, over }) => body !== undefined && !over).length
          expect(held).toBe(attempts.length + bodies)
          expect([...seen].reduce((sum, { answering }) => sum + answering, 0)).toBe(bodies)
          for (const { tries, settled } of exchanges) expect([tries <= 3, settled <= 1]).toEqual([true, true])
          const wait = exchanges.filter(
            ({ settled, over }, id) => settled === 0 && !over && !attempts.some((each) => each.id === id),
          )
          expect(limits.waiting).toBe(wait.length)
          for (const { asked } of wait) {
            const fresh = upstream.available.filter((target) => !asked.has(target))
            expect(fresh.some((target) => upstream.admits(target))).toBe(false)
            // Where it was there may be room: it waits for another.
            if (upstream.available.some((target) => upstream.admits(target)))
              expect(fresh.length).toBeGreaterThan(0)
          }
        }
        for (let i = 0; i < 200 && exchanges.some(({ over }) => !over); i++) {
          act(all, attempts.length > 0 ? 'answer' : 'end', 1)
          if (i % 10 === 9) time.passAtOnce(5_000)
          await turns()
        }
        expect(exchanges.filter(({ settled, over }) => settled !== 1 || !over)).toEqual([])
        expect([...seen].map(({ inFlight, answering }) => [inFlight, answering])).toEqual(
          [...seen].map(() => [0, 0]),
        )
        expect(limits.waiting).toBe(0)
        expect(faults).toEqual([])
        for (const part of all.parts) part[Symbol.dispose]()
      },
    ),
    { numRuns: 200 },
  )
})
