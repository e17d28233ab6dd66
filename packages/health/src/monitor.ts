import type { Target, Upstream } from '@sluice/upstream'
import debug from 'debug'
import { type HealthOptions, type MonitorSettings, resolveHealth } from './health-options.js'
import { HealthState } from './health-state.js'
import type { Probe } from './probe.js'

const log = debug('sluice:health')

/** What {@link monitor} takes from outside: chance and timers, to be replaced in tests. */
export interface MonitorSeams {
  /** Numbers in [0, 1). Default `Math.random`. */
  random?: () => number
}

/**
 * Probes every target of an upstream, each on a clock of its own, and marks it healthy or unhealthy. It follows the
 * upstream's membership, goes on probing targets that are unhealthy, and holds no process open.
 * @throws TypeError for a wrong option
 */
export function monitor(
  upstream: Upstream,
  probe: Probe,
  options: HealthOptions = {},
  seams: MonitorSeams = {},
): Disposable {
  const settings = resolveHealth(options)
  const random = seams.random ?? Math.random
  const watched = new Map<Target, Watch>()
  const follow = (targets: readonly Target[]): void => {
    for (const [target, watch] of watched) {
      if (targets.includes(target)) continue
      watch.stop()
      watched.delete(target)
    }
    for (const target of targets) {
      if (watched.has(target)) continue
      const watch = new Watch(upstream, target, probe, settings, random)
      watched.set(target, watch)
      watch.start()
    }
  }
  follow(upstream.all)
  const forget = upstream.on('targets', follow)
  return {
    [Symbol.dispose]() {
      forget()
      for (const watch of watched.values()) watch.stop()
      watched.clear()
    },
  }
}

/**
 * The probes of one target, one at a time: the next begins an interval after the last has ended.
 *
 * interval = (healthy ? interval : unhealthyInterval) * (1 - jitter * random())
 * The first begins after jitter * random() of an unhealthy interval: soon, and not all at once.
 */
class Watch {
  private readonly state: HealthState
  private timer: NodeJS.Timeout | undefined = undefined
  private controller: AbortController | undefined = undefined
  private stopped = false

  constructor(
    private readonly upstream: Upstream,
    private readonly target: Target,
    private readonly probe: Probe,
    private readonly settings: MonitorSettings,
    private readonly random: () => number,
  ) {
    this.state = new HealthState(settings.rise, settings.fall)
  }

  start(): void {
    const { jitter, unhealthyInterval } = this.settings
    this.after(jitter * this.random() * unhealthyInterval)
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
    this.controller?.abort()
  }

  private after(ms: number): void {
    this.timer = setTimeout(() => this.run(), ms).unref()
  }

  private run(): void {
    const { timeout } = this.settings
    const controller = new AbortController()
    this.controller = controller
    let settled = false
    const done = (failure: unknown): void => {
      // A probe may settle after its timeout, or after nobody asks any more.
      if (settled || this.stopped) return
      settled = true
      clearTimeout(this.timer)
      this.take(failure)
    }
    if (timeout > 0) {
      this.timer = setTimeout(() => {
        done(new Error(`no answer within ${timeout} ms`))
        controller.abort()
      }, timeout).unref()
    }
    // A probe that throws instead of rejecting has failed all the same.
    new Promise<void>((resolve) => resolve(this.probe(this.target, controller.signal))).then(
      () => done(undefined),
      (error: unknown) => done(error ?? new Error('the probe failed')),
    )
  }

  private take(failure: unknown): void {
    const { settings, state, target } = this
    const passed = failure === undefined
    if (log.enabled) log('%s: %s', target.id, passed ? 'passed' : failure)
    if (state.take(passed)) {
      const reason = passed
        ? 'probe passed'
        : `probe failed: ${failure instanceof Error ? failure.message : String(failure)}`
      this.upstream.mark(target, passed ? 'healthy' : 'unhealthy', reason)
    }
    const interval = state.verdict === 'unhealthy' ? settings.unhealthyInterval : settings.interval
    if (!this.stopped) this.after(interval * (1 - settings.jitter * this.random()))
  }
}
