import { isDeepStrictEqual } from 'node:util'
import { ProxyError } from '@sluice/core'
import {
  createTarget,
  type Lease,
  type LeasePhase,
  type LeaseResult,
  leaseOn,
  retire,
  type Target,
  type TargetInit,
} from '@sluice/upstream'
import { LRUCache } from 'lru-cache'

/**
 * Targets that requests have named, by URL, so that they share connections. What falls out is retired as soon as its last
 * lease has ended.
 */
export class TargetCache {
  private readonly targets: LRUCache<string, Kept>

  /** @param max targets kept at most */
  constructor(
    max: number,
    private readonly clock: () => number,
  ) {
    this.targets = new LRUCache({ max, dispose: (kept) => kept.drop() })
  }

  /** Targets kept now. */
  get size(): number {
    return this.targets.size
  }

  /**
   * A lease on the target that is meant. One of other settings than the kept one of that URL replaces it: no connection made under
   * the old ones may serve it.
   * @throws ProxyError `proxy_internal_error` for what is no target
   */
  lease(init: TargetInit): Lease {
    const known = typeof init === 'string' ? this.targets.get(init) : undefined
    // A target without settings of its own is all its URL.
    if (known?.plain === true) return new KeptLease(known, this.clock)
    const target = read(init)
    const kept = this.targets.get(target.url)
    if (kept !== undefined && kept.target.id === target.id && isDeepStrictEqual(kept.target.tls, target.tls))
      return new KeptLease(kept, this.clock)
    const made = new Kept(target)
    this.targets.set(target.url, made)
    return new KeptLease(made, this.clock)
  }
}

function read(init: TargetInit): Target {
  // An async function fits no type, but code without types has one: its rejection must not end the process.
  if ((init as unknown) instanceof Promise) (init as unknown as Promise<unknown>).catch(() => {})
  try {
    return createTarget(init, 'targetFrom')
  } catch (error) {
    throw new ProxyError('proxy_internal_error', { message: (error as Error).message, cause: error })
  }
}

class Kept {
  readonly plain: boolean
  private dropped = false

  constructor(readonly target: Target) {
    this.plain = target.id === target.url && target.tls === undefined
  }

  drop(): void {
    this.dropped = true
    this.retireIfFree()
  }

  retireIfFree(): void {
    if (this.dropped && this.target.inFlight === 0) retire(this.target)
  }
}

class KeptLease implements Lease {
  readonly target: Target
  readonly nth: number
  private readonly lease: Lease

  constructor(
    private readonly kept: Kept,
    clock: () => number,
  ) {
    this.target = kept.target
    this.lease = leaseOn(kept.target, clock)
    this.nth = this.lease.nth
  }

  get phase(): LeasePhase {
    return this.lease.phase
  }

  answered(status: number, ttfb: number, tunnel?: boolean): void {
    this.lease.answered(status, ttfb, tunnel)
  }

  release(result?: LeaseResult): void {
    this.lease.release(result)
    this.kept.retireIfFree()
  }
}
