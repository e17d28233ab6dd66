import { createPrivateKey } from 'node:crypto'
import { inspect } from 'node:util'
import { AccountKeeper } from './account-keeper.js'
import { tell } from './acme-event.js'
import { type AcmeOptions, type AcmeSettings, resolveAcme } from './acme-options.js'
import { AcmeProblem } from './acme-problem.js'
import { BoundedStorage, type StorageError } from './bounded-storage.js'
import { ChallengeAnswers } from './challenge-answers.js'
import { DnsRecords } from './dns-records.js'
import { wildcardOf } from './domain-name.js'
import { fileStorage } from './file-storage.js'
import type { HeldCertificate } from './held-certificate.js'
import type { IssuedPair } from './issued-pair.js'
import { findPackages } from './load-client.js'
import { ManagedCertificate, type ManagedParts } from './managed-certificate.js'
import { type ManagerSeams, managerSeams } from './manager-seams.js'
import { messageOf } from './message-of.js'
import { OnDemand } from './on-demand.js'
import { Places } from './places.js'
import { Records } from './records.js'
import { SlidingCount } from './sliding-count.js'

/** Orders at the same time, and questions when to renew. */
const ordersTogether = 4
const questionsTogether = 8
const questionsAMinute = 300
/** How long `close` waits for what is under way to be cleared away, in ms. */
const closing = 5_000

/** Certificates that are ordered, kept and renewed by themselves. By shape it is what a TLS store takes as a provider. */
export interface Acme extends AsyncDisposable {
  /**
   * The pairs for a name, in lower case: one for each kind of key, or `undefined` where there is none. It never throws and never rejects. The first call
   * reads the storage; a name on demand waits for its certificate, within `onDemand.wait`.
   */
  get(servername: string): readonly IssuedPair[] | undefined | Promise<readonly IssuedPair[] | undefined>
  /** Tells of names whose pairs have changed, until disposed. */
  watch(changed: (servernames?: readonly string[]) => void): Disposable
  /** What a TLS-ALPN-01 challenge for a name is answered with (RFC 8737), this process's or another's. It never rejects. */
  challengeCertificate(servername: string): Promise<IssuedPair | undefined>
  /**
   * Whether somebody may ask for a TLS-ALPN-01 challenge: `false` saves servers from looking for it. Where it is answered at all that is always so until
   * `close`: no process knows when another one orders, after `revoke` or since the authority has told it to.
   */
  hasChallenges(): boolean
  /** What an HTTP-01 challenge of that token is answered with (RFC 8555 section 8.3), this process's or another's. It never rejects. */
  http01(token: string): Promise<string | undefined>
  /**
   * Begins to order and renew: once servers listen, since the authority asks them. It resolves when each certificate of `domains` is there or has failed
   * for the first time, and never rejects.
   */
  start(): Promise<void>
  /**
   * Has the certificates of a name revoked (RFC 8555 section 7.6), and orders new ones at once; until those are there they serve on.
   * @param reason code of RFC 5280 section 5.3.1: 1 the key is known to others, 4 replaced, 5 no longer used
   * @throws Error for a name that has none, AcmeError, StorageError
   */
  revoke(name: string, reason?: number): Promise<void>
  /** Gives the account another key (RFC 8555 section 7.3.5), for all processes with this storage. @throws AcmeError, StorageError */
  rollover(): Promise<void>
  /** What there is, and what is the matter with it. */
  certificates(): readonly AcmeCertificate[]
  /** Ends orders and timers. What is under way is cleared away, for up to 5 s. */
  close(): Promise<void>
}

/** A certificate of {@link Acme}, as it stands. Times are ms since 1970. */
export interface AcmeCertificate {
  readonly names: readonly string[]
  readonly keyType: 'ecdsa' | 'rsa'
  /** From `onDemand`, and no entry of `domains`. */
  readonly onDemand: boolean
  /** `undefined` where there is no certificate yet. */
  readonly notBefore: number | undefined
  readonly notAfter: number | undefined
  /** When it will be renewed, or is tried again. */
  readonly due: number | undefined
  /** Failures in a row, and what the last one said. */
  readonly failures: number
  readonly problem: string | undefined
}

/**
 * Orders certificates from an ACME authority (RFC 8555), keeps them, and renews them well before their end. Nothing is opened, read or asked before `start` or
 * the first `get`; timers hold no process open.
 * @param path where the options stand, for errors
 * @param seams time and chance, for tests
 * @throws TypeError for a wrong option
 */
export function acme(options: AcmeOptions, path = 'acme', seams: Partial<ManagerSeams> = {}): Acme {
  findPackages()
  return new Manager(resolveAcme(options, path), managerSeams(seams))
}

class Manager implements Acme {
  private readonly byName = new Map<string, ManagedCertificate>()
  private readonly managed: readonly ManagedCertificate[]
  private readonly onDemand: OnDemand | undefined
  private readonly account: AccountKeeper
  private readonly answers: ChallengeAnswers
  private readonly watchers = new Set<(servernames?: readonly string[]) => void>()
  private loading: Promise<unknown> | undefined = undefined
  private loaded = false
  private trouble: string | undefined = undefined
  private closed: Promise<void> | undefined = undefined

  constructor(
    private readonly settings: AcmeSettings,
    private readonly seams: ManagerSeams,
  ) {
    const { dns: dnsSettings, domains, onDemand, storage } = settings
    const own = typeof storage === 'string' ? fileStorage(storage) : storage
    const bounded = new BoundedStorage(own, `${folderOf(settings.directory)}/`, seams.after)
    const records = new Records(bounded, (key) =>
      tell({ kind: 'storage', problem: `acme storage: ${key} can not be read, and counts as missing` }),
    )
    const dns = dnsSettings && new DnsRecords(dnsSettings, seams.after)
    this.account = new AccountKeeper(settings, records, seams)
    this.answers = new ChallengeAnswers(records, dns, seams)
    const parts: ManagedParts = {
      settings,
      records,
      account: this.account,
      answers: this.answers,
      dns,
      places: new Places(ordersTogether),
      asking: new Places(questionsTogether),
      questions: new SlidingCount(questionsAMinute, 60_000, seams.elapsed),
      seams,
      storage: (error) => this.storage(error),
      changed: (names) => this.changed(names),
    }
    this.managed = domains.map((names) => new ManagedCertificate(names, parts))
    for (const each of this.managed) for (const name of each.names) this.byName.set(name, each)
    if (onDemand !== undefined) {
      const places = new Places(onDemand.limit.together)
      this.onDemand = new OnDemand(
        onDemand,
        seams,
        (name, permit) => new ManagedCertificate([name], { ...parts, places }, true, permit),
        (name) => this.changed([name]),
      )
    }
  }

  get(servername: string): ReturnType<Acme['get']> {
    const name = servername.toLowerCase()
    const managed = this.find(name)
    if (managed === undefined) return this.onDemand?.get(name)
    const pairs = managed.pairsFor(name)
    if (pairs !== undefined || this.loaded) return pairs
    return this.load().then(() => managed.pairsFor(name))
  }

  watch(changed: (servernames?: readonly string[]) => void): Disposable {
    // Each watch is one of its own, whoever asks twice.
    const tells = (servernames?: readonly string[]): void => changed(servernames)
    this.watchers.add(tells)
    return { [Symbol.dispose]: () => void this.watchers.delete(tells) }
  }

  challengeCertificate(servername: string): Promise<IssuedPair | undefined> {
    return this.answers.pair(servername.toLowerCase())
  }

  hasChallenges(): boolean {
    return this.settings.challenges.includes('tls-alpn-01') && this.closed === undefined
  }

  http01(token: string): Promise<string | undefined> {
    return this.answers.text(token)
  }

  async start(): Promise<void> {
    if (this.closed !== undefined) return
    // What nobody has gone on with; it can wait for another start.
    this.answers.sweep().catch(() => {})
    for (const each of this.managed) each.start()
    await Promise.all(this.managed.map(({ settled }) => settled))
  }

  async revoke(name: string, reason?: number): Promise<void> {
    const lower = name.toLowerCase()
    const managed = this.find(lower) ?? this.onDemand?.all.find(({ id }) => id === lower)
    if (managed === undefined) throw new Error(`acme: there is no certificate of ${name}`)
    const client = await this.account.client()
    const how = reason === undefined ? {} : { reason }
    await managed.revoke(async ({ stored: { cert, key } }: HeldCertificate) => {
      try {
        await client.revoke(cert, how)
      } catch (error) {
        if (!(error instanceof AcmeProblem && error.type === 'unauthorized')) throw error
        // Ordered by an account that is lost: its own key may revoke it, too (RFC 8555 section 7.6).
        await client.revoke(cert, { ...how, key: createPrivateKey(key) })
      }
    })
  }

  rollover(): Promise<void> {
    return this.account.rollover()
  }

  certificates(): readonly AcmeCertificate[] {
    return [...this.managed, ...(this.onDemand?.all ?? [])].flatMap(({ infos }) => infos)
  }

  close(): Promise<void> {
    this.closed ??= this.end()
    return this.closed
  }

  /** What a log shows: what is in it holds keys. */
  [inspect.custom](): string {
    return `Acme { ${this.managed.map(({ id }) => id).join(', ')} }`
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async end(): Promise<void> {
    this.watchers.clear()
    const stopped = Promise.all([...this.managed.map((each) => each.stop()), this.onDemand?.close()])
    // Ends requests that are under way, and so orders.
    const left = this.account.close()
    await new Promise<void>((resolve) => {
      const cancel = this.seams.after(closing, resolve)
      void Promise.allSettled([stopped, left]).then(() => {
        cancel()
        resolve()
      })
    })
  }

  private find(name: string): ManagedCertificate | undefined {
    const exact = this.byName.get(name)
    if (exact !== undefined) return exact
    const wildcard = wildcardOf(name)
    return wildcard === undefined ? undefined : this.byName.get(wildcard)
  }

  private load(): Promise<unknown> {
    this.loading ??= Promise.all(this.managed.map((each) => each.load())).then(() => {
      this.loaded = true
    })
    return this.loading
  }

  private changed(names: readonly string[]): void {
    for (const tells of this.watchers)
      try {
        tells(names)
      } catch (error) {
        process.emitWarning(`acme: who watches certificates has thrown: ${messageOf(error)}`, 'SluiceWarning')
      }
  }

  /** Told when it fails, when it fails in another way, and when it works again. */
  private storage(error: StorageError | undefined): void {
    if (this.closed !== undefined || error?.message === this.trouble) return
    this.trouble = error?.message
    tell(error === undefined ? { kind: 'storage-works' } : { kind: 'storage', problem: error.message })
  }
}

/** Where what belongs to an authority is kept: the staging one's certificates are never taken for the real one's. */
function folderOf(directory: string): string {
  const { host, pathname } = new URL(directory)
  return (host + pathname).replaceAll(/[^\w.-]+/g, '-').replaceAll(/^-|-$/g, '')
}
