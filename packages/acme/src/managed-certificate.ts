import type { AccountKeeper } from './account-keeper.js'
import { tell } from './acme-event.js'
import type { AcmeSettings } from './acme-options.js'
import { askRenewal } from './ask-renewal.js'
import { StorageError } from './bounded-storage.js'
import type { ChallengeAnswers } from './challenge-answers.js'
import type { DnsRecords } from './dns-records.js'
import type { KeyType } from './generate-key.js'
import { HeldCertificate } from './held-certificate.js'
import { authorityError, challengesInOrder, issue } from './issue.js'
import type { IssuedPair } from './issued-pair.js'
import { loadClient } from './load-client.js'
import type { ManagerSeams } from './manager-seams.js'
import { messageOf } from './message-of.js'
import { OrderLedger } from './order-ledger.js'
import type { Places } from './places.js'
import type { Records } from './records.js'
import type { SlidingCount } from './sliding-count.js'
import { withLock } from './with-lock.js'

const minute = 60_000
const hour = 60 * minute
/** Between two looks at the storage, where others may have put another certificate. Also what a clock that is set can put off. */
const longestSleep = hour
/** What all certificates of one manager have in common. */
export interface ManagedParts {
  readonly settings: AcmeSettings
  readonly records: Records
  readonly account: AccountKeeper
  readonly answers: ChallengeAnswers
  readonly dns: DnsRecords | undefined
  /** For orders at the same time. */
  readonly places: Places
  /** For questions at the same time when to renew. */
  readonly asking: Places
  /** And how often they are asked. */
  readonly questions: SlidingCount
  readonly seams: ManagerSeams
  /** The storage has failed, or works again. */
  readonly storage: (error: StorageError | undefined) => void
  /** Pairs of these names have changed. */
  readonly changed: (names: readonly string[]) => void
}

/** What bounds the orders for names that clients choose. */
export interface Permit {
  /** How long to wait before an order, in ms. */
  wait(isFirst: boolean): number | Promise<number>
  /** An order begins. */
  taken(): void
}

const always: Permit = { wait: () => 0, taken() {} }

/**
 * One certificate, of some names, for each kind of key: it is there, or is being got.
 *
 *            ┌──────────────────────────── sleep: until the first of due, ask, an hour ◀──────────────┐
 *            ▼                                                                                        │
 *   turn ─ read ── storage fails ─▶ sleep a minute, with what is in memory                            │
 *            │ takes what others have stored; stores what could not be                                │
 *            ▼                                                                                        │
 *           ask ── for the window of renewal, when it is time; fails ─▶ the last one stays             │
 *            ▼                                                                                        │
 *          due? ── all there, and none to be renewed yet ────────────────────────────────────────────▶┤
 *            ▼                                                                                        │
 *         may? ── backing off, five orders in this hour, not allowed ─▶ sleep until then              │
 *            ▼                                                                                        │
 *         lock ── another process has it ─▶ sleep 1 to 2 s, or 5 to 10 where something is served      │
 *            ▼                                                                                        │
 *    read again ── another process was faster ───────────────────────────────────────────────────────▶┤
 *            ▼                                                                                        │
 *         order ── the count of orders is stored before, what has become of it after ────────────────▶┘
 *
 * What is held serves in each of these states, also when it has expired; it is replaced, never taken away. One turn runs at a time.
 */
export class ManagedCertificate {
  readonly id: string
  private readonly held = new Map<KeyType, HeldCertificate>()
  /** Whether the order of what is held is no longer stored. */
  private isTidy = true
  private readonly ledger: OrderLedger
  private readonly stopping = new AbortController()
  private cancelTimer: () => void = () => {}
  private again = false
  private running = false
  private read: Promise<void> | undefined = undefined
  private served = new Map<string, readonly IssuedPair[]>()
  private settle!: () => void
  /** Resolves when all is there, when an order has failed, or when it is stopped: there is nothing to wait for then. */
  readonly settled = new Promise<void>((resolve) => {
    this.settle = resolve
  })
  /** The turn that runs now. */
  turning: Promise<void> | undefined = undefined
  /** When the next turn is, in ms since 1970. */
  private wakesAt: number | undefined = undefined

  constructor(
    readonly names: readonly string[],
    private readonly parts: ManagedParts,
    readonly onDemand = false,
    private readonly permit: Permit = always,
  ) {
    this.id = names[0] as string
    this.ledger = new OrderLedger(this.id, parts.records, parts.seams)
  }

  /** The pairs for a name: the same list until there are others. */
  pairsFor(name: string): readonly IssuedPair[] | undefined {
    const known = this.served.get(name)
    if (known !== undefined) return known
    const pairs = [...this.held.values()].filter((each) => each.covers(name)).map(({ pair }) => pair)
    if (pairs.length === 0) return undefined
    // Names come from clients: of a wildcard there are any number.
    if (this.served.size >= 1_000) this.served.clear()
    this.served.set(name, pairs)
    return pairs
  }

  /** Reads the storage, once. Never rejects. */
  load(): Promise<void> {
    this.read ??= this.readAll().catch((error: unknown) => {
      this.read = undefined
      this.trouble(error)
    })
    return this.read
  }

  /** Begins to order and renew. */
  start(): void {
    if (this.running || this.stopping.signal.aborted) return
    this.running = true
    this.wake()
  }

  /** Has a turn now. */
  wake(): void {
    if (!this.running) return
    this.cancelTimer()
    if (this.turning !== undefined) {
      this.again = true
      return
    }
    this.turning = this.run().finally(() => {
      this.turning = undefined
    })
  }

  /** Ends it. An order is given up, and can be gone on with. */
  async stop(): Promise<void> {
    this.running = false
    this.stopping.abort(new Error('closed'))
    this.cancelTimer()
    this.settle()
    await this.turning
  }

  /** Has what is held revoked by `how`, under the lock, and orders anew. */
  async revoke(how: (certificate: HeldCertificate) => Promise<void>): Promise<void> {
    const { records } = this.parts
    await this.load()
    const had = await this.locked(async () => {
      await this.readAll()
      for (const [keyType, held] of this.held) {
        if (held.stored.revoked === true) continue
        await how(held)
        const stored = { ...held.stored, revoked: true }
        await records.setCertificate(this.id, keyType, stored)
        this.adopt(keyType, HeldCertificate.read(stored) as HeldCertificate)
        tell({ kind: 'revoked', names: stored.names, keyType })
      }
    })
    if (!had) throw new Error(`acme: another process is ordering ${this.id}: try again later`)
    this.wake()
  }

  /** What there is, and what is the matter with it. */
  get infos() {
    const { settings } = this.parts
    return settings.keyTypes.map((keyType) => {
      const held = this.held.get(keyType)
      const { failures, problem } = this.ledger
      return {
        names: this.names,
        keyType,
        onDemand: this.onDemand,
        notBefore: held?.notBefore,
        notAfter: held?.notAfter,
        due: failures > 0 || held === undefined ? this.wakesAt : this.dueAt(keyType),
        failures,
        problem,
      }
    })
  }

  private async run(): Promise<void> {
    do {
      this.again = false
      let wait: number
      try {
        wait = await this.turn()
        this.parts.storage(undefined)
      } catch (error) {
        wait = this.trouble(error)
        this.settle()
      }
      if (!this.running) return
      if (wait <= 0) this.again = true
      else if (!this.again) this.sleep(Math.min(wait, longestSleep))
    } while (this.again && this.running)
  }

  private sleep(ms: number): void {
    const { after, now } = this.parts.seams
    this.wakesAt = now() + ms
    this.cancelTimer = after(ms, () => {
      this.cancelTimer = () => {}
      this.wake()
    })
  }

  /** Gives how long until the next one, in ms. */
  private async turn(): Promise<number> {
    const { random } = this.parts.seams
    await this.readAll()
    this.read ??= Promise.resolve()
    await this.tidy()
    await this.askAll()
    const due = this.dueTypes()
    if (due.length === 0) return this.allThere()
    const wait = this.ledger.wait || (await this.permit.wait(this.held.size === 0))
    if (wait > 0) {
      // Whoever waits for a first certificate waits in vain.
      this.settle()
      return wait
    }
    const free = await this.parts.places.take()
    try {
      if (!this.running) return hour
      const had = await this.locked((signal) => this.order(signal))
      if (!had) return (this.held.size === 0 ? 1_000 : 5_000) * (1 + random())
    } finally {
      free?.()
    }
    return this.dueTypes().length === 0 ? this.allThere() : this.ledger.wait
  }

  private allThere(): number {
    const { now } = this.parts.seams
    const due = Math.min(...[...this.held.keys()].map((keyType) => this.dueAt(keyType))) - now()
    const ask = Math.min(...[...this.held.values()].map(({ askAt }) => askAt)) - now()
    this.settle()
    // Not at once again, whatever the times are: an authority that wants to be asked each moment is asked each minute.
    return Math.max(Math.min(due, ask), 1_000)
  }

  private dueAt(keyType: KeyType): number {
    const { seams, settings } = this.parts
    const held = this.held.get(keyType)
    return held?.dueAt(this.names, settings.renewBefore, seams.now()) ?? Number.NEGATIVE_INFINITY
  }

  private dueTypes(): KeyType[] {
    const { seams, settings } = this.parts
    return settings.keyTypes.filter((keyType) => this.dueAt(keyType) <= seams.now())
  }

  /** Takes what others have stored, and stores what could not be. */
  private async readAll(): Promise<void> {
    const { records, seams, settings } = this.parts
    for (const keyType of settings.keyTypes) {
      const stored = await records.certificate(this.id, keyType)
      const held = this.held.get(keyType)
      // Nearly always: it isn't read again.
      if (stored !== undefined && held?.isSame(stored)) continue
      const found = stored && HeldCertificate.read(stored)
      if (stored !== undefined && found === undefined) records.tellDamaged(this.id, keyType)
      const isLater = found !== undefined && (held === undefined || found.isAfter(held))
      if (isLater && held?.isBetter(found, this.names, seams.now())) continue
      if (isLater) {
        this.adopt(keyType, found)
        const { names } = found.stored
        tell({ kind: 'loaded', names, keyType, notAfter: found.notAfter })
      } else if (held !== undefined) {
        // It could not be stored when it came, or the storage has lost it.
        await records.setCertificate(this.id, keyType, held.stored)
      }
    }
    await this.ledger.read()
  }

  private adopt(keyType: KeyType, held: HeldCertificate): void {
    const before = this.held.get(keyType)
    this.held.set(keyType, held)
    this.served = new Map()
    this.parts.changed([...new Set([...(before?.stored.names ?? []), ...held.stored.names])])
  }

  private async askAll(): Promise<void> {
    const { account, asking, questions, seams } = this.parts
    for (const held of this.held.values()) {
      const free = await asking.take()
      try {
        if (!this.stopping.signal.aborted) await askRenewal(held, account, seams.now, questions)
      } finally {
        free?.()
      }
    }
  }

  /** Does `what` with the lock of this certificate. `false`: another process has it. */
  private async locked(what: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const { records, seams } = this.parts
    if (seams.client === undefined) await loadClient()
    return withLock(records.storage, `orders/${this.id}`, seams, (lost) =>
      what(AbortSignal.any([this.stopping.signal, lost])),
    )
  }

  /** Orders the first that is due, with the lock. */
  private async order(signal: AbortSignal): Promise<void> {
    const { records, seams } = this.parts
    // As whoever had the lock before has left it.
    await this.readAll()
    const [keyType] = this.dueTypes()
    if (keyType === undefined || this.ledger.wait > 0) return
    const before = this.held.get(keyType)
    const about = { names: this.names, keyType }
    try {
      const issued = await issue(
        {
          id: this.id,
          names: this.names,
          keyType,
          challenges: challengesInOrder(this.parts.settings, before?.stored.via, this.ledger.failures),
          before: before?.stored,
          beginning: async () => {
            this.permit.taken()
            await this.ledger.begin()
          },
          ordering: (resumed) => tell({ kind: 'ordering', ...about, resumed }),
          signal,
        },
        this.parts,
      )
      const stored = { ...issued, got: seams.now() }
      const held = HeldCertificate.read(stored)
      if (held === undefined) throw new Error('the certificate can not be read')
      this.adopt(keyType, held)
      this.ledger.succeed()
      tell({ kind: 'issued', ...about, notAfter: held.notAfter })
      // From here on it serves, whether it can be stored now or not.
      this.isTidy = false
      await records.setCertificate(this.id, keyType, stored)
      await this.tidy()
      await this.ledger.save()
    } catch (error) {
      if (error instanceof StorageError || this.stopping.signal.aborted) throw error
      const problem = messageOf(error)
      this.ledger.fail({ problem, retryAfterMs: authorityError(error)?.retryAfterMs })
      const { failures, next } = this.ledger
      tell({ kind: 'failed', ...about, problem, failures, retryAt: next })
      this.settle()
      await this.ledger.save()
    }
  }

  /** Nothing stays of an order that is over. */
  private async tidy(): Promise<void> {
    await this.parts.answers.tidy()
    if (this.isTidy) return
    await this.parts.records.deleteOrder(this.id)
    this.isTidy = true
  }

  /** Something failed that no order is to blame for; gives how long to wait. */
  private trouble(error: unknown): number {
    const { now, random } = this.parts.seams
    const wait = minute * (0.5 + random() / 2)
    if (error instanceof StorageError) this.parts.storage(error)
    else if (!this.stopping.signal.aborted) {
      const [keyType = 'ecdsa'] = this.dueTypes()
      const { failures } = this.ledger
      const problem = messageOf(error)
      tell({ kind: 'failed', names: this.names, keyType, problem, failures, retryAt: now() + wait })
    }
    return wait
  }
}
