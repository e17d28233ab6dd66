const day = 86_400_000

/** When a server wants a certificate renewed (RFC 9773 section 4.2), in ms since 1970. */
export interface RenewalWindow {
  readonly start: number
  readonly end: number
}

/** What decides when a certificate is renewed. */
export interface RenewalFacts {
  /** Of the certificate, in ms since 1970. */
  readonly notBefore: number
  readonly notAfter: number
  /** When it came, by the clock of who has ordered it, in ms since 1970; at the least `notBefore`. */
  readonly since: number
  /** The user's wish, in ms before the end. */
  readonly renewBefore: number | undefined
  readonly window: RenewalWindow | undefined
  /**
   * Where in a span of time, in [0, 1): made of the certificate, so each has another, all processes that hold it have the same, and a start doesn't
   * draw anew.
   */
  readonly share: number
}

/**
 * When to renew a certificate, in ms since 1970.
 *
 * life    notAfter - notBefore
 * own     notAfter - (renewBefore, from 1/20 to 2/3 of life; else 1/3 of life, or 1/2 of less than ten days) - share * life / 50
 * told    window.start + share * (window.end - window.start)           (RFC 9773 section 4.2)
 * at      told, no later than a twentieth of life before the end, and than own where there is a renewBefore; without a window own
 * floor   since + a tenth of life, at most a day: neither a server that says "now" of every certificate, nor a clock by which each new one is old
 *         already, gets a loop of orders
 */
export function renewalTime({
  notBefore,
  notAfter,
  renewBefore,
  window,
  share,
  since,
}: RenewalFacts): number {
  const life = Math.max(0, notAfter - notBefore)
  const before =
    renewBefore === undefined
      ? life / (life < 10 * day ? 2 : 3)
      : Math.min(Math.max(renewBefore, life / 20), (life * 2) / 3)
  const own = notAfter - before - (share * life) / 50
  // One that ends before it begins counts as not sent (RFC 9773 section 4.2).
  const isTold = window !== undefined && window.start < window.end
  const told = isTold ? window.start + share * (window.end - window.start) : own
  const latest = isTold && renewBefore === undefined ? notAfter - life / 20 : own
  return Math.max(Math.min(told, latest), since + Math.min(life / 10, day))
}
