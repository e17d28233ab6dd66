import type { Lease, LeaseResult } from './lease.js'
import { show } from './show.js'
import type { Target, TargetInit } from './target.js'
import { TargetGroup } from './target-group.js'
import { readTls, type TargetTls } from './target-tls.js'

/** A change of a target's state, and why. `to` is `'removed'` for one that left the upstream. */
export interface StateChange {
  readonly target: Target
  readonly from: string
  readonly to: string
  readonly reason: string
}

/**
 * Hears how a lease has ended; no result where nothing counts for or against the target. `lease.nth` tells whether it began before
 * something that `target.leased` was noted at: what began before a target was taken out says nothing of it once it is back.
 */
export type ResultListener = (target: Target, result: LeaseResult | undefined, lease: Lease) => void

/** Hears that the head of an answer is there, `ttfb` ms after its request began: `lease.phase` tells whether a body follows or a tunnel. */
export type AnswerListener = (target: Target, status: number, ttfb: number, lease: Lease) => void

/** A source that delivers lists of targets. */
export interface Discovery {
  /** Calls `fn` with each new list until disposed. */
  watch(fn: (targets: TargetInit[]) => void): Disposable
}

/** A named group of targets. */
export interface Upstream extends AsyncDisposable {
  /** For logs and errors. */
  readonly name: string
  /** All targets, in the order of the list, whatever their state. */
  readonly all: readonly Target[]
  /**
   * Targets that may be used: healthy ones, then `unknown` ones, then degraded ones; in panic everyone that isn't draining. One
   * frozen array, replaced only when membership or health changes, so that policies may cache by its identity.
   */
  readonly available: readonly Target[]
  /**
   * Slices of `available` that are asked one after the other: the fit before the others, and in each by priority. In panic by
   * priority, those of which nobody is fit last.
   */
  readonly ranks: readonly (readonly Target[])[]
  /** Too few may be used, so all are: see `panic` of the settings. */
  readonly panicking: boolean
  /** Monotonic milliseconds, by the clock that the group was made with. */
  now(): number
  /**
   * Counts one more in flight until it is released.
   * @throws TypeError for what is no target of an upstream
   */
  lease(target: Target): Lease
  /**
   * Takes over a new list. A target whose URL, id and TLS settings stay keeps its state and its leases. Other TLS settings
   * make a new target: no connection made under the old ones may serve it, and it begins as `unknown`. One that has left is
   * retired when its last lease has ended: transports close what they keep for it.
   * An empty list is taken: requests get 503.
   * @throws TypeError for a wrong list; the old one stays
   */
  replace(targets: readonly TargetInit[]): void
  /**
   * Gives a target no more requests; those in flight finish, and those that wait for a connection go to others where there are any. One that
   * isn't there, since a source has dropped it for instance, is ignored.
   * @param id its id, or its URL in any spelling that `targets` takes
   * @param by who does it, default 'hand': several may, and it is back when the last of them has undrained it. What is drained by hand
   * stays so when `replace` makes its target anew; a target that leaves takes it along, and one that joins later by that name is another
   */
  drain(id: string, reason?: string, by?: string): void
  /** Takes back a drain by the same `by`. */
  undrain(id: string, reason?: string, by?: string): void
  /** Notes a verdict on a target's health; `'unknown'` takes it back. */
  mark(target: Target, verdict: 'unknown' | 'healthy' | 'unhealthy', reason: string): void
  /**
   * Takes a target out until it is restored.
   * @param by who does it: several may, and it is back when the last of them has restored it
   */
  eject(target: Target, by: string, reason: string): void
  /** Takes back an ejection by the same `by`; the target is back when nobody else keeps it out, and begins its slow start. */
  restore(target: Target, by: string, reason: string): void
  /** Notes whether a target would rather not be used: it ranks behind the others. */
  degrade(target: Target, on: boolean, reason: string): void
  /**
   * Adds a condition that a target has to meet to get one more request now; returns the undo.
   * @param opens milliseconds until a target that is refused will be let through, `undefined` where that isn't known
   */
  gate(admits: (target: Target) => boolean, opens?: (target: Target) => number | undefined): () => void
  /** Whether there is any gate. */
  readonly gated: boolean
  /** Whether every gate lets a target have one more: the `not` of a pick, since who is full stays available. */
  admits(target: Target): boolean
  /**
   * Milliseconds until gates that now refuse all available targets will let the first of them have a request; `undefined` where one of
   * them may do so at any time.
   * @param target that one alone, available or not
   */
  opensIn(target?: Target): number | undefined
  /**
   * Hears each change of a target's state, in their order; returns the undo. What a listener of any event throws, or rejects with, is a
   * warning of the process.
   */
  on(event: 'state', fn: (change: StateChange) => void): () => void
  /** Hears the head of each answer that is told of (`lease.answered`), before the end of its lease; returns the undo. */
  on(event: 'answer', fn: AnswerListener): () => void
  /** Hears the end of each lease; returns the undo. */
  on(event: 'result', fn: ResultListener): () => void
  /** Hears panic begin and end; returns the undo. */
  on(event: 'panic', fn: (on: boolean) => void): () => void
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
  /**
   * Panic: where a smaller part than this of the targets that aren't draining may be used, all of them are, since the few that
   * are left would break down under the load. From 0 to 1. Default 0: only when none is left.
   */
  panic?: number
}

const known = ['name', 'targets', 'tls', 'panic']

/**
 * Makes a group of targets.
 * @param path where the options stand in what the user wrote, for errors
 * @param clock monotonic milliseconds. Default `performance.now`
 * @throws TypeError with a line for every wrong option, target or TLS setting
 */
export function createUpstream(
  options: UpstreamSettings,
  path = 'upstream',
  clock: () => number = () => performance.now(),
): Upstream {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${path}: got ${show(options)}, takes { ${known.join(', ')} }`)
  const { name, targets, panic = 0 } = options
  const faults: string[] = []
  if (typeof name !== 'string' || name === '') faults.push(`${path}.name: got ${show(name)}, takes a name`)
  for (const key of Object.keys(options))
    if (!known.includes(key)) faults.push(`${path}.${key}: unknown option, takes { ${known.join(', ')} }`)
  const tls = options.tls === undefined ? undefined : readTls(options.tls, `${path}.tls`, faults)
  if (!(typeof panic === 'number' && panic >= 0 && panic <= 1))
    faults.push(`${path}.panic: got ${show(panic)}, takes a number from 0 to 1`)
  const upstream = new TargetGroup(name, `${path}.targets`, clock, tls, panic)
  if (Array.isArray(targets) && targets.length > 0) {
    try {
      upstream.replace(targets)
    } catch (error) {
      faults.push((error as Error).message)
    }
  } else if (!isDiscovery(targets)) {
    const takes = "a list of URLs such as ['http://127.0.0.1:3000'], or a source such as fileTargets(path)"
    faults.push(`${path}.targets: got ${show(targets)}, takes ${takes}`)
  }
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
  if (isDiscovery(targets)) upstream.follow(targets)
  return upstream
}

/**
 * For whoever takes an upstream as an argument.
 * @param where the argument's place, for the error
 * @throws TypeError for what is none
 */
export function needUpstream(given: unknown, where: string): asserts given is Upstream {
  const { gate, lease } = (given ?? {}) as Partial<Upstream>
  if (typeof gate !== 'function' || typeof lease !== 'function')
    throw new TypeError(`${where}: got ${show(given)} as its upstream, takes what createUpstream() gives`)
}

function isDiscovery(targets: unknown): targets is Discovery {
  return typeof targets === 'object' && targets !== null && typeof (targets as Discovery).watch === 'function'
}
