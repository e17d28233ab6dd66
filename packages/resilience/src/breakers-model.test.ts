import { createUpstream, type Lease, type LeaseResult, type Target, type Upstream } from '@sluice/upstream'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type FakeTime, fakeTime } from '../../../test/kit/fake-time.js'
import { type BreakerState, type Breakers, breakers } from './index.js'

/** The window never ends within a run: all results since the breaker closed count. */
const options = {
  failures: 0.5,
  volume: 4,
  window: '1h',
  open: 100,
  growth: 2,
  max: 300,
  jitter: 0,
  trials: 2,
  ramp: 0,
} as const

/** What is known of a target's breaker, in the plainest terms. */
interface Known {
  state: BreakerState
  /** Counts its changes. */
  era: number
  /** Results of this era. */
  passed: number
  failed: number
  /** When it is half-open again. */
  until: number
  openings: number
}

/** A request under way. */
interface UnderWay {
  readonly index: number
  readonly era: number
  /** The head of its answer is there. */
  answered: boolean
}

interface Model {
  now: number
  readonly targets: readonly Known[]
  underWay: UnderWay[]
}

interface Real {
  readonly upstream: Upstream
  readonly all: Breakers
  readonly time: FakeTime
  leases: Lease[]
}

const fresh = (): Known => ({ state: 'closed', era: 0, passed: 0, failed: 0, until: 0, openings: 0 })

function change(known: Known, state: BreakerState): void {
  known.state = state
  known.era++
  known.passed = 0
  known.failed = 0
}

function open(model: Model, known: Known): void {
  known.openings++
  known.until = model.now + Math.min(options.open * options.growth ** (known.openings - 1), options.max)
  change(known, 'open')
}

const results: Record<string, LeaseResult | undefined> = {
  ok: { ok: true, status: 200, ttfb: 1 },
  failed: { ok: true, status: 500, ttfb: 1 },
  broken: { ok: false, error: new Error('broken') },
  left: undefined,
}

/** What the end of a request means: nothing, unless it began in the era that is now, and a trial is judged by its head. */
function end(model: Model, { index, era, answered }: UnderWay, kind: string): void {
  const known = model.targets[index] as Known
  if (kind === 'left' || era !== known.era) return
  // An answer that broke afterwards is none.
  if (answered && known.state === 'half-open' && kind !== 'broken') return
  judge(model, known, kind === 'ok')
}

function judge(model: Model, known: Known, passed: boolean): void {
  if (passed) known.passed++
  else known.failed++
  if (known.state === 'half-open') {
    if (known.failed > 0) open(model, known)
    else if (known.passed === options.trials) change(known, 'closed')
  } else if (known.state === 'closed') {
    const total = known.passed + known.failed
    if (total >= options.volume && known.failed >= options.failures * total) open(model, known)
  }
}

/** Whether one more may go there: half-open, as many as there are trials left, of which those count that began in it and wait for a head. */
function admits(model: Model, index: number): boolean {
  const known = model.targets[index] as Known
  if (known.state !== 'half-open') return known.state === 'closed'
  const out = model.underWay.filter(
    (each) => each.index === index && each.era === known.era && !each.answered,
  ).length
  return out + known.passed < options.trials
}

function check(model: Model, { upstream, all }: Real): void {
  expect(upstream.all.map((target) => [all.stateOf(target), target.state, upstream.admits(target)])).toEqual(
    model.targets.map(({ state }, i) => [state, state === 'open' ? 'ejected' : 'unknown', admits(model, i)]),
  )
}

type Step = fc.Command<Model, Real>

class Begin implements Step {
  constructor(
    private readonly index: number,
    private readonly times: number,
    /** It is sent there whatever the gate says, as nobody should. */
    private readonly forced: boolean,
  ) {}
  check = (): boolean => true
  run(model: Model, real: Real): void {
    const { index } = this
    for (let n = 0; n < this.times; n++) {
      if (!this.forced && !admits(model, index)) break
      real.leases.push(real.upstream.lease(real.upstream.all[index] as Target))
      model.underWay.push({ index, era: (model.targets[index] as Known).era, answered: false })
      check(model, real)
    }
  }
  toString = (): string => `${this.times} begin at ${this.index}${this.forced ? ' unasked' : ''}`
}

class End implements Step {
  constructor(
    private readonly nth: number,
    private readonly kind: string,
    private readonly times: number,
  ) {}
  check = (model: Readonly<Model>): boolean => model.underWay.length > 0
  run(model: Model, real: Real): void {
    for (let n = 0; n < this.times && model.underWay.length > 0; n++) {
      const at = this.nth % model.underWay.length
      const [underWay] = model.underWay.splice(at, 1) as [UnderWay]
      const [lease] = real.leases.splice(at, 1) as [Lease]
      lease.release(results[this.kind])
      end(model, underWay, this.kind)
      check(model, real)
    }
  }
  toString = (): string => `${this.times} from number ${this.nth} of those under way end: ${this.kind}`
}

class Answer implements Step {
  constructor(
    private readonly nth: number,
    private readonly status: number,
    private readonly tunnel: boolean,
  ) {}
  check = (model: Readonly<Model>): boolean => model.underWay.length > 0
  run(model: Model, real: Real): void {
    const at = this.nth % model.underWay.length
    const underWay = model.underWay[at] as UnderWay
    const known = model.targets[underWay.index] as Known
    const first = !underWay.answered
    underWay.answered = true
    if (first && underWay.era === known.era && known.state === 'half-open')
      judge(model, known, this.status < 500)
    ;(real.leases[at] as Lease).answered(this.status, 1, this.tunnel)
    check(model, real)
  }
  toString = (): string =>
    `number ${this.nth} of those under way has the head of its answer: ${this.status}${this.tunnel ? ', a tunnel' : ''}`
}

class Pass implements Step {
  constructor(private readonly ms: number) {}
  check = (): boolean => true
  run(model: Model, real: Real): void {
    real.time.passAtOnce(this.ms)
    model.now += this.ms
    for (const known of model.targets)
      if (known.state === 'open' && known.until <= model.now) change(known, 'half-open')
    check(model, real)
  }
  toString = (): string => `${this.ms} ms pass`
}

it('judges a target by what began in the state that it is in: a trial is what began while half-open', () => {
  const index = fc.nat(1)
  const times = fc.integer({ min: 1, max: 5 })
  const kinds = fc.constantFrom(...Object.keys(results), 'failed', 'ok')
  const commands = [
    fc.tuple(index, times, fc.constant(false)).map((given) => new Begin(...given)),
    fc.tuple(index, times, fc.boolean()).map((given) => new Begin(...given)),
    fc.tuple(fc.nat(20), kinds, times).map((given) => new End(...given)),
    fc.tuple(fc.constant(0), kinds, times).map((given) => new End(...given)),
    fc
      .tuple(fc.nat(20), fc.constantFrom(101, 200, 200, 500), fc.boolean())
      .map((given) => new Answer(...given)),
    fc.constantFrom(1, 99, 100, 200, 300).map((ms) => new Pass(ms)),
  ]
  fc.assert(
    fc.property(fc.commands(commands, { maxCommands: 60, size: 'max' }), (steps) => {
      const time = fakeTime()
      const upstream = createUpstream({ name: 'x', targets: ['http://a', 'http://b'] }, 'upstream', time.now)
      const after = (ms: number, fn: () => void): (() => void) => {
        const timer = time.timers.set(fn, ms)
        return () => time.timers.clear(timer)
      }
      const all = breakers(upstream, options, { random: () => 0, after })
      fc.modelRun(
        () => ({
          model: { now: 0, targets: [fresh(), fresh()], underWay: [] },
          real: { upstream, all, time, leases: [] },
        }),
        steps,
      )
      all[Symbol.dispose]()
      expect([upstream.gated, time.waiting]).toEqual([false, 0])
    }),
    { numRuns: 300 },
  )
})
