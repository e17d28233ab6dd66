import diagnostics from 'node:diagnostics_channel'
import debug from 'debug'
import { retire } from './create-target.js'
import type { Lease, LeaseResult } from './lease.js'
import { type LeaseEnds, LiveTarget, TargetLease } from './live-target.js'
import { show } from './show.js'
import { readTargets, type Target, type TargetInit } from './target.js'
import { sameTls, type TargetTls } from './target-tls.js'
import { normaliseUrl } from './target-url.js'
import type { AnswerListener, Discovery, ResultListener, StateChange, Upstream } from './upstream.js'

const log = debug('sluice:upstream')
const changed = diagnostics.channel('sluice:target:state')
const hand = 'hand'

interface Listeners {
  readonly state: Set<(change: StateChange) => void>
  readonly targets: Set<(targets: readonly Target[]) => void>
  readonly answer: Set<AnswerListener>
  readonly result: Set<ResultListener>
  readonly panic: Set<(on: boolean) => void>
}

/** Who may be used. */
interface Lists {
  readonly available: readonly LiveTarget[]
  readonly ranks: readonly (readonly LiveTarget[])[]
}

/**
 * Where targets and their health stand. Whoever judges them (probes, ejection, breakers) tells it, whoever picks reads it.
 *
 * available = those that may be used, or in panic all that aren't draining; panic: usable < panic × all that aren't draining
 */
export class TargetGroup implements Upstream, LeaseEnds {
  all: readonly LiveTarget[] = Object.freeze([])
  panicking = false
  /** Made when read: thousands may change at once. */
  private lists: Lists | undefined = undefined
  private members: ReadonlySet<LiveTarget> = new Set()
  private undrained = 0
  private usable = 0
  private readonly listeners: Listeners = {
    state: new Set(),
    targets: new Set(),
    answer: new Set(),
    result: new Set(),
    panic: new Set(),
  }
  private gates: readonly ((target: Target) => boolean)[] = []
  /** What listeners are still to be told, the first being told now. */
  private readonly news: (() => void)[] = []
  /** Of gates that know it: when they open. */
  private readonly openings = new Map<(target: Target) => boolean, (target: Target) => number | undefined>()
  private watching: Disposable | undefined = undefined
  private begun = false
  private closed = false

  constructor(
    readonly name: string,
    private readonly path: string,
    private readonly clock: () => number,
    private readonly tls: TargetTls | undefined,
    private readonly panic: number,
  ) {}

  get available(): readonly LiveTarget[] {
    this.lists ??= this.list()
    return this.lists.available
  }

  get ranks(): readonly (readonly LiveTarget[])[] {
    this.lists ??= this.list()
    return this.lists.ranks
  }

  now(): number {
    return this.clock()
  }

  lease(target: Target): Lease {
    if (!(target instanceof LiveTarget)) throw this.noTarget(target)
    return new TargetLease(target, this.clock, this)
  }

  leaseAnswered(target: LiveTarget, status: number, ttfb: number, lease: Lease): void {
    for (const fn of this.listeners.answer) {
      try {
        this.await(fn(target, status, ttfb, lease))
      } catch (error) {
        this.blame(error)
      }
    }
  }

  leaseEnded(target: LiveTarget, result: LeaseResult | undefined, lease: Lease): void {
    if (target.left && target.inFlight === 0) this.safely(() => retire(target))
    const { result: listeners } = this.listeners
    for (const fn of listeners) {
      // No closure: it is every request's way.
      try {
        this.await(fn(target, result, lease))
      } catch (error) {
        this.blame(error)
      }
    }
  }

  gate(admits: (target: Target) => boolean, opens?: (target: Target) => number | undefined): () => void {
    needFunction(admits, 'gate')
    if (opens !== undefined) needFunction(opens, 'gate')
    this.gates = [...this.gates, admits]
    if (opens !== undefined) this.openings.set(admits, opens)
    return () => {
      this.gates = this.gates.filter((each) => each !== admits)
      this.openings.delete(admits)
    }
  }

  opensIn(one?: Target): number | undefined {
    let first: number | undefined
    for (const target of one === undefined ? this.available : [one]) {
      let all = 0
      for (const gate of this.gates) {
        if (gate(target)) continue
        const ms = this.openings.get(gate)?.(target)
        // Full, say: it may have room any moment, so any other's time would be too long.
        if (ms === undefined) return undefined
        all = Math.max(all, ms)
      }
      first = Math.min(first ?? all, all)
    }
    return first
  }

  get gated(): boolean {
    return this.gates.length > 0
  }

  admits(target: Target): boolean {
    for (const gate of this.gates) if (!gate(target)) return false
    return true
  }

  replace(targets: readonly TargetInit[]): void {
    const settings = readTargets(targets, this.path, this.tls)
    if (
      this.tls !== undefined &&
      settings.length > 0 &&
      !settings.some(({ url }) => url.startsWith('https:'))
    )
      throw new TypeError(
        `${this.path}: got no 'https:' URL, takes one at least: the upstream has tls settings`,
      )
    const before = new Map(this.all.map((target) => [target.id, target]))
    let same = settings.length === this.all.length
    const next = settings.map((each, i) => {
      const old = before.get(each.id)
      if (old === undefined || old.url !== each.url || !sameTls(old.tls, each.tls))
        return this.join(each, old)
      before.delete(each.id)
      same = !old.update(each) && same && old === this.all[i]
      return old
    })
    // A source may deliver the same again: policies keep their tables.
    if (same && before.size === 0) return
    this.begun ||= next.length > 0
    this.all = Object.freeze(next)
    this.members = new Set(next)
    this.undrained = 0
    this.usable = 0
    for (const target of next) this.count(target, 1)
    this.refresh()
    for (const target of before.values()) {
      target.left = true
      this.tell(target, labelOf(target), 'removed', 'left the upstream')
      if (target.inFlight === 0) this.safely(() => retire(target))
    }
    this.announce(this.listeners.targets, () => this.all)
  }

  drain(id: string, reason = 'drained by hand', by = hand): void {
    this.change(this.named(id), reason, (target) => target.drainers.add(by))
  }

  undrain(id: string, reason = 'undrained by hand', by = hand): void {
    this.change(this.named(id), reason, (target) => target.drainers.delete(by))
  }

  mark(target: Target, verdict: 'unknown' | 'healthy' | 'unhealthy', reason: string): void {
    this.changeMember(target, reason, (live) => {
      live.verdict = verdict
    })
  }

  eject(target: Target, by: string, reason: string): void {
    this.changeMember(target, reason, (live) => live.ejectors.add(by))
  }

  restore(target: Target, by: string, reason: string): void {
    this.changeMember(target, reason, (live) => live.ejectors.delete(by))
  }

  degrade(target: Target, on: boolean, reason: string): void {
    this.changeMember(target, reason, (live) => {
      live.degraded = on
    })
  }

  on(event: 'state', fn: (change: StateChange) => void): () => void
  on(event: 'targets', fn: (targets: readonly Target[]) => void): () => void
  on(event: 'answer', fn: AnswerListener): () => void
  on(event: 'result', fn: ResultListener): () => void
  on(event: 'panic', fn: (on: boolean) => void): () => void
  on(event: keyof Listeners, fn: (...given: never[]) => void): () => void {
    needFunction(fn, `on('${event}')`)
    const set = this.listeners[event] as Set<unknown> | undefined
    if (set === undefined)
      throw new TypeError(
        `on: got ${JSON.stringify(event)}, takes 'state', 'targets', 'answer', 'result' or 'panic'`,
      )
    set.add(fn)
    return () => void set.delete(fn)
  }

  follow(source: Discovery): void {
    const watching = source.watch((targets) => {
      if (this.closed) return
      // A source that delivers nonsense must not take down what works.
      this.safely(() => this.replace(targets))
    }) as Disposable | undefined
    // Code without types may have an async `watch`: its rejection must not end the process.
    this.await(watching)
    if (typeof watching?.[Symbol.dispose] !== 'function') {
      this.closed = true
      throw new TypeError(
        `${this.path}: got a source whose watch() gives ${show(watching)}, takes one that gives { [Symbol.dispose]() {} }, which ends it`,
      )
    }
    this.watching = watching
  }

  close(): Promise<void> {
    this.closed = true
    const { watching } = this
    this.watching = undefined
    this.safely(() => watching?.[Symbol.dispose]())
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private join(settings: ConstructorParameters<typeof LiveTarget>[0], old?: LiveTarget): LiveTarget {
    const target = new LiveTarget(settings, this)
    // A person has drained a name: a new certificate is no reason to send requests there.
    if (old?.drainers.has(hand) === true) target.drainers.add(hand)
    // The first list is no news: nobody warms up towards nothing.
    if (this.begun) target.since = this.clock()
    return target
  }

  private changeMember(target: Target, reason: string, edit: (target: LiveTarget) => void): void {
    if (this.members.has(target as LiveTarget)) this.change(target as LiveTarget, reason, edit)
  }

  /** By its id, or by its URL as people write it: with a slash behind the origin, or the usual port. */
  private named(id: string): LiveTarget | undefined {
    let found = this.all.find((each) => each.id === id)
    const url = found === undefined && normaliseUrl(id, '', [])
    found ??= this.all.find((each) => each.url === url)
    if (found === undefined && log.enabled) log('%s: no target is called %s', this.name, id)
    return found
  }

  private change(target: LiveTarget | undefined, reason: string, edit: (target: LiveTarget) => void): void {
    if (target === undefined) return
    const from = labelOf(target)
    const { usable } = target
    this.count(target, -1)
    edit(target)
    this.count(target, 1)
    if (labelOf(target) === from) return
    if (!usable && target.usable) target.since = this.clock()
    this.refresh()
    this.tell(target, from, labelOf(target), reason)
  }

  private count({ draining, usable }: LiveTarget, by: 1 | -1): void {
    if (!draining) this.undrained += by
    if (usable) this.usable += by
  }

  private refresh(): void {
    this.lists = undefined
    // When nobody is known to be fit somebody may be: 503 for all helps none.
    const panicking = this.undrained > 0 && (this.usable === 0 || this.usable < this.undrained * this.panic)
    if (panicking === this.panicking) return
    this.panicking = panicking
    if (log.enabled) log('%s: panic %s: %d of %d fit', this.name, panicking, this.usable, this.undrained)
    this.announce(this.listeners.panic, () => panicking)
  }

  private list(): Lists {
    const usable = this.all.filter((target) => target.usable)
    const rank = this.panicking ? panicRank(usable) : rankOf
    const list = this.panicking ? this.all.filter(({ draining }) => !draining) : usable
    const available = Object.freeze(list.sort((a, b) => rank(a) - rank(b) || a.priority - b.priority))
    return {
      available,
      ranks: slices(available, (a, b) => rank(a) === rank(b) && a.priority === b.priority),
    }
  }

  private tell(target: Target, from: string, to: string, reason: string): void {
    if (log.enabled) log('%s: %s %s -> %s: %s', this.name, target.id, from, to, reason)
    const change: StateChange = { target, from, to, reason }
    if (changed.hasSubscribers) changed.publish({ upstream: this.name, ...change })
    this.announce(this.listeners.state, () => change)
  }

  /** One thing after the other: what a listener does about one is told when all have heard. */
  private announce<T>(listeners: ReadonlySet<(told: T) => void>, what: () => T): void {
    this.news.push(() => {
      for (const fn of listeners) this.safely(() => fn(what()))
    })
    if (this.news.length > 1) return
    for (let next = this.news[0]; next !== undefined; next = this.news[0]) {
      next()
      this.news.shift()
    }
  }

  /** A listener that throws, or a source that lies, is told of and harms nobody. */
  private safely(fn: () => void): void {
    try {
      this.await(fn())
    } catch (error) {
      this.blame(error)
    }
  }

  /** A policy of somebody's own has given it. */
  private noTarget(given: unknown): TypeError {
    this.await(given)
    return new TypeError(`upstream ${this.name}: got ${show(given)}, takes one of its targets`)
  }

  /** A listener may be an async function, whose rejection would end the process. */
  private await(given: unknown): void {
    if (given instanceof Promise) given.catch((error: unknown) => this.blame(error))
  }

  private blame(error: unknown): void {
    if (log.enabled) log('%s: %O', this.name, error)
    process.emitWarning(`upstream ${this.name}: ${textOf(error)}`, 'SluiceWarning')
  }
}

/** @throws TypeError now, in place of one for each request */
function needFunction(given: unknown, where: string): void {
  if (typeof given !== 'function') throw new TypeError(`${where}: got ${show(given)}, takes a function`)
}

/** Never throws: anything may be thrown, also what throws when it is looked at. */
function textOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return 'something that can not be shown'
  }
}

/** A target's state as events call it: one that would rather not be used has none of its own. */
function labelOf(target: LiveTarget): string {
  return target.degraded && target.usable ? 'degraded' : target.state
}

/** In panic all of a tier are alike, but one where nobody is fit doesn't get the load that others could take. */
function panicRank(usable: readonly LiveTarget[]): (target: LiveTarget) => number {
  const tiers = new Set(usable.map(({ priority }) => priority))
  return ({ priority }) => (tiers.size === 0 || tiers.has(priority) ? 0 : 1)
}

/** Known to be fit, not known, rather not. */
function rankOf({ degraded, verdict }: LiveTarget): number {
  return degraded ? 2 : verdict === 'unknown' ? 1 : 0
}

/** A sorted list in pieces that are alike; of one piece, as nearly always, the list itself: policies cache by it. */
function slices<T>(list: readonly T[], alike: (a: T, b: T) => boolean): readonly (readonly T[])[] {
  const pieces: T[][] = []
  for (const each of list) {
    const last = pieces.at(-1)
    if (last !== undefined && alike(last[0] as T, each)) last.push(each)
    else pieces.push([each])
  }
  return pieces.length === 1 ? [list] : pieces.map((piece) => Object.freeze(piece))
}
