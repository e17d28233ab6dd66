import diagnostics from 'node:diagnostics_channel'
import { ProxyError } from '@sluice/core'
import type { Lease, LeaseResult, Target, Upstream } from '@sluice/upstream'

/** A try, as it was sent. */
interface Try {
  readonly target: Target
  /** How long each target had been back then, in ms. */
  readonly ages: ReadonlyMap<Target, number>
}

/**
 * Looks at where tries go, and how they end.
 *
 * The rule for a target whose connects are refused, or reset when they are new: the first one that fails takes it out, if no other
 * is out, and from then until its time is over no try is sent to it. What had been sent before that is under way, and
 * its end changes nothing, whenever it comes.
 */
export class WatchedTraffic {
  /** Tries that were sent to a target that was out. */
  readonly strays: string[] = []
  /** Lost connects that didn't take out their target, though they could have. */
  readonly endured: string[] = []
  /** How often each target was taken out for a lost connect. */
  readonly losses = new Map<Target, number>()
  /** How many tries each target has answered since it came back. */
  readonly answered = new Map<Target, number>()
  readonly tries: Try[] = []
  /** Leases of each target when it came back. */
  private readonly before = new Map<Target, number>()
  private readonly undo: readonly (() => void)[]

  constructor(private readonly upstream: Upstream) {
    const sent = (message: unknown): void => this.sent((message as { readonly target: Target }).target)
    diagnostics.subscribe('sluice:try', sent)
    this.undo = [
      () => void diagnostics.unsubscribe('sluice:try', sent),
      upstream.on('result', (...ended) => this.ended(...ended)),
      upstream.on('state', ({ target, from, to, reason }) => {
        if (to === 'ejected' && reason.startsWith('a lost connect')) count(this.losses, target)
        if (from !== 'ejected') return
        this.before.set(target, target.leased)
        this.answered.set(target, 0)
      }),
    ]
  }

  close(): void {
    for (const undo of this.undo) undo()
  }

  /** How many of all tries went to a target while it had been back for so long, in ms. */
  share(target: Target, from: number, to: number): { readonly its: number; readonly all: number } {
    const then = this.tries.filter(({ ages }) => {
      const age = ages.get(target)
      return age !== undefined && age >= from && age < to
    })
    return { its: then.filter((each) => each.target === target).length, all: then.length }
  }

  private sent(target: Target): void {
    const { upstream } = this
    if (target.state === 'ejected' && !upstream.panicking) this.strays.push(target.id)
    const now = upstream.now()
    this.tries.push({
      target,
      ages: new Map(
        upstream.all.filter(({ state }) => state !== 'ejected').map((each) => [each, now - each.since]),
      ),
    })
  }

  /** Who ejects has heard of it before. */
  private ended(target: Target, result: LeaseResult | undefined, { nth }: Lease): void {
    if (result === undefined || nth <= (this.before.get(target) ?? 0)) return
    if (result.ok) count(this.answered, target)
    const othersOut = this.upstream.all.some((each) => each !== target && each.state === 'ejected')
    if (isLostConnect(result.error) && target.state !== 'ejected' && !othersOut)
      this.endured.push(`${target.id} ${String(result.error)}`)
  }
}

function isLostConnect(error: Error | undefined): boolean {
  if (!(error instanceof ProxyError)) return false
  return error.code === 'connection_terminated' ? error.reused !== true : error.phase === 'connect'
}

function count(counts: Map<Target, number>, target: Target): void {
  counts.set(target, (counts.get(target) ?? 0) + 1)
}
