import diagnostics from 'node:diagnostics_channel'
import debug from 'debug'
import type { Lease } from './lease.js'
import { LiveTarget, TargetLease } from './live-target.js'
import { readTargets, type Target, type TargetInit } from './target.js'
import { readTls, sameTls, type TargetTls } from './target-tls.js'

const log = debug('sluice:upstream')
const changed = diagnostics.channel('sluice:target:state')

/** A change of a target's state, and why. `to` is `'removed'` for one that left the upstream. */
export interface StateChange {
  readonly target: Target
  readonly from: string
  readonly to: string
  readonly reason: string
}

/** A source that delivers lists of targets. */
export interface Discovery {
  /** Calls `fn` with each new list until disposed. */
  watch(fn: (targets: TargetInit[]) => void): Disposable
}

/** A named group of targets. */
export interface Upstream extends AsyncDisposable {
  readonly name: string
  readonly all: readonly Target[]
  /**
   * Targets that may be used: healthy ones, then `unknown` ones; everyone that isn't draining if there is neither. One
   * frozen array, replaced only when membership or health changes, so that policies may cache by its identity.
   */
  readonly available: readonly Target[]
  /** Counts one more in flight until it is released. */
  lease(target: Target): Lease
  /**
   * Takes over a new list. A target whose URL, id and TLS settings stay keeps its state and its leases. Other TLS settings
   * make a new target: no connection made under the old ones may serve it, and it begins as `unknown`.
   * @throws TypeError for a wrong list; the old one stays
   */
  replace(targets: readonly TargetInit[]): void
  /** Gives a target no more requests; those in flight finish. An unknown id is ignored. */
  drain(id: string): void
  undrain(id: string): void
  /** Notes a verdict on a target's health. */
  mark(target: Target, verdict: 'healthy' | 'unhealthy', reason: string): void
  /** Hears each change of a target's state; returns the undo. */
  on(event: 'state', fn: (change: StateChange) => void): () => void
  /** Hears each change of membership; returns the undo. */
  on(event: 'targets', fn: (targets: readonly Target[]) => void): () => void
  /** Stops watching the source. Leases held stay valid. */
  close(): Promise<void>
}

/** What an upstream is made of. */
export interface UpstreamSettings {
  /** For logs and errors. */
  name: string
  /** A list, not empty, or a source that delivers lists. */
  targets: readonly TargetInit[] | Discovery
  /**
   * How to speak TLS to `https:` targets that have no settings of their own. A list without any such target is refused:
   * what is meant to be encrypted would go out in the clear.
   */
  tls?: TargetTls
}

/**
 * Makes a group of targets.
 * @param path where the options stand in what the user wrote, for errors
 * @param clock monotonic milliseconds
 * @throws TypeError with a line for every wrong target or TLS setting
 */
export function createUpstream(
  options: UpstreamSettings,
  path = 'upstream',
  clock: () => number = () => performance.now(),
): Upstream {
  const { name, targets } = options
  if (typeof name !== 'string' || name === '')
    throw new TypeError(`${path}.name: got ${String(name)}, takes a name`)
  const faults: string[] = []
  const tls = options.tls === undefined ? undefined : readTls(options.tls, `${path}.tls`, faults)
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
  const upstream = new TargetGroup(name, `${path}.targets`, clock, tls)
  if (isDiscovery(targets)) upstream.follow(targets)
  else if (Array.isArray(targets) && targets.length === 0) {
    throw new TypeError(
      `${path}.targets: got an empty list, takes at least one URL such as 'http://127.0.0.1:3000'`,
    )
  } else upstream.replace(targets)
  return upstream
}

function isDiscovery(targets: unknown): targets is Discovery {
  return typeof targets === 'object' && targets !== null && typeof (targets as Discovery).watch === 'function'
}

type Listeners = {
  state: Set<(change: StateChange) => void>
  targets: Set<(targets: readonly Target[]) => void>
}

class TargetGroup implements Upstream {
  all: readonly LiveTarget[] = Object.freeze([])
  available: readonly LiveTarget[] = Object.freeze([])
  private readonly listeners: Listeners = { state: new Set(), targets: new Set() }
  private watching: Disposable | undefined = undefined
  private closed = false

  constructor(
    readonly name: string,
    private readonly path: string,
    private readonly clock: () => number,
    private readonly tls: TargetTls | undefined,
  ) {}

  lease(target: Target): Lease {
    return new TargetLease(target as LiveTarget, this.clock)
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
    const next = settings.map((each) => {
      const old = before.get(each.id)
      if (old === undefined || old.url !== each.url || !sameTls(old.tls, each.tls))
        return new LiveTarget(each)
      before.delete(each.id)
      old.update(each)
      return old
    })
    this.all = Object.freeze(next)
    this.refresh()
    for (const target of before.values()) this.tell(target, target.state, 'removed', 'left the upstream')
    for (const fn of this.listeners.targets) this.safely(() => fn(this.all))
  }

  drain(id: string): void {
    this.change(id, 'drained by hand', (target) => {
      target.draining = true
    })
  }

  undrain(id: string): void {
    this.change(id, 'undrained by hand', (target) => {
      target.draining = false
    })
  }

  mark(target: Target, verdict: 'healthy' | 'unhealthy', reason: string): void {
    if (!this.all.includes(target as LiveTarget)) return
    this.change(target.id, reason, (live) => {
      live.verdict = verdict
    })
  }

  on(event: 'state', fn: (change: StateChange) => void): () => void
  on(event: 'targets', fn: (targets: readonly Target[]) => void): () => void
  on(event: 'state' | 'targets', fn: (given: never) => void): () => void {
    const set = this.listeners[event] as Set<unknown>
    if (set === undefined) throw new TypeError(`on: got ${JSON.stringify(event)}, takes 'state' or 'targets'`)
    set.add(fn)
    return () => void set.delete(fn)
  }

  follow(source: Discovery): void {
    this.watching = source.watch((targets) => {
      if (this.closed) return
      // A source that delivers nonsense must not take down what works.
      this.safely(() => this.replace(targets))
    })
  }

  close(): Promise<void> {
    this.closed = true
    this.watching?.[Symbol.dispose]()
    this.watching = undefined
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private change(id: string, reason: string, edit: (target: LiveTarget) => void): void {
    const target = this.all.find((each) => each.id === id)
    if (target === undefined) return
    const from = target.state
    edit(target)
    if (target.state === from) return
    this.refresh()
    this.tell(target, from, target.state, reason)
  }

  private refresh(): void {
    const usable = this.all.filter(({ state }) => state === 'healthy' || state === 'unknown')
    // Panic: when nobody is known to be fit, somebody may be all the same, and 503 for all helps none.
    const list = usable.length > 0 ? usable : this.all.filter(({ state }) => state !== 'draining')
    const rank = (target: LiveTarget): number => (target.verdict === 'unknown' ? 1 : 0)
    this.available = Object.freeze(list.sort((a, b) => rank(a) - rank(b) || a.priority - b.priority))
  }

  private tell(target: Target, from: string, to: string, reason: string): void {
    if (log.enabled) log('%s: %s %s -> %s: %s', this.name, target.id, from, to, reason)
    const change: StateChange = { target, from, to, reason }
    if (changed.hasSubscribers) changed.publish({ upstream: this.name, ...change })
    for (const fn of this.listeners.state) this.safely(() => fn(change))
  }

  /** A listener that throws, or a source that lies, is told of and harms nobody else. */
  private safely(fn: () => void): void {
    try {
      fn()
    } catch (error) {
      if (log.enabled) log('%s: %O', this.name, error)
      process.emitWarning(
        `upstream ${this.name}: ${error instanceof Error ? error.message : String(error)}`,
        'SluiceWarning',
      )
    }
  }
}
