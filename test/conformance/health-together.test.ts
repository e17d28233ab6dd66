import { balance } from '@sluice/balance'
import { ProxyError } from '@sluice/core'
import { ejection } from '@sluice/health'
import { breakers, concurrencyOf } from '@sluice/resilience'
import { createUpstream, type Lease, type LeaseResult, type StateChange, type Target } from '@sluice/upstream'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { declarationsOf } from '../../packages/health/src/declarations.js'
import { type FakeTime, fakeTime } from '../kit/fake-time.js'

/** All that judges targets, over one upstream, whose clock jumps while timers go on. */
interface Settings {
  readonly maxPercent: number
  readonly panic: number
  readonly local: number
  readonly breaker: boolean
  readonly limit: number | 'adaptive'
}

const results: Record<string, LeaseResult | undefined> = {
  ok: { ok: true, status: 200, ttfb: 5 },
  slow: { ok: true, status: 200, ttfb: 5_000 },
  bug: { ok: true, status: 500, ttfb: 1 },
  busy: { ok: true, status: 503, ttfb: 1 },
  broken: { ok: false, error: new ProxyError('http_response_incomplete') },
  kept: { ok: false, error: new ProxyError('connection_terminated', { reused: true }) },
  refused: { ok: false, error: new ProxyError('connection_refused') },
  'own fault': { ok: false, error: Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' }) },
  left: undefined,
}

/** Who has drained a target is not for everybody to see. */
interface Drained {
  readonly drainers: ReadonlySet<string>
}

const usable = ({ state }: Target): boolean => state === 'unknown' || state === 'healthy'

function world(settings: Settings) {
  const { maxPercent, panic, local, breaker, limit } = settings
  const time: FakeTime = fakeTime()
  let off = 0
  const now = (): number => time.now() + off
  const after = (ms: number, fn: () => void): (() => void) => {
    const timer = time.timers.set(fn, ms)
    return () => time.timers.clear(timer)
  }
  const upstream = createUpstream(
    { name: 'x', targets: ['http://t0', 'http://t1', 'http://t2', 'http://t3'], panic },
    'upstream',
    now,
  )
  const parts: Disposable[] = []
  /** As events have told it last. */
  const told = new Map<Target, string>(upstream.all.map((target) => [target, 'unknown']))
  const seen = new Set<Target>(upstream.all)
  const label = (target: Target): string => (target.degraded && usable(target) ? 'degraded' : target.state)
  let acting = false
  /** What a listener throws would be a warning. */
  const faults: string[] = []
  upstream.on('targets', (targets) => {
    for (const target of targets) {
      seen.add(target)
      if (!told.has(target)) told.set(target, target.state)
    }
  })
  upstream.on('state', (change: StateChange) => {
    const { target, from, to, reason } = change
    // One event for each change: the next begins where the last has ended.
    if (from !== (told.get(target) ?? from) || to === from || reason === '')
      faults.push(`${target.id}: ${told.get(target)}, then ${from} -> ${to}: ${reason}`)
    told.set(target, to)
  })
  upstream.on('state', ({ target, to, reason }) => {
    if (to !== 'ejected' || !reason.includes(': out for ')) return
    if (!upstream.all.includes(target) || target.state !== 'ejected') return
    const members = upstream.all.filter(({ state }) => state !== 'draining').length
    const out = upstream.all.filter(({ state }) => state === 'ejected').length
    const most = maxPercent === 0 ? 0 : Math.max(Math.floor((members * maxPercent) / 100), 1)
    if (!breaker && out > most) faults.push(`${out} of ${members} are out: ${reason}`)
    if (!upstream.all.some(usable)) faults.push(`nobody is fit any more: ${reason}`)
  })
  upstream.on('state', ({ to }) => {
    // What a listener does about a change is a change of its own, told after it.
    if (acting && to === 'ejected') {
      acting = false
      upstream.drain(upstream.all[0]?.id ?? '', 'by a listener', 'listener')
    }
  })
  parts.push(
    ejection(
      upstream,
      {
        local,
        maxPercent,
        consecutive: 3,
        base: 1_000,
        localBase: 100,
        max: 5_000,
        interval: 2_000,
        successRate: { minHosts: 3, minVolume: 4 },
        failurePercent: { minHosts: 1, minVolume: 4, threshold: 60 },
        localPercent: { minVolume: 4 },
        latency: { minVolume: 2 },
      },
      { timers: time.timers },
    ),
  )
  const circuits = breaker
    ? breakers(
        upstream,
        { volume: 4, window: 1_000, open: 500, max: 2_000, jitter: 0, trials: 1, ramp: 300 },
        { after, random: () => 0 },
      )
    : undefined
  if (circuits !== undefined) parts.push(circuits)
  const limits = concurrencyOf(
    upstream,
    { limit, queueTimeout: 0, adaptive: { initial: 4, max: 8 } },
    { after },
  )
  parts.push(limits)
  const words = declarationsOf(upstream, time.timers)
  const leases: Lease[] = []
  return {
    upstream,
    time,
    words,
    leases,
    told,
    faults,
    seen,
    label,
    parts,
    circuits,
    limits,
    act: () => {
      acting = true
    },
    replace(ids: readonly string[]) {
      upstream.replace(ids)
    },
    pass(ms: number) {
      time.passAtOnce(ms)
    },
    jump(ms: number) {
      off += ms
    },
  }
}

type World = ReturnType<typeof world>

interface Step {
  readonly op: string
  readonly run: (all: World) => void
}

function ignoreNone(error: unknown): void {
  if (!(error instanceof ProxyError && error.code === 'destination_unavailable')) throw error
}

const n = fc.nat(5)
const kind = fc.constantFrom(...Object.keys(results))
const nth = ({ upstream }: World, i: number): Target | undefined =>
  upstream.all[i % Math.max(upstream.all.length, 1)]

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(n, fc.integer({ min: 1, max: 6 })).map(([i, times]) => ({
      op: `${times} begin from ${i}`,
      run({ upstream, leases, limits, faults }: World) {
        const take = balance(upstream, (targets, { nth }: { readonly nth: number }, not) => {
          const fit = targets.filter((target) => not?.(target) !== true)
          return fit[nth % Math.max(fit.length, 1)]
        })(({ lease, target }) => {
          if (target.state === 'draining') faults.push(`${target.id} drains and is picked`)
          // The lease is one of those already.
          if (target.inFlight - target.answering > limits.limitOf(target)) faults.push(`${target.id} is full`)
          leases.push(lease)
          return new Promise(() => {})
        })
        for (let k = 0; k < times; k++)
          // Where no target is fit it is refused.
          Promise.resolve(take({ nth: i + k, onClose() {} } as never)).catch(ignoreNone)
      },
    })),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.nat(10), kind, fc.integer({ min: 1, max: 6 })).map(([i, how, times]) => ({
      op: `${times} end from ${i}: ${how}`,
      run({ leases }: World) {
        for (const lease of leases.splice(i % Math.max(leases.length, 1), times)) {
          if (how === 'ok' && i % 2 === 0) lease.answered(200, 5, i % 4 === 0)
          lease.release(results[how])
        }
      },
    })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(10), fc.constantFrom(101, 200, 200, 500)).map(([i, status]) => ({
      op: `${i} has the head of its answer: ${status}`,
      run({ leases }: World) {
        leases[i % Math.max(leases.length, 1)]?.answered(status, 5, status === 101)
      },
    })),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(n, kind, fc.integer({ min: 1, max: 5 })).map(([i, how, times]) => ({
      op: `${times} at ${i}: ${how}`,
      run(all: World) {
        const target = nth(all, i)
        if (target === undefined) return
        for (let k = 0; k < times; k++) all.upstream.lease(target).release(results[how])
      },
    })),
  },
  fc
    .tuple(n, fc.constantFrom('unknown' as const, 'healthy' as const, 'unhealthy' as const))
    .map(([i, verdict]) => ({
      op: `${i} is ${verdict}`,
      run(all: World) {
        const target = nth(all, i)
        if (target !== undefined) all.upstream.mark(target, verdict, 'probe')
      },
    })),
  fc.tuple(n, fc.boolean()).map(([i, on]) => ({
    op: `drain ${i} ${on}`,
    run(all: World) {
      const target = nth(all, i)
      if (target === undefined) return
      if (on) all.upstream.drain(target.id)
      else all.upstream.undrain(target.id)
    },
  })),
  fc
    .tuple(
      n,
      fc.constantFrom('ok' as const, 'degraded' as const, 'draining' as const),
      fc.constantFrom('answer' as const, 'probe' as const),
      fc.constantFrom(300, 3_000),
    )
    .map(([i, said, by, ms]) => ({
      op: `${i} says ${said} by ${by} for ${ms}`,
      run(all: World) {
        const target = nth(all, i)
        if (target !== undefined) all.words.say(target, said, by, ms)
      },
    })),
  fc.uniqueArray(fc.nat(5), { maxLength: 5 }).map((ids) => ({
    op: `replace ${ids}`,
    run: (all: World) => all.replace(ids.map((id) => `http://t${id}`)),
  })),
  fc.constant({ op: 'a listener acts', run: (all: World) => all.act() }),
  {
    weight: 3,
    arbitrary: fc
      .oneof(fc.nat(300), fc.nat(4_000))
      .map((ms) => ({ op: `${ms} ms`, run: (all: World) => all.pass(ms) })),
  },
  fc
    .constantFrom(-1e6, -700, 700, 1e6)
    .map((ms) => ({ op: `the clock jumps ${ms}`, run: (all: World) => all.jump(ms) })),
)

/** Shown by its name. */
const steps = anyStep.map((step) => ({ ...step, [fc.toStringMethod]: () => step.op }))

const settings: fc.Arbitrary<Settings> = fc.record({
  maxPercent: fc.constantFrom(0, 30, 50, 100),
  panic: fc.constantFrom(0, 0.5),
  local: fc.constantFrom(0, 1, 2),
  breaker: fc.boolean(),
  limit: fc.constantFrom(3, 'adaptive' as const),
})

it('judges of one upstream together leave it whole, whatever happens in whichever order', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 80, size: 'max' }), settings, (list, given) => {
      const all = world(given)
      const { upstream, time, told, leases } = all
      for (const step of list) {
        step.run(all)
        expect(all.faults).toEqual([])
        for (const target of upstream.all) {
          expect(all.label(target)).toBe(told.get(target))
          expect(target.inFlight).toBeGreaterThanOrEqual(0)
          expect(target.answering).toBeGreaterThanOrEqual(0)
          expect(target.answering).toBeLessThanOrEqual(target.inFlight)
          // What flows behind a head holds no place of trials, however long it lasts.
          if (
            all.circuits?.stateOf(target) === 'half-open' &&
            target.inFlight === target.answering &&
            target.inFlight < all.limits.limitOf(target)
          )
            expect(upstream.admits(target)).toBe(true)
        }
        expect(upstream.available.some(({ state }) => state === 'draining')).toBe(false)
        // Who drains by its own word does so for others that are fit alone.
        const byWord = upstream.all.filter((target) =>
          (target as unknown as Drained).drainers.has('declared'),
        )
        if (byWord.length > 0) expect(upstream.all.some(usable)).toBe(true)
        const members = upstream.all.filter(({ state }) => state !== 'draining')
        if (members.length > 0) expect(upstream.available.length).toBeGreaterThan(0)
      }
      for (const lease of leases.splice(0)) lease.release(results['ok'])
      // Each that is out comes back, each word is over, and nothing else needs a timer than the next look at statistics.
      for (let i = 0; i < 20; i++) time.passAtOnce(5_000)
      for (const target of upstream.all) expect(['ejected', 'degraded']).not.toContain(all.label(target))
      for (const target of upstream.all) upstream.undrain(target.id)
      for (const target of upstream.all) upstream.undrain(target.id, 'over', 'listener')
      expect(upstream.all.some(({ state }) => state === 'draining')).toBe(false)
      for (const target of all.seen) expect([target.inFlight, target.answering]).toEqual([0, 0])
      expect(all.limits.waiting).toBe(0)
      for (const part of all.parts) part[Symbol.dispose]()
      expect([time.waiting, upstream.gated]).toEqual([0, false])
    }),
    { numRuns: 150 },
  )
}, 60_000)
