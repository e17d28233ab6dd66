import type { Target, TargetState } from '@sluice/upstream'

/** A target that is warming up, as `slowStart` shows it to a policy: all of it is live but its weight, which is lower. */
export class RampingTarget implements Target {
  weight = 0

  constructor(readonly target: Target) {}

  get id(): string {
    return this.target.id
  }
  get url(): string {
    return this.target.url
  }
  get priority(): number {
    return this.target.priority
  }
  // A target without a zone has `undefined` here, which says the same.
  get zone(): string {
    return this.target.zone as string
  }
  get inFlight(): number {
    return this.target.inFlight
  }
  get answering(): number {
    return this.target.answering
  }
  get leased(): number {
    return this.target.leased
  }
  get ewma(): number {
    return this.target.ewma
  }
  get state(): TargetState {
    return this.target.state
  }
  get degraded(): boolean {
    return this.target.degraded
  }
  get since(): number {
    return this.target.since
  }
}

/** The target itself: policies that keep something for a target keep it for this one. */
export function behind(target: Target): Target {
  let at = target
  while (at instanceof RampingTarget) at = at.target
  return at
}
