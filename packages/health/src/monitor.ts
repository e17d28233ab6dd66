import { fault, quote } from '@sluice/options'
import { needUpstream, type Target, type Upstream } from '@sluice/upstream'
import debug from 'debug'
import { type Declaration, readDeclaration } from './declaration.js'
import { type Declarations, declarationsOf } from './declarations.js'
import { FirstRound } from './first-round.js'
import { type MonitorOptions, type MonitorSettings, resolveMonitor } from './health-options.js'
import { HealthState } from './health-state.js'
import { isOwnLimit } from './is-own-limit.js'
import type { Probe } from './probe.js'
import { type Timers, unheldTimers } from './timers.js'

const log = debug('sluice:health')

/** Between the first probes of two targets, in ms, where there is time for that. */
const spacing = 100
/** A timer that is as late, in ms, tells of a process that was held up: what has come meanwhile is unread, since timers come ahead of reads. */
const heldUp = 50

/** What {@link monitor} takes from outside: chance and timers, to be replaced in tests. */
export interface MonitorSeams {
  /** Numbers in [0, 1). Default `Math.random`. */
  random?: () => number
  /** Default Node's own, which hold no process open. */
  timers?: Timers
}

/** What all probes of an upstream have in common. */
interface Shared {
  readonly upstream: Upstream
  readonly probe: Probe
  readonly settings: MonitorSettings
  readonly declarations: Declarations
  readonly random: () => number
  readonly timers: Timers
}

/**
 * Probes every target of an upstream, each on a clock of its own, and marks it healthy or unhealthy. It follows the
 * upstream's membership, goes on probing targets that are unhealthy, drained or ejected, and holds no process open but by a probe that is
 * under way. What a target says of itself in its answer (`X-Health`) counts until a later one says otherwise. Dispose it to end that;
 * who is unhealthy then is `unknown` again, since nobody would find it healthy any more.
 * @throws TypeError for a wrong option, or what is no upstream or no probe
 */
export function monitor(
  upstream: Upstream,
  probe: Probe,
  options: MonitorOptions = {},
  seams: MonitorSeams = {},
): Disposable {
  const { random = Math.random, timers = unheldTimers } = seams
  needUpstream(upstream, 'monitor')
  if (typeof probe !== 'function')
    throw new TypeError(fault('monitor', `${quote(probe)} as its probe`, 'a function such as httpProbe()'))
  const settings = resolveMonitor(options, 'monitor')
  const declarations = declarationsOf(upstream, timers)
  const shared: Shared = { upstream, probe, settings, declarations, random, timers }
  const watched = new Map<Target, Watch>()
  const follow = (targets: readonly Target[]): void => {
    for (const [target, watch] of watched) {
      if (targets.includes(target)) continue
      watch.stop()
      watched.delete(target)
    }
    const joined = targets.filter((target) => !watched.has(target))
    const gap = Math.min(spacing, settings.interval / joined.length)
    const watches = joined.map((target) => new Watch(target, shared))
    // Without a timeout one probe could keep all of them from being known.
    const together = watched.size === 0 && settings.timeout > 0 ? new FirstRound(watches) : undefined
    for (const [i, watch] of watches.entries()) {
      watched.set(watch.target, watch)
      watch.start(i * gap, together)
    }
  }
  follow(upstream.all)
  const forget = upstream.on('targets', follow)
  return {
    [Symbol.dispose]() {
      forget()
      for (const watch of watched.values()) {
        watch.stop()
        watch.forget()
      }
      watched.clear()
      declarations.forget('probe')
    },
  }
}

/**
 * The probes of one target, one at a time: the next begins an interval after the last has ended.
 *
 * interval = (healthy ? interval : unhealthyInterval) * (1 - jitter * random())
 * The first of the i-th new target begins after i * min(100 ms, interval / n) + jitter * random() * unhealthyInterval: few are
 * asked at once, many over an interval.
 *
 * A timer that comes later than a whole interval (or timeout) has slept with the machine, as all the others have, or the process
 * was stopped: then nothing is known of the target, and the probes are spread anew. Once in a row, for a process that is always
 * late has to probe all the same.
 */
class Watch {
  private readonly state: HealthState
  private timer: unknown = undefined
  private controller: AbortController | undefined = undefined
  private stopped = false
  private overslept = false
  private together: FirstRound<Watch> | undefined = undefined

  constructor(
    readonly target: Target,
    private readonly shared: Shared,
  ) {
    const { rise, fall } = shared.settings
    this.state = new HealthState(rise, fall)
  }

  /**
   * @param delay before the first probe, in ms
   * @param together who begins at the same time, and nobody before them
   */
  start(delay: number, together: FirstRound<Watch> | undefined): void {
    this.together = together
    const { random, settings } = this.shared
    this.after(delay + settings.jitter * random() * settings.unhealthyInterval)
  }

  stop(): void {
    this.stopped = true
    this.shared.timers.clear(this.timer)
    this.controller?.abort()
    this.together?.leave(this)
  }

  /** Nobody probes it any more, so a bad verdict would be its last. */
  forget(): void {
    if (this.state.verdict === 'unhealthy')
      this.shared.upstream.mark(this.target, 'unknown', 'is probed no more')
  }

  private after(ms: number): void {
    const { settings, timers, upstream } = this.shared
    const due = upstream.now() + ms
    this.timer = timers.set(() => {
      if (this.wokenLate(due, settings.interval)) this.spread()
      else this.run()
    }, ms)
  }

  /** Some time within an interval, by chance. */
  private spread(): void {
    const { random, settings } = this.shared
    this.after(random() * settings.interval)
  }

  private wokenLate(due: number, by: number): boolean {
    const late = this.shared.upstream.now() - due > by
    const first = late && !this.overslept
    this.overslept = late
    return first
  }

  private run(): void {
    const { probe, settings, timers, upstream } = this.shared
    const { timeout } = settings
    const controller = new AbortController()
    this.controller = controller
    let settled = false
    let said: Declaration | undefined
    /** Whether this is the first word on it: a probe may settle after its timeout, or when nobody asks any more. */
    const settle = (): boolean => {
      if (settled || this.stopped) return false
      settled = true
      timers.clear(this.timer)
      return true
    }
    const done = (failure: unknown): void => {
      if (settle()) this.take(failure, said)
    }
    if (timeout > 0) {
      const due = upstream.now() + timeout
      const late = (): void => {
        done(new Error(`no answer within ${timeout} ms`))
        controller.abort()
      }
      this.timer = timers.set(() => {
        if (this.wokenLate(due, timeout)) {
          if (settle()) this.spread()
          controller.abort()
        } else if (upstream.now() - due > heldUp) this.timer = timers.set(late, heldUp)
        else late()
      }, timeout)
    }
    // A probe that throws instead of rejecting has failed all the same.
    new Promise<unknown>((resolve) => {
      resolve(
        probe(this.target, controller.signal, (word) => {
          said = readDeclaration(word)
        }),
      )
    }).then(
      (given) => done(noProof(given)),
      (error: unknown) => done(error ?? new Error('the probe failed')),
    )
  }

  private take(failure: unknown, said: Declaration | undefined): void {
    const { state, target } = this
    const { declarations, random, settings, upstream } = this.shared
    const passed = failure === undefined
    if (log.enabled) log('%s: %s', target.id, passed ? 'passed' : failure)
    if (isOwnLimit(failure)) return this.after(settings.unhealthyInterval * (1 - settings.jitter * random()))
    if (state.take(passed)) {
      const reason = passed ? 'probe passed' : `probe failed: ${textOf(failure)}`
      const verdict = passed ? 'healthy' : 'unhealthy'
      const mark = (): void => {
        // Told later, it may be true no more.
        if (!this.stopped && state.verdict === verdict) upstream.mark(target, verdict, reason)
      }
      const { together } = this
      this.together = undefined
      if (together === undefined) mark()
      else together.tell(this, passed, mark)
    }
    // Whoever hears of that may have ended all this.
    if (this.stopped) return
    if (said !== undefined) declarations.say(target, said, 'probe', Number.POSITIVE_INFINITY)
    else if (passed) declarations.silent(target, 'probe')
    const interval = state.verdict === 'unhealthy' ? settings.unhealthyInterval : settings.interval
    if (!this.stopped) this.after(interval * (1 - settings.jitter * random()))
  }
}

/** What fits no type, but code without types gives: each would make a target fit whatever it is. */
function noProof(given: unknown): Error | undefined {
  // What makes a probe, and is none.
  if (typeof given === 'function') return new Error('it gave a function: call it first')
  return given === false ? new Error('it gave false') : undefined
}

/** Never throws: anything may be thrown, also what throws when it is looked at. */
function textOf(failure: unknown): string {
  try {
    return failure instanceof Error ? failure.message : String(failure)
  } catch {
    return 'something that can not be shown'
  }
}
