import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { wildcardOf } from './domain-name.js'
import type { IssuedPair } from './issued-pair.js'
import type { StoredCertificate } from './records.js'
import { type RenewalWindow, renewalTime } from './renewal.js'

/** A certificate in memory, and what is known of its renewal. */
export class HeldCertificate {
  readonly notBefore: number
  readonly notAfter: number
  readonly pair: IssuedPair
  /** Where it stands among all in their windows: see `renewalTime`. */
  private readonly share: number
  /** What the authority has said last; a failed question changes nothing. */
  window: RenewalWindow | undefined = undefined
  /** When to ask the authority again, in ms since 1970. */
  askAt = Number.NEGATIVE_INFINITY

  private constructor(
    readonly stored: StoredCertificate,
    leaf: X509Certificate,
  ) {
    this.notBefore = Date.parse(leaf.validFrom)
    this.notAfter = Date.parse(leaf.validTo)
    this.pair = { cert: stored.cert, key: stored.key }
    this.share = createHash('sha256').update(leaf.raw).digest().readUIntBE(0, 6) / 2 ** 48
  }

  /** One that was stored; `undefined` for what is no certificate, or has another key. */
  static read(stored: StoredCertificate): HeldCertificate | undefined {
    try {
      // The first of the chain.
      const leaf = new X509Certificate(stored.cert)
      return leaf.checkPrivateKey(createPrivateKey(stored.key))
        ? new HeldCertificate(stored, leaf)
        : undefined
    } catch {
      return undefined
    }
  }

  /** Whether it is the one that is stored. */
  isSame({ cert, revoked = false }: StoredCertificate): boolean {
    return cert === this.stored.cert && revoked === (this.stored.revoked ?? false)
  }

  /** Whether clients that ask for a name take it. */
  covers(name: string): boolean {
    const { names } = this.stored
    const wildcard = wildcardOf(name)
    return names.includes(name) || (wildcard !== undefined && names.includes(wildcard))
  }

  /** Whether it is for all of these. */
  has(names: readonly string[]): boolean {
    return names.every((name) => this.stored.names.includes(name))
  }

  /** Whether it replaces another one: it is a later one, or the same that was revoked. */
  isAfter({ stored: held }: HeldCertificate): boolean {
    const { stored: own } = this
    if (own.cert === held.cert) return held.revoked !== true
    // Of two that know nothing of each other, since the storage was lost in between, all take the same.
    return own.version === held.version ? own.cert > held.cert : own.version > held.version
  }

  /**
   * Whether it stays though there is a later one: that of a process whose options have other names. Taken, it would leave some of these without a
   * certificate, and each process would order against the other.
   */
  isBetter(later: HeldCertificate, names: readonly string[], now: number): boolean {
    const isGood = this.stored.revoked !== true && this.notAfter > now
    return isGood && this.has(names) && !later.has(names)
  }

  /** When it is to be replaced, in ms since 1970, if it is to be for these names and the clock says `now`. */
  dueAt(names: readonly string[], renewBefore: number | undefined, now: number): number {
    const { got = 0, revoked } = this.stored
    // One for more names is right: of two processes whose options differ while they are rolled out, neither orders against the other.
    if (revoked === true || !this.has(names)) return Number.NEGATIVE_INFINITY
    const { notAfter, notBefore, share, window } = this
    // By a clock that was set back since, nobody knows when it came.
    const since = got <= now ? Math.max(got, notBefore) : notBefore
    return renewalTime({ notAfter, notBefore, renewBefore, share, since, window })
  }
}
