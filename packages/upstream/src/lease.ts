import type { Target } from './target.js'

/** How an attempt went, as far as the target is concerned. Nothing at all counts for nothing: a client that left, say. */
export interface LeaseResult {
  /** There was an answer, whatever its status. */
  readonly ok: boolean
  /** Why there was none, or not the whole of it. */
  readonly error?: Error
  /** Of the answer, if there was one. */
  readonly status?: number
  /** Time to the head of the answer, in ms. */
  readonly ttfb?: number
}

/** Where an attempt is: before the head of its answer, in the body behind that, or a tunnel (an upgrade, CONNECT). */
export type LeasePhase = 'request' | 'body' | 'tunnel'

/** One attempt in flight on a target. */
export interface Lease {
  readonly target: Target
  /** Its number among the leases of its target, from 1: not above what `target.leased` was at a moment, it began before that. */
  readonly nth: number
  /** It stays as it was when the lease ends. */
  readonly phase: LeasePhase
  /**
   * The head of its answer is there. What follows may last for hours, so whoever counts work under way has to know. The first call counts,
   * and none after the end; who never calls it has the head with the end.
   * @param ttfb ms that it took
   */
  answered(status: number, ttfb: number, tunnel?: boolean): void
  /** Ends it. The first call counts. */
  release(result?: LeaseResult): void
}

/** What `balance` adds to a context. */
export interface Selected {
  target: Target
  lease: Lease
}

/** What `retry` and its like tell `balance` and transports: targets to leave out if there are others. */
export interface Tried {
  tried?: readonly Target[]
  /**
   * Whoever has begun this try sends it to another target if it fails before anybody has seen it. So a transport may let it go that waits for a
   * connection; without it, it waits on. `balance` takes it back for a client that is bound to its target: what it has begun there may not be
   * known elsewhere.
   */
  movable?: boolean
  /** It has waited in the line of another target for a connection, and has left that: whoever has a line of its own has a place for it. */
  moved?: boolean
  /**
   * This try can be done without: it goes to another target that has room now, or fails as `destination_unavailable`. It waits for
   * nothing, and takes no client away from the target that it is bound to.
   */
  spare?: boolean
  /**
   * Who has found a target for a `spare` try asks before its lease is taken; `false`: it is not to be made. A budget is taken from here,
   * so that it isn't used up by tries that go nowhere.
   */
  afford?: (() => boolean) | undefined
}
