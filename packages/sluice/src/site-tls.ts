import type { Server, TlsOptions as ServerOptions } from 'node:tls'
import { type Acme, acme, answerHttp01 } from '@sluice/acme'
import { chain, type Handler, type Middleware, unhandled } from '@sluice/core'
import { Faults } from '@sluice/options'
import {
  type CertificateInfo,
  type CertificateSource,
  type CertificateStore,
  type CertificatesOptions,
  type ClientTrust,
  certificates,
  hsts,
  type OcspStapler,
  ocspStapler,
  redirectToHttps,
  type ServerTls,
  type ServerTlsOptions,
  serverTls,
  ticketKeys,
  watchExpiry,
} from '@sluice/tls'
import type { RedirectOptions, TlsOptions } from './tls-option.js'
import { checkTls } from './tls-schema.js'

/** What a proxy speaks TLS with, to be looked at and changed while it serves. */
export interface ProxyTls {
  /** The certificates that are held, without their keys. */
  certificates(): readonly CertificateInfo[]
  /**
   * Other certificates in place of `cert` and `certificates`, for handshakes from now on; those of `acme` stay.
   * @throws TypeError for one that can't be used, and then nothing has changed
   */
  replace(source: CertificateSource): void
  /**
   * Other authorities and revocation lists of client certificates; sessions that were made under the old ones aren't resumed.
   * @throws TypeError for PEM that can't be read, and then nothing has changed
   */
  trust(change: ClientTrust): void
  /** The client of the ACME authority, where there is one. */
  readonly acme?: Acme
}

/** TLS of a proxy: its certificates, and what joins them to each server that listens. */
export class SiteTls implements ProxyTls {
  declare readonly acme?: Acme
  readonly http2: boolean
  /** The port of plain HTTP to open beside. */
  readonly redirect: RedirectOptions | undefined
  /** What stands in the chain for it. */
  readonly layers: readonly Middleware[]
  readonly #store: CertificateStore
  readonly #tls: ServerTls
  readonly #stapler: OcspStapler | undefined
  readonly #attached = new Set<() => void>()
  #expiry: Disposable | undefined
  #closed = false

  /**
   * @param path where the options stand
   * @throws TypeError with a line for each fault
   */
  constructor(options: TlsOptions, path: string) {
    const {
      acme: authority,
      certificateOptions,
      http2 = true,
      hsts: strict = false,
      ocsp = true,
      redirect,
      tickets,
    } = options
    const faults = new Faults()
    checkTls(options, path, faults)
    /** What an option makes, unless it is of the wrong kind. */
    const piece = <T>(name: keyof TlsOptions, make: (where: string) => T): T | undefined => {
      const where = `${path}.${name}`
      return faults.has(where) ? undefined : faults.collect(() => make(where))
    }
    const managed = authority && piece('acme', (where) => acme(authority, where))
    const strictly = strict && piece('hsts', (where) => hsts(strict === true ? {} : strict, where))
    const stapler = ocsp && piece('ocsp', (where) => ocspStapler(ocsp === true ? {} : ocsp, where))
    const keys = tickets && piece('tickets', (where) => ticketKeys(tickets, where))
    const usable = piece('certificateOptions', (where) => {
      nothing(certificateOptions, where)[Symbol.dispose]()
      return certificateOptions
    })
    const store = sources.some((name) => faults.has(`${path}.${name}`))
      ? undefined
      : faults.collect(() => storeOf(options, usable, managed, path))
    const tls = faults.collect(() =>
      serverTls(
        {
          certificates: store ?? nothing(),
          ...settingsOf(options),
          ...(keys === undefined ? {} : { tickets: keys }),
          ...(stapler ? { ocsp: stapler } : {}),
          ...(managed === undefined ? {} : { challenges: managed }),
        },
        path,
      ),
    )
    this.http2 = http2
    this.redirect = typeof redirect === 'number' ? { port: redirect } : redirect
    this.layers = strictly ? [strictly] : []
    if (managed !== undefined) this.acme = managed
    this.#stapler = stapler || undefined
    this.#store = store ?? nothing()
    this.#tls = tls as ServerTls
    try {
      faults.throwAny()
    } catch (error) {
      void this.close()
      throw error
    }
  }

  /** What a server is made with. */
  get serverOptions(): ServerOptions {
    return this.#tls.options
  }

  /** Joins TLS to a server that has its listeners. @returns the undo */
  attach(server: Server): () => void {
    const tls = this.#tls.attach(server)
    const undo = (): void => {
      this.#attached.delete(undo)
      tls[Symbol.dispose]()
    }
    this.#attached.add(undo)
    return undo
  }

  /** What a port of plain HTTP serves: answers to HTTP-01 challenges, and the way to https for all others. */
  plainHandler(port: number): Handler {
    const { acme: managed, redirect } = this
    const away = chain()
      .use(redirectToHttps({ port: redirect?.to ?? port }))
      .handle(() => unhandled)
    return managed === undefined ? away : answerHttp01(managed)(away)
  }

  /** Begins to order certificates, since now somebody answers challenges, and to tell of those that are about to expire. */
  start(): void {
    if (this.#closed) return
    this.#expiry ??= watchExpiry(this.#store)
    void this.acme?.start()
  }

  /** Gives orders up: nobody comes in any more to ask for what proves a name. */
  stop(): void {
    void this.acme?.close()
  }

  certificates(): readonly CertificateInfo[] {
    return this.#store.infos()
  }

  replace(source: CertificateSource): void {
    this.#store.replace(withAuthority(source, this.acme))
  }

  trust(change: ClientTrust): void {
    this.#tls.trust(change)
  }

  /** Ends watching, orders and timers. */
  async close(): Promise<void> {
    this.#closed = true
    this.#expiry?.[Symbol.dispose]()
    for (const undo of this.#attached) undo()
    this.#store[Symbol.dispose]()
    this.#stapler?.[Symbol.dispose]()
    await this.acme?.close()
  }
}

/** Options that certificates come from. */
const sources: readonly (keyof TlsOptions)[] = ['cert', 'key', 'passphrase', 'certificates']

/** What serves nobody: for its options, which a store would name as those of its source, and in place of a store that is wrong, so that all faults are found. */
function nothing(options?: CertificatesOptions, path?: string): CertificateStore {
  return certificates({ get: () => undefined }, options, path)
}

/** What the server's side of TLS reads itself. */
function settingsOf({ preset, client, ca, crl }: TlsOptions): Omit<ServerTlsOptions, 'certificates'> {
  return {
    ...(preset === undefined ? {} : { preset }),
    ...(client === undefined ? {} : { client }),
    ...(ca === undefined ? {} : { ca }),
    ...(crl === undefined ? {} : { crl }),
  }
}

function storeOf(
  { cert, key, passphrase, certificates: source }: TlsOptions,
  options: CertificatesOptions | undefined,
  managed: Acme | undefined,
  path: string,
): CertificateStore | undefined {
  const pair =
    cert === undefined && key === undefined
      ? undefined
      : { cert, key, ...(passphrase === undefined ? {} : { passphrase }) }
  // That there are none is told already, or what is wrong with those of `acme`.
  if (pair === undefined && source === undefined && managed === undefined) return undefined
  const given = (pair ?? source ?? []) as CertificateSource
  const where = pair === undefined ? `${path}.certificates` : path
  return certificates(
    withAuthority(given, managed),
    { ...(managed === undefined ? {} : patient), ...options },
    where,
  )
}

/** A first certificate on demand takes as long as the authority does: all of the time that a handshake has, but for a second. */
const patient: CertificatesOptions = { timeout: '9s' }

function withAuthority(source: CertificateSource, managed: Acme | undefined): CertificateSource {
  return managed === undefined ? source : [...(Array.isArray(source) ? source : [source]), managed]
}
