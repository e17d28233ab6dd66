import type { LeaseResult, Target } from '@sluice/upstream'

/**
 * A balancing policy: a pure pick among targets that may be used. `not` leaves targets out (tried before, full); nobody
 * left gives `undefined`. `ctx` is whatever the caller has; policies that go by a key read it.
 *
 * A list is not edited once a policy has seen it: other targets or other weights make another list, as with `available` of an
 * upstream. Policies that keep a table keep it for a list.
 */
export type Balancer<C = unknown> = (
  available: readonly Target[],
  ctx: C,
  not?: (target: Target) => boolean,
) => Target | undefined

/** Where a policy's chance comes from: numbers in [0, 1). */
export interface RandomOptions {
  /** Default `Math.random`. */
  random?: () => number
}

/** What a policy may have beside its pick, as properties of the function. `balance` and wrappers look for it. */
export interface PolicyParts {
  /** Its picks go by the weights of the targets that it is given; `slowStart` then lowers those. */
  readonly weighted?: boolean
  /** It gives targets that have joined or come back a growing part of their share, as `slowStart` does: another one around it would do so twice. */
  readonly warms?: boolean
  /**
   * Hears of each attempt that `balance` has made by this policy: the head of its answer, when that is there, or how it has ended without one
   * or in spite of it; no result where nothing counts.
   */
  readonly observe?: (target: Target, result: LeaseResult | undefined) => void
  /** Binds clients to targets by something that the reply brings them. */
  readonly affinity?: Affinity
}

/** How `balance` keeps clients to their targets. */
export interface Affinity {
  /** What becomes of a request whose target has left the upstream: another target, or 503. */
  readonly gone: 'repick' | 'refuse'
  /** The target of this request among all of the upstream; `'gone'`: it has one that isn't there; `undefined`: it has none. */
  bound(ctx: unknown, all: readonly Target[]): Target | 'gone' | undefined
  /** Whether what binds this request to the target that `bound` has given should be made anew. */
  outdated?(ctx: unknown): boolean
  /** The value of `Set-Cookie` that binds this client to a target. */
  cookie(target: Target, ctx: unknown): string
}

/** The parts of any policy. */
export function partsOf(policy: Balancer<never>): PolicyParts {
  return policy as PolicyParts
}

/** A policy with parts: those of the one that it wraps, and then its own. */
export function withParts<C>(pick: Balancer<C>, own: PolicyParts, inner?: Balancer<never>): Balancer<C> {
  const { weighted, warms, observe, affinity } = inner === undefined ? own : { ...partsOf(inner), ...own }
  return Object.assign(pick, {
    ...(weighted === undefined ? {} : { weighted }),
    ...(warms === undefined ? {} : { warms }),
    ...(observe === undefined ? {} : { observe }),
    ...(affinity === undefined ? {} : { affinity }),
  })
}
