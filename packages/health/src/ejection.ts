import { type Lease, type LeaseResult, needUpstream, type Target, type Upstream } from '@sluice/upstream'
import debug from 'debug'
import { type EjectionOptions, type EjectionSettings, resolveEjection } from './ejection-options.js'
import { failurePercentOutliers } from './failure-percent-outliers.js'
import { isFit } from './is-fit.js'
import { latencyOutliers } from './latency-outliers.js'
import { outcomeOf } from './outcome.js'
import type { Outlier } from './outlier.js'
import { successRateOutliers } from './success-rate-outliers.js'
import { type Cause, TargetRecord } from './target-record.js'
import { type Timers, unheldTimers } from './timers.js'
import { whyKept } from './why-kept.js'

const log = debug('sluice:health')
const by = 'ejection'

/** What {@link ejection} takes from outside, to be replaced in tests. The clock is the upstream's. */
export interface EjectionSeams {
  /** Default Node's own, which hold no process open. */
  timers?: Timers
}

/**
 * Takes targets out for a time by what they do to requests, after Envoy's outlier detection
 * (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier): no probe is needed, and the traffic itself
 * is judged. A client that leaves is never held against a target, nor is a fault of the proxy's own. Dispose it to end that; who is
 * out then is back at once.
 * @throws TypeError for a wrong option, or what is no upstream
 */
export function ejection(
  upstream: Upstream,
  options: EjectionOptions = {},
  seams: EjectionSeams = {},
): Disposable {
  needUpstream(upstream, 'ejection')
  return new Ejection(upstream, resolveEjection(options), seams.timers ?? unheldTimers)
}

/**
 * in use ──failures in a row, an outlier of an interval──▶ ejected ──its time is over──▶ in use
 *
 * What began before a target came back counts no more: it says how the target was.
 */
class Ejection implements Disposable {
  private records: ReadonlyMap<Target, TargetRecord> = new Map()
  private out = 0
  private sweeping: unknown = undefined
  /** Lost connects have statistics: a single one doesn't take its target out. */
  private readonly connects: boolean
  private readonly undo: readonly (() => void)[]

  constructor(
    private readonly upstream: Upstream,
    private readonly settings: EjectionSettings,
    private readonly timers: Timers,
  ) {
    this.follow(upstream.all)
    this.undo = [
      upstream.on('targets', (targets) => this.follow(targets)),
      upstream.on('result', (target, result, lease) => this.take(target, result, lease)),
    ]
    const { successRate, failurePercent, latency, local, localPercent } = settings
    this.connects = local > 1
    const byConnects = this.connects ? localPercent : undefined
    if ((successRate ?? failurePercent ?? byConnects ?? latency) !== undefined) this.sweepLater()
  }

  [Symbol.dispose](): void {
    for (const undo of this.undo) undo()
    this.timers.clear(this.sweeping)
    for (const record of this.records.values()) {
      if (record.out === undefined) continue
      this.timers.clear(record.timer)
      this.restore(record, 'ejection was turned off')
    }
    this.records = new Map()
  }

  /** Those that stay keep their record, and their time. */
  private follow(targets: readonly Target[]): void {
    const before = this.records
    this.records = new Map(
      targets.map((target) => [target, before.get(target) ?? new TargetRecord(target, this.settings)]),
    )
    for (const [target, record] of before) {
      if (this.records.has(target) || record.out === undefined) continue
      this.timers.clear(record.timer)
      record.out = undefined
      this.out--
    }
  }

  private take(target: Target, result: LeaseResult | undefined, lease: Lease): void {
    const outcome = outcomeOf(result)
    if (outcome === undefined) return
    const record = this.records.get(target)
    if (record === undefined || !record.counts(lease)) return
    const fault = record.take(outcome)
    if (fault !== undefined) this.eject(record, fault.cause, `${fault.reason}${lastOf(result)}`)
  }

  private eject(record: TargetRecord, cause: Cause, reason: string): void {
    const { timers, upstream } = this
    const { target } = record
    const kept = whyKept(target, upstream.all, this.outNow(), this.settings.maxPercent)
    if (isFit(target) && record.isGone) this.relieve(target)
    if (kept !== undefined) {
      if (log.enabled) log('%s: not ejected, %s: %s', target.id, kept, reason)
      return
    }
    const ms = record.leave(cause, upstream.now())
    this.out++
    record.timer = timers.set(() => this.restore(record, `was out for ${seconds(ms)}`), ms)
    upstream.eject(target, by, `${reason}: out for ${seconds(ms)}`)
  }

  /**
   * Where the last target that is fit isn't reached, whoever has been out for the longest is asked before its time is over: in a rolling restart it is
   * there again, and nobody else is. Not within `localBase`, or all would be asked in turn as long as all are gone.
   */
  private relieve(last: Target): void {
    const { settings, timers, upstream } = this
    const isAlone = (): boolean => !upstream.all.some((each) => each !== last && isFit(each))
    if (this.out === 0 || !isAlone()) return
    const before = upstream.now() - settings.localBase
    const out = [...this.records.values()].filter(
      ({ out, since, target }) => out !== undefined && since <= before && target.state === 'ejected',
    )
    for (const record of out.sort((a, b) => a.since - b.since)) {
      // Whoever heard of the one before may have taken this one away, or ended all this.
      if (record.out === undefined) continue
      timers.clear(record.timer)
      this.restore(record, 'the last one that was fit is not reached', true)
      // Others may know more of it.
      if (!isAlone()) return
    }
  }

  private restore(record: TargetRecord, reason: string, early = false): void {
    this.out--
    record.back(this.upstream.now(), early)
    this.upstream.restore(record.target, by, reason)
  }

  /** One that drains while it is out takes nobody's place. */
  private outNow(): number {
    if (this.out === 0) return 0
    let out = 0
    for (const { out: cause, target } of this.records.values())
      if (cause !== undefined && target.state !== 'draining') out++
    return out
  }

  private sweepLater(): void {
    this.sweeping = this.timers.set(() => {
      // First: whoever hears of an ejection may dispose this.
      this.sweepLater()
      this.sweep()
    }, this.settings.interval)
  }

  private sweep(): void {
    const judged = [...this.records.values()].filter(({ out }) => out === undefined)
    const { successRate, failurePercent, latency } = this.settings
    const outliers: Outlier[] = []
    if (successRate !== undefined) outliers.push(...successRateOutliers(judged, successRate))
    if (failurePercent !== undefined) outliers.push(...failurePercentOutliers(judged, failurePercent))
    if (latency !== undefined) outliers.push(...latencyOutliers(judged, latency))
    // First: nothing says as much of a target as that it isn't reached.
    if (this.connects) this.ejectAll(this.connectOutliers(judged), 'local')
    this.ejectAll(outliers, 'other')
    for (const record of this.records.values()) record.forget()
  }

  private connectOutliers(judged: readonly TargetRecord[]): readonly Outlier[] {
    const { successRate, localPercent } = this.settings
    const samples = judged.map(({ connects }) => connects)
    const outliers: Outlier[] = []
    if (localPercent !== undefined)
      outliers.push(...failurePercentOutliers(samples, localPercent, 'of its requests lost their connect'))
    if (successRate !== undefined)
      outliers.push(...successRateOutliers(samples, successRate, 'of its requests got a connection'))
    return outliers
  }

  private ejectAll(outliers: readonly Outlier[], cause: Cause): void {
    for (const { target, reason } of outliers) {
      const record = this.records.get(target)
      if (record !== undefined && record.out === undefined) this.eject(record, cause, reason)
    }
  }
}

function lastOf(result: LeaseResult | undefined): string {
  const { error, status } = result ?? {}
  const code = (error as { code?: unknown } | undefined)?.code
  if (typeof code === 'string') return ` (${code})`
  return status === undefined ? '' : ` (${status})`
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`
}
