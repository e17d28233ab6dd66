import { formatCacheStatus } from '@sluice/headers'
import type { Decision } from './decision.js'

/** Writes the member of `Cache-Status` that tells of a decision. What was told last is mostly told again: misses of a site are fresh for the same time. */
export class StatusText {
  #last: Decision | undefined = undefined
  #text = ''

  /** @param name by which the cache speaks of itself */
  constructor(private readonly name: string) {}

  /** @param key shown in it, if any */
  of(decision: Decision, key: string | undefined): string {
    if (key === undefined && this.#last !== undefined && isSame(decision, this.#last)) return this.#text
    const text = formatCacheStatus({
      name: this.name,
      hit: decision.hit,
      fwd: decision.forwarded,
      fwdStatus: decision.forwardedStatus,
      stored: decision.stored,
      collapsed: decision.collapsed,
      ttl: decision.ttl,
      key,
      detail: decision.detail,
    })
    if (key === undefined) {
      this.#last = decision
      this.#text = text
    }
    return text
  }
}

function isSame(one: Decision, other: Decision): boolean {
  return (
    one.ttl === other.ttl &&
    one.forwarded === other.forwarded &&
    one.forwardedStatus === other.forwardedStatus &&
    one.stored === other.stored &&
    one.collapsed === other.collapsed &&
    one.detail === other.detail &&
    one.hit === other.hit
  )
}
