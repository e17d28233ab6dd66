import { constants, createHash } from 'node:crypto'
import type { SecureContextOptions, Server, TLSSocket, TlsOptions } from 'node:tls'
import { alpnChallenges } from './alpn-challenges.js'
import { callOut } from './call-out.js'
import { tellFault } from './certificate-fault.js'
import { type ClientAuthorities, type ClientTrust, policyOf, readClientTrust } from './client-trust.js'
import type { MustStaple } from './must-staple.js'
import { needsTls } from './needs-tls.js'
import { presets } from './presets.js'
import { checkResumedClients } from './resumed-clients.js'
import {
  resolveServerTls,
  type ServedCertificates,
  type ServerTlsOptions,
  type ServerTlsSettings,
} from './server-tls-options.js'
import { type TicketKeys, ticketKeys } from './ticket-keys.js'

/** The TLS side of a server. */
export interface ServerTls {
  /** Options for `https.createServer`, `http2.createSecureServer` or `tls.createServer`, with the certificates of now. */
  readonly options: TlsOptions & { readonly allowHTTP1?: boolean }
  /**
   * Adds to a server that was made with `options` what options can't say: ticket keys that change, certificates that are replaced, OCSP,
   * challenges, a second look at the clients of resumed sessions. Nothing of it becomes an unhandled error. To be called when the server has
   * its listeners; disposing undoes it.
   * @throws TypeError for a server without TLS, or one that has somebody else for its staples
   */
  attach(server: Server): Disposable
  /**
   * Other authorities and revocation lists of client certificates, for handshakes from now on: sessions that were made under the old
   * ones are not resumed.
   * @throws TypeError for PEM that can't be read; the old ones stay
   */
  trust(change: ClientTrust): void
}

/**
 * Joins what makes a server's TLS: a preset, certificates by name, tickets, client certificates, OCSP and challenges, for any
 * server of Node's.
 *
 *     const tls = serverTls({ certificates: certificates({ certFile, keyFile }) })
 *     const server = createServer(tls.options, app)
 *     tls.attach(server)
 *
 * @param path where the options stand in what the user wrote
 * @throws TypeError for wrong options, PEM that can't be read among them
 */
export function serverTls(options: ServerTlsOptions, path = 'serverTls'): ServerTls {
  return new JoinedTls(resolveServerTls(options, path), path)
}

/**
 * Seconds for which a session may be resumed where clients have certificates; else it is OpenSSL's two hours. Not everything about a
 * certificate is looked at again: the end of an intermediate, say.
 */
const clientSessions = 300

/** A server that is attached, and what undoes its tickets. */
interface Attached {
  readonly server: Server
  tickets: Disposable | undefined
}

class JoinedTls implements ServerTls {
  readonly #settings: ServerTlsSettings
  readonly #path: string
  readonly #tickets: TicketKeys | undefined
  readonly #attached = new Set<Attached>()
  #authorities: ClientAuthorities
  #policy: string
  /** What was last tried as the servers' own. */
  #fallback: ServedCertificates['fallback']
  /** What OpenSSL has taken of it. */
  #taken: ServedCertificates['fallback']
  #byName: ReturnType<ServedCertificates['using']>
  #watch: Disposable | undefined
  /** With each change all come again. A stapler keeps what it has fresh by itself. */
  readonly #preloaded = new WeakSet<MustStaple>()
  readonly #sniCallback: NonNullable<TlsOptions['SNICallback']>

  constructor(settings: ServerTlsSettings, path: string) {
    const { client, tickets, certificates } = settings
    this.#settings = settings
    this.#path = path
    this.#tickets = tickets === false ? undefined : (tickets ?? ticketKeys())
    this.#authorities = readClientTrust(client, settings, path)
    this.#policy = policyOf(client, this.#authorities)
    this.#byName = certificates.using(this.#authorities)
    this.#taken = certificates.fallback
    this.#sniCallback = following(() => this.#byName)
  }

  get options(): ServerTls['options'] {
    const { client, preset, http2 } = this.#settings
    return {
      ...this.#contextOptions(this.#settings.certificates.fallback),
      handshakeTimeout: presets[preset].handshakeTimeout,
      SNICallback: this.#sniCallback,
      ...(client === 'none' ? {} : { requestCert: true, rejectUnauthorized: client === 'required' }),
      ...(http2 ? { ALPNProtocols: ['h2', 'http/1.1'], allowHTTP1: true } : {}),
    }
  }

  attach(server: Server): Disposable {
    const { certificates, client, ocsp, challenges, clock } = this.#settings
    needsTls(server)
    // First what else may refuse the server.
    const undo = [
      undoOf(ocsp?.attach(server)),
      challenges === undefined
        ? undefined
        : alpnChallenges(
            server,
            (servername) => challenges.challengeCertificate(servername),
            () => challenges.hasChallenges(),
          ),
      client === 'none' ? undefined : checkResumedClients(server, client, clock),
    ]
    const attached: Attached = { server, tickets: undefined }
    this.#attached.add(attached)
    this.#watch ??= certificates.watch(() => this.#follow())
    // Much may have been replaced since `options` were read.
    this.#fallback = certificates.fallback
    this.#renew(attached)
    this.#preload()
    // A handshake that fails or takes too long: `node:https` closes it, a bare `tls.Server` would not.
    const drop = (_error: Error, socket: TLSSocket): void => {
      socket.destroy()
    }
    server.on('tlsClientError', drop)
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        server.off('tlsClientError', drop)
        for (const each of undo.reverse()) each?.()
        attached.tickets?.[Symbol.dispose]()
        this.#attached.delete(attached)
        if (this.#attached.size > 0) return
        this.#watch?.[Symbol.dispose]()
        this.#watch = undefined
      },
    }
  }

  trust(change: ClientTrust): void {
    const { client } = this.#settings
    const authorities = readClientTrust(client, change, this.#path)
    const policy = policyOf(client, authorities)
    // What says the same in another way would have every context built again.
    if (policy === this.#policy) return
    this.#authorities = authorities
    this.#policy = policy
    this.#byName = this.#settings.certificates.using(authorities)
    for (const attached of this.#attached) this.#renew(attached)
  }

  /** Another certificate for clients that name nobody, and staples of all that are new. */
  #follow(): void {
    this.#preload()
    const { fallback } = this.#settings.certificates
    if (fallback === this.#fallback) return
    this.#fallback = fallback
    for (const attached of this.#attached) this.#renew(attached)
  }

  /** So that the first client of a certificate that must be stapled doesn't wait for its responder. */
  #preload(): void {
    const { certificates, ocsp } = this.#settings
    if (ocsp?.preload === undefined) return
    for (const one of certificates.mustStaple?.() ?? []) {
      if (this.#preloaded.has(one)) continue
      this.#preloaded.add(one)
      callOut('ocsp.preload', () => ocsp.preload?.(one.certificate, one.issuer))
    }
  }

  /**
   * Gives a server a context with all that counts now: other authorities also where there is a certificate by now that OpenSSL takes for none.
   */
  #renew(attached: Attached): void {
    const { server, tickets } = attached
    this.#taken = this.#replaceContext(server)
    tickets?.[Symbol.dispose]()
    attached.tickets = this.#tickets?.bindTo(this.#policy).attach(server)
  }

  /** Gives what of the certificates was taken. */
  #replaceContext(server: Server): ServedCertificates['fallback'] {
    try {
      server.setSecureContext(this.#contextOptions(this.#fallback))
      return this.#fallback
    } catch (error) {
      const where = this.#path === '' ? 'certificates' : `${this.#path}.certificates`
      tellFault({ where, error: error as Error, kept: true }, undefined)
      server.setSecureContext(this.#contextOptions(this.#taken))
      return this.#taken
    }
  }

  #contextOptions(fallback: ServedCertificates['fallback']): SecureContextOptions {
    const { handshakeTimeout: _, secureOptions, ...preset } = presets[this.#settings.preset]
    return {
      ...preset,
      ...fallback,
      ...this.#authorities,
      secureOptions: this.#tickets === undefined ? secureOptions | constants.SSL_OP_NO_TICKET : secureOptions,
      ...(this.#settings.client === 'none' ? {} : { sessionTimeout: clientSessions }),
      // Node's own comes from the arguments of the process: others could resume none of its sessions.
      sessionIdContext: createHash('sha256').update(this.#policy).digest('hex').slice(0, 32),
    }
  }
}

/** Node calls it with the socket as `this`, on which an alert may have to go out. */
function following(
  current: () => ReturnType<ServedCertificates['using']>,
): NonNullable<TlsOptions['SNICallback']> {
  return function (this: unknown, servername, done) {
    current().sniCallback.call(this, servername, done)
  }
}

/** What pieces give back for their undoing: a function, or something to dispose. */
function undoOf(given: unknown): (() => void) | undefined {
  if (typeof given === 'function') return given as () => void
  const disposable = given as Partial<Disposable> | undefined
  return disposable?.[Symbol.dispose]?.bind(disposable)
}
