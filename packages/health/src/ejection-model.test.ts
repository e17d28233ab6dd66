import { ProxyError } from '@sluice/core'
import { createUpstream, type Lease, type LeaseResult, type Target, type Upstream } from '@sluice/upstream'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type FakeTime, fakeTime } from '../../../test/kit/fake-time.js'
import { ejection } from './index.js'

const options = {
  consecutive: 3,
  local: 2,
  base: 1_000,
  localBase: 100,
  max: 1_800,
  successRate: false,
  localPercent: false,
} as const
const bases = { local: options.localBase, other: options.base }

/** What is known of a target, in the plainest terms. */
interface Known {
  verdict: 'unknown' | 'healthy' | 'unhealthy'
  draining: boolean
  gateway: number
  kept: number
  local: number
  /** When it went out last. */
  since: number
  /** When it comes back, while it is out. */
  until?: number | undefined
  cause: 'local' | 'other'
  /** How often it has come back. */
  returns: number
  times: { local: number; other: number }
  /** When times are forgiven next, by cause. */
  forgiven: { local: number; other: number }
}

/** A request under way. */
interface UnderWay {
  readonly known: Known
  /** How often its target had come back when it began. */
  readonly returns: number
}

interface Model {
  now: number
  readonly maxPercent: number
  targets: Map<string, Known>
  underWay: UnderWay[]
}

interface Real {
  readonly upstream: Upstream
  readonly time: FakeTime
  readonly leases: Lease[]
}

const fresh = (): Known => ({
  verdict: 'unknown',
  draining: false,
  gateway: 0,
  kept: 0,
  local: 0,
  since: 0,
  cause: 'other',
  returns: 0,
  times: { local: 0, other: 0 },
  forgiven: { local: Number.POSITIVE_INFINITY, other: Number.POSITIVE_INFINITY },
})

function stateOf(known: Known): string {
  if (known.draining) return 'draining'
  return known.until === undefined ? known.verdict : 'ejected'
}

const fit = (known: Known): boolean => ['unknown', 'healthy'].includes(stateOf(known))

/** Time passes: who is due comes back, who behaves is forgiven. */
function passTo(model: Model, now: number): void {
  for (const known of model.targets.values()) {
    if (known.until !== undefined && known.until <= now) back(known, known.until)
  }
  model.now = now
}

function back(known: Known, at: number): void {
  known.forgiven[known.cause] = at + bases[known.cause]
  known.until = undefined
  known.returns++
  known.gateway = 0
  known.kept = 0
  known.local = 0
}

/** Nobody else is left: whoever has been out for the longest is back before its time, which counts for nothing then. */
function relieve(model: Model, others: Known[]): void {
  const out = others.filter(
    (each) => stateOf(each) === 'ejected' && model.now - each.since >= options.localBase,
  )
  for (const each of out.sort((a, b) => a.since - b.since)) {
    if (others.some(fit)) return
    each.times[each.cause]--
    back(each, model.now)
  }
}

function eject(model: Model, id: string, known: Known, cause: 'local' | 'other'): void {
  const others = [...model.targets].filter(([other]) => other !== id).map(([, each]) => each)
  const members = [...model.targets.values()].filter(({ draining }) => !draining)
  const out = members.filter(({ until }) => until !== undefined).length
  const least = model.maxPercent > 0 ? 1 : 0
  if (!fit(known)) return
  if (!others.some(fit)) {
    if (known.local > 1) relieve(model, others)
    return
  }
  if (out >= Math.max(least, Math.floor((members.length * model.maxPercent) / 100))) return
  // One time less for each base in use, one by one.
  while (known.forgiven[cause] <= model.now) {
    known.times[cause] = Math.max(known.times[cause] - 1, 0)
    known.forgiven[cause] += bases[cause]
  }
  known.times[cause]++
  known.forgiven[cause] = Number.POSITIVE_INFINITY
  known.cause = cause
  known.since = model.now
  known.until = model.now + Math.min(bases[cause] * known.times[cause], options.max)
}

const results: Record<string, LeaseResult | undefined> = {
  ok: { ok: true, status: 200, ttfb: 1 },
  bug: { ok: true, status: 500, ttfb: 1 },
  gateway: { ok: true, status: 503, ttfb: 1 },
  broken: { ok: false, error: new ProxyError('http_response_incomplete') },
  /** A kept connection that the target has ended. */
  kept: { ok: false, error: new ProxyError('connection_terminated', { reused: true }) },
  refused: { ok: false, error: new ProxyError('connection_refused') },
  left: undefined,
}

type Step = fc.Command<Model, Real>

function check(model: Model, { upstream }: Real): void {
  expect(upstream.all.map(({ id, state }) => [id, state])).toEqual(
    [...model.targets].map(([id, known]) => [id, stateOf(known)]),
  )
}

/** A command on the target of a number, among those that there are. */
abstract class OnTarget implements Step {
  constructor(protected readonly index: number) {}
  check = (model: Readonly<Model>): boolean => model.targets.size > 0
  protected id(model: Model): string {
    return [...model.targets.keys()][this.index % model.targets.size] as string
  }
  run(model: Model, real: Real): void {
    const id = this.id(model)
    const target = real.upstream.all.find((each) => each.id === id) as Target
    this.act(model, real, id, model.targets.get(id) as Known, target)
    check(model, real)
  }
  abstract act(model: Model, real: Real, id: string, known: Known, target: Target): void
}

/** What an end says of its target, if that is in use and the request began since it came back last. */
function expected(model: Model, id: string, known: Known, kind: string): void {
  if (kind === 'left' || known.until !== undefined) return
  if (kind === 'refused') {
    known.local++
    if (known.local >= options.local) eject(model, id, known, 'local')
    return
  }
  if (kind === 'kept') {
    known.kept++
    if (known.kept >= options.consecutive) eject(model, id, known, 'local')
    return
  }
  known.local = 0
  known.kept = 0
  known.gateway = kind === 'gateway' || kind === 'broken' ? known.gateway + 1 : 0
  if (known.gateway >= options.consecutive) eject(model, id, known, 'other')
}

/** Requests that end later. */
class Begin extends OnTarget {
  constructor(
    index: number,
    private readonly times: number,
  ) {
    super(index)
  }
  act(model: Model, { upstream, leases }: Real, _id: string, known: Known, target: Target): void {
    for (let n = 0; n < this.times; n++) {
      leases.push(upstream.lease(target))
      model.underWay.push({ known, returns: known.returns })
    }
  }
  override toString = (): string => `${this.times} begin at ${this.index}`
}

/** Those that have been under way for the longest end. */
class EndLate implements Step {
  constructor(
    private readonly kind: string,
    private readonly times: number,
  ) {}
  check = (model: Readonly<Model>): boolean => model.underWay.length > 0
  run(model: Model, real: Real): void {
    for (const lease of real.leases.splice(0, this.times)) {
      const { known, returns } = model.underWay.shift() as UnderWay
      lease.release(results[this.kind])
      const id = [...model.targets].find(([, each]) => each === known)?.[0]
      // One of a target that has left says nothing, nor does one from before.
      if (id !== undefined && returns === known.returns) expected(model, id, known, this.kind)
    }
    check(model, real)
  }
  toString = (): string => `the ${this.times} oldest end: ${this.kind}`
}

class End extends OnTarget {
  constructor(
    index: number,
    private readonly kind: string,
    private readonly times: number,
  ) {
    super(index)
  }
  act(model: Model, { upstream }: Real, id: string, known: Known, target: Target): void {
    for (let n = 0; n < this.times; n++) {
      const hadFit = [...model.targets.values()].some(fit)
      upstream.lease(target).release(results[this.kind])
      expected(model, id, known, this.kind)
      const hasFit = upstream.all.some(({ state }) => state === 'unknown' || state === 'healthy')
      if (hadFit && !hasFit) throw new Error('the last fit target is out')
    }
  }
  override toString = (): string => `${this.times} × ${this.kind} of ${this.index}`
}

class Mark extends OnTarget {
  constructor(
    index: number,
    private readonly verdict: 'healthy' | 'unhealthy',
  ) {
    super(index)
  }
  act(_model: Model, { upstream }: Real, _id: string, known: Known, target: Target): void {
    upstream.mark(target, this.verdict, 'probe')
    known.verdict = this.verdict
  }
  override toString = (): string => `${this.index} is ${this.verdict}`
}

class Drain extends OnTarget {
  constructor(
    index: number,
    private readonly on: boolean,
  ) {
    super(index)
  }
  act(_model: Model, { upstream }: Real, id: string, known: Known): void {
    if (this.on) upstream.drain(id)
    else upstream.undrain(id)
    known.draining = this.on
  }
  override toString = (): string => `${this.on ? 'drain' : 'undrain'} ${this.index}`
}

class Pass implements Step {
  constructor(private readonly ms: number) {}
  check = (): boolean => true
  run(model: Model, real: Real): void {
    real.time.passAtOnce(this.ms)
    passTo(model, model.now + this.ms)
    check(model, real)
  }
  toString = (): string => `${this.ms} ms pass`
}

/** A target that fails, is out, comes back and behaves for a while. */
class Relapse extends OnTarget {
  constructor(
    index: number,
    private readonly kind: 'refused' | 'gateway',
    private readonly pause: number,
  ) {
    super(index)
  }
  act(model: Model, real: Real, id: string, known: Known, target: Target): void {
    new End(this.index, this.kind, 3).act(model, real, id, known, target)
    const ms = Math.max((known.until ?? model.now) - model.now, 0) + this.pause
    new Pass(ms).run(model, real)
  }
  override toString = (): string => `${this.index} relapses by ${this.kind}, behaves ${this.pause} ms`
}

class Replace implements Step {
  constructor(private readonly numbers: readonly number[]) {}
  check = (): boolean => true
  run(model: Model, real: Real): void {
    const ids = this.numbers.map((n) => `http://t${n}`)
    real.upstream.replace(ids)
    model.targets = new Map(ids.map((id) => [id, model.targets.get(id) ?? fresh()]))
    check(model, real)
  }
  toString = (): string => `targets are now ${this.numbers.join(', ')}`
}

it('does what the plain rules say, whatever happens in whichever order', () => {
  const index = fc.nat(5)
  const commands = [
    fc
      .tuple(index, fc.constantFrom(...Object.keys(results)), fc.integer({ min: 1, max: 4 }))
      .map((given) => new End(...given)),
    fc.tuple(index, fc.constantFrom('refused', 'gateway'), fc.constant(4)).map((given) => new End(...given)),
    fc.tuple(index, fc.integer({ min: 1, max: 4 })).map((given) => new Begin(...given)),
    fc
      .tuple(fc.constantFrom(...Object.keys(results), 'refused', 'gateway'), fc.integer({ min: 1, max: 4 }))
      .map((given) => new EndLate(...given)),
    fc
      .tuple(
        index,
        fc.constantFrom('refused' as const, 'gateway' as const),
        fc.oneof(fc.constant(0), fc.nat(1_200)),
      )
      .map((given) => new Relapse(...given)),
    fc
      .tuple(index, fc.constantFrom('healthy' as const, 'unhealthy' as const))
      .map((given) => new Mark(...given)),
    fc.tuple(index, fc.boolean()).map((given) => new Drain(...given)),
    fc.oneof(fc.nat(400), fc.nat(5_000)).map((ms) => new Pass(ms)),
    fc.uniqueArray(fc.nat(6), { maxLength: 6 }).map((numbers) => new Replace(numbers)),
  ]
  fc.assert(
    fc.property(
      fc.commands(commands, { maxCommands: 60, size: 'max' }),
      fc.constantFrom(0, 20, 50, 100),
      (steps, maxPercent) => {
        const time = fakeTime()
        const ids = ['http://t0', 'http://t1', 'http://t2', 'http://t3']
        const upstream = createUpstream({ name: 'x', targets: ids }, 'upstream', time.now)
        const watch = ejection(upstream, { ...options, maxPercent }, { timers: time.timers })
        fc.modelRun(
          () => ({
            model: {
              now: 0,
              maxPercent,
              targets: new Map(ids.map((id) => [id, fresh()])),
              underWay: [],
            },
            real: { upstream, time, leases: [] },
          }),
          steps,
        )
        watch[Symbol.dispose]()
        expect(upstream.all.some(({ state }) => state === 'ejected')).toBe(false)
        expect(time.waiting).toBe(0)
      },
    ),
    { numRuns: 300 },
  )
})
