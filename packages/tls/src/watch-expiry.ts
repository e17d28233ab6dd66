import { type Duration, parse, positiveDuration, that, v } from '@sluice/options'
import { type After, later } from './after.js'
import { callOut } from './call-out.js'
import { certificateChannel, log } from './certificate-channel.js'
import type { CertificateInfo, ChainEnd } from './certificate-info.js'

/** A certificate that is about to expire, or has. */
export interface CertificateExpiry {
  readonly kind: 'expiring' | 'expired'
  readonly info: CertificateInfo
  /** Where it isn't the certificate itself but one of its chain. */
  readonly chainEnd?: ChainEnd
  /** Milliseconds until it expires; of one that has, since then and negative. */
  readonly left: number
}

/** Whoever holds certificates: what `certificates` gives, and `keyPairFiles`. */
export interface CertificateHolder {
  infos(): readonly CertificateInfo[]
  watch(changed: () => void): Disposable
}

/** Options of {@link watchExpiry}. */
export interface WatchExpiryOptions {
  /**
   * How long before its end each certificate is told of, once for each of these. Default 336h, 72h, 24h. One that is half the
   * certificate's life or more is left out: of a certificate for six days nobody wants to hear on its first.
   */
  warn?: readonly Duration[]
  /** Hears of each. */
  onExpiry?: (expiry: CertificateExpiry) => void
}

/** What {@link watchExpiry} takes from outside, to be replaced in tests. */
export interface WatchExpirySeams {
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: () => number
  /** Default a timer that holds no process open. */
  after?: After
}

const optionsSchema = v.strictObject({
  warn: v.optional(v.array(positiveDuration()), ['336h', '72h', '24h']),
  onExpiry: v.optional(
    that<(expiry: CertificateExpiry) => void>((value) => typeof value === 'function', 'a function'),
  ),
})

/** The clock is looked at that often, in ms: somebody may have set it, and a machine that sleeps counts no time. */
const mostWait = 3_600_000

/**
 * Tells of certificates that are about to expire, and of those that have, also of the one in each chain that does so first: each time
 * once, by `onExpiry`, a warning of the process, `DEBUG=sluice:tls` and the channel `sluice:tls:certificate`. One that is replaced in time is never told of.
 *
 * It holds no process open; dispose of it to stop.
 * @param path where the options stand in what the user wrote, for errors
 * @throws TypeError for a wrong option
 */
export function watchExpiry(
  holder: CertificateHolder,
  options: WatchExpiryOptions = {},
  path = 'watchExpiry',
  seams: WatchExpirySeams = {},
): Disposable {
  const { warn, onExpiry } = parse(optionsSchema, options, path)
  return new ExpiryWatch(
    holder,
    [...warn].sort((a, b) => a - b),
    onExpiry,
    seams.now ?? Date.now,
    seams.after ?? later,
  )
}

/**
 * steps = warn without those of half a life and more, and 0
 * due   = the shortest step that is no shorter than what is left, if there is one
 * told of: a due that is shorter than the last one told of that certificate
 */
class ExpiryWatch implements Disposable {
  /** By fingerprint: the last due that was told of. */
  private told = new Map<string, number>()
  private cancel: (() => void) | undefined = undefined
  private disposed = false
  private readonly changes: Disposable

  constructor(
    private readonly holder: CertificateHolder,
    private readonly warn: readonly number[],
    private readonly onExpiry: ((expiry: CertificateExpiry) => void) | undefined,
    private readonly now: () => number,
    private readonly after: After,
  ) {
    this.changes = holder.watch(() => this.look())
    this.look()
  }

  [Symbol.dispose](): void {
    this.disposed = true
    this.changes[Symbol.dispose]()
    this.cancel?.()
  }

  private look(): void {
    this.cancel?.()
    const now = this.now()
    // Those that are gone are forgotten.
    const told = new Map<string, number>()
    const news: CertificateExpiry[] = []
    let wait = mostWait
    for (const [info, chainEnd] of endsOf(this.holder.infos())) {
      const { fingerprint, notAfter, notBefore } = chainEnd ?? info
      if (told.has(fingerprint)) continue
      const left = notAfter - now
      const steps = [0, ...this.warn.filter((ms) => ms < (notAfter - notBefore) / 2)]
      const due = steps.find((ms) => left <= ms) ?? Number.POSITIVE_INFINITY
      const before = this.told.get(fingerprint) ?? Number.POSITIVE_INFINITY
      // A clock that was set back brings nothing again.
      told.set(fingerprint, Math.min(due, before))
      if (due < before)
        news.push({ kind: left <= 0 ? 'expired' : 'expiring', info, left, ...(chainEnd && { chainEnd }) })
      for (const ms of steps) if (ms < left) wait = Math.min(wait, left - ms)
    }
    this.told = told
    this.cancel = this.after(wait, () => this.look())
    // Last: who hears it may replace certificates, or dispose of this.
    for (const expiry of news) if (!this.disposed) this.tell(expiry)
  }

  private tell(expiry: CertificateExpiry): void {
    const { kind, info, chainEnd, left } = expiry
    const when = new Date((chainEnd ?? info).notAfter).toISOString()
    const whose = info.names.slice(0, 3).join(', ') || 'no name'
    const text = `${chainEnd?.what ?? 'the certificate'} of ${info.where} (${whose}) ${kind === 'expired' ? 'has expired' : 'expires'} at ${when}`
    if (log.enabled) log('%s', text)
    if (certificateChannel.hasSubscribers) certificateChannel.publish({ where: info.where, ...expiry })
    process.emitWarning(left > 0 ? `${text}, in ${Math.round(left / 3_600_000)} h` : text, 'SluiceWarning')
    callOut('onExpiry', this.onExpiry, expiry)
  }
}

/** A chain that has expired anywhere is refused at the next start, so each may end in two ways. */
function* endsOf(infos: readonly CertificateInfo[]): Generator<[CertificateInfo, ChainEnd?]> {
  for (const info of infos) {
    yield [info]
    if (info.chainEnd !== undefined) yield [info, info.chainEnd]
  }
}
