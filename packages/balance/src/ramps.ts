import type { Target } from '@sluice/upstream'
import { perList } from './per-list.js'

/** When a ramp has begun: at `since` of its target, unless a clock has starts. */
interface Begun {
  readonly since: number
  /** `-Infinity` when the ramp is over. */
  at: number
}

interface Known {
  /** When the last ramp of the list has begun. */
  last: number
  over: boolean
}

/**
 * How far the ramps of targets are, by a clock that may jump. Behind the beginning of a ramp it begins it anew, then; ahead counts as time
 * that has passed. A ramp that is over stays so: no clock makes a warm target cold.
 *
 * age = now - min(since, every now that was seen)
 */
export class Ramps {
  private readonly starts = new WeakMap<Target, Begun>()
  private readonly lists = perList((list): Known => {
    const last = newestOf(list)
    // Those of an upstream's first list have no ramp.
    return { last, over: last === Number.NEGATIVE_INFINITY }
  })

  /** @param length of a ramp, in ms */
  constructor(private readonly length: number) {}

  /** Whether anybody of a list may be in a ramp. */
  among(list: readonly Target[], now: number): boolean {
    const known = this.lists(list)
    if (known.over) return false
    if (now < known.last) known.last = now
    if (now - known.last < this.length) return true
    known.over = true
    for (const target of list) this.begun(target).at = Number.NEGATIVE_INFINITY
    return false
  }

  /** For how long the ramp of a target has lasted. */
  age(target: Target, now: number): number {
    const begun = this.begun(target)
    if (now < begun.at) begun.at = now
    const age = now - begun.at
    if (age >= this.length) begun.at = Number.NEGATIVE_INFINITY
    return age
  }

  private begun(target: Target): Begun {
    const { since } = target
    let begun = this.starts.get(target)
    if (begun?.since !== since) {
      begun = { since, at: since }
      this.starts.set(target, begun)
    }
    return begun
  }
}

/** When the last of them has joined or come back. */
function newestOf(list: readonly Target[]): number {
  let last = Number.NEGATIVE_INFINITY
  for (const { since } of list) if (since > last) last = since
  return last
}
