import { LRUCache } from 'lru-cache'
import { tell } from './acme-event.js'
import type { OnDemandSettings } from './acme-options.js'
import { bounded } from './bounded.js'
import { domainName } from './domain-name.js'
import type { IssuedPair } from './issued-pair.js'
import type { ManagedCertificate, Permit } from './managed-certificate.js'
import type { ManagerSeams } from './manager-seams.js'
import { messageOf } from './message-of.js'
import { Places } from './places.js'
import { SlidingCount } from './sliding-count.js'

const minute = 60_000
/** For one answer of `allow`, in ms. */
const patience = 10_000
/** Names at the same time that are looked up in the storage, or about which `allow` is asked; and how many wait for that. */
const together = 8
const waiting = 1_000
/** Names that were refused: a name of 20 letters takes some 150 bytes. */
const mostRefused = 10_000
/** When `allow` says no to a renewal, or has failed, it is asked again after that, in ms. */
const again = 60 * minute

/**
 * Certificates for names that clients ask for.
 *
 *   get ── held ─▶ its pairs
 *    ├──── being got ─▶ wait for it, at most `wait`; then `undefined`, and it goes on
 *    ├──── refused a moment ago, no name of a host ─▶ `undefined`
 *    └──── else, once a name, eight at a time:  stored ─▶ held
 *                                               over `asks` a minute ─▶ `undefined`
 *                                               allow: no, or failed ─▶ refused, for a while
 *                                               allow: yes ─▶ ordered, within `orders` an hour, `together` at a time; has that failed, again
 *                                                             once somebody asks for it, and `allow` has said yes again
 *
 * Clients choose names, and may choose any number: what is kept of each list is bounded, and a name for which `allow` has not said yes costs
 * a look at the storage and a question at most.
 */
export class OnDemand {
  private readonly held: LRUCache<string, ManagedCertificate>
  private readonly refused: LRUCache<string, true>
  private readonly coming = new Map<string, Promise<ManagedCertificate | undefined>>()
  private readonly looking = new Places(together, waiting)
  /** Of their own: where `allow` hangs, certificates that are stored are served all the same. */
  private readonly asking = new Places(together, waiting)
  /** Names whose order was begun, and whether somebody has asked for them since. They are held, too. */
  private readonly begun = new Map<string, boolean>()
  private readonly asks: SlidingCount
  private readonly orders: SlidingCount
  private closed = false
  private tellsLimit = true

  /**
   * @param make makes the certificate of a name, which asks `permit` before each order
   * @param left is called with names that are held no more
   */
  constructor(
    private readonly settings: OnDemandSettings,
    private readonly seams: ManagerSeams,
    private readonly make: (name: string, permit: Permit) => ManagedCertificate,
    left: (name: string) => void,
  ) {
    const { limit, refused } = settings
    this.held = new LRUCache({
      max: limit.names,
      dispose: (managed, name) => {
        if (this.closed) return
        this.begun.delete(name)
        void managed.stop()
        left(name)
      },
    })
    this.refused = new LRUCache({
      max: mostRefused,
      ttl: refused,
      perf: { now: seams.elapsed },
      ttlResolution: 0,
    })
    this.asks = new SlidingCount(limit.asks, minute, seams.elapsed)
    this.orders = new SlidingCount(limit.orders, 60 * minute, seams.elapsed)
  }

  /** The pairs for a name. It never throws. */
  get(name: string): readonly IssuedPair[] | undefined | Promise<readonly IssuedPair[] | undefined> {
    const managed = this.held.get(name)
    if (managed !== undefined) return managed.pairsFor(name) ?? this.wantAgain(name, managed)
    if (this.closed || this.refused.has(name) || !isHost(name)) return undefined
    let coming = this.coming.get(name)
    if (coming === undefined) {
      coming = this.admit(name).finally(() => this.coming.delete(name))
      this.coming.set(name, coming)
    }
    return this.wait(name, coming)
  }

  /** An order that has failed is tried again for somebody who asks, when its time has come. */
  private wantAgain(name: string, managed: ManagedCertificate): Promise<readonly IssuedPair[] | undefined> {
    if (this.begun.get(name) === false) {
      this.begun.set(name, true)
      managed.wake()
    }
    return this.wait(name, Promise.resolve(managed))
  }

  /** Those that are held. */
  get all(): readonly ManagedCertificate[] {
    return [...this.held.values()]
  }

  /** How many names are in each list that clients fill. */
  get sizes(): { readonly coming: number; readonly refused: number } {
    return { coming: this.coming.size, refused: this.refused.size }
  }

  async close(): Promise<void> {
    this.closed = true
    // What is held serves those who are still being served.
    await Promise.all(this.all.map((managed) => managed.stop()))
  }

  private async wait(
    name: string,
    coming: Promise<ManagedCertificate | undefined>,
  ): Promise<readonly IssuedPair[] | undefined> {
    const { after } = this.seams
    const settled = coming.then((managed) => managed?.settled)
    await bounded(() => settled, this.settings.wait, after).catch(() => {})
    return this.held.peek(name)?.pairsFor(name)
  }

  /** Whether a name gets a certificate: a stored one, or one that is ordered. */
  private async admit(name: string): Promise<ManagedCertificate | undefined> {
    const managed = this.make(name, {
      wait: (isFirst) => this.untilOrder(name, isFirst),
      taken: () => {
        this.orders.note()
        this.begun.set(name, false)
      },
    })
    const isLoaded = await this.within(this.looking, name, () => managed.load().then(() => true))
    if (isLoaded !== true) return undefined
    const isHeld = managed.pairsFor(name) !== undefined
    if (!isHeld && (await this.within(this.asking, name, () => this.allowed(name))) !== true) return undefined
    if (this.closed) return undefined
    this.held.set(name, managed)
    managed.start()
    return managed
  }

  /** Does `what` once there is a place for it; `undefined` where too many wait. */
  private async within<T>(places: Places, name: string, what: () => Promise<T>): Promise<T | undefined> {
    const free = await places.take()
    if (free === undefined) return this.refuse(name, 'too many names at once')
    try {
      return await what()
    } finally {
      free()
    }
  }

  private async allowed(name: string): Promise<boolean> {
    if (!this.asks.take()) {
      this.refuse(name, 'over the limit of questions')
      return false
    }
    this.tellsLimit = true
    const why = await this.ask(name)
    if (why === undefined) return true
    this.refused.set(name, true)
    this.refuse(name, why)
    return false
  }

  /** Why a name gets no certificate; `undefined` if it may have one. */
  private async ask(name: string): Promise<string | undefined> {
    try {
      const said: unknown = await bounded(() => this.settings.allow(name), patience, this.seams.after)
      // Nothing else is a yes: an object may be what somebody found, or what they did not.
      return said === true ? undefined : 'not allowed'
    } catch (error) {
      return `allow failed: ${messageOf(error)}`
    }
  }

  /**
   * How long to wait before an order for a name, in ms. The first one was allowed a moment ago. After one that has failed nobody tries again by
   * themselves: names that somebody has signed up, and that never lead here, would take the orders of all others.
   */
  private async untilOrder(name: string, isFirst: boolean): Promise<number> {
    const { wait } = this.orders
    const isWanted = this.begun.get(name)
    if (isFirst && isWanted === false) return again
    const isAllowed = isFirst && isWanted === undefined
    const why = wait > 0 ? 'over the limit of orders' : isAllowed ? undefined : await this.ask(name)
    if (why === undefined) return 0
    this.refuse(name, why)
    return wait || again
  }

  private refuse(name: string, reason: string): undefined {
    // In a flood of names, that there is one is told once.
    if (reason.startsWith('over') || reason.startsWith('too')) {
      if (!this.tellsLimit) return
      this.tellsLimit = false
    }
    tell({ kind: 'refused', name, reason })
  }
}

/** A name that somebody may have in the DNS, as a client sends it. */
function isHost(name: string): boolean {
  return name.includes('.') && !name.startsWith('*') && domainName(name) === name
}
