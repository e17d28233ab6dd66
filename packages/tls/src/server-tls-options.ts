import type { SecureContextOptions, Server, TlsOptions } from 'node:tls'
import { oneOf, parse, that, v } from '@sluice/options'
import type { ChallengeAnswer } from './alpn-challenges.js'
import type { ClientAuthorities, ClientMode, ClientTrust, Pem } from './client-trust.js'
import type { MustStaple } from './must-staple.js'
import type { PresetName } from './presets.js'
import type { TicketKeys } from './ticket-keys.js'

/** What `serverTls` takes certificates from: `certificates()` gives one. */
export interface ServedCertificates {
  /** What answers SNI, from contexts that have these settings in them. */
  using(settings: ClientAuthorities): { readonly sniCallback: NonNullable<TlsOptions['SNICallback']> }
  /**
   * What clients get that ask for no name: Node asks for no context then, but serves with the server's own. The same object until there is
   * another; `undefined`: their handshakes fail.
   */
  readonly fallback: Pick<SecureContextOptions, 'cert' | 'key'> | undefined
  /** Certificates whose staples are asked for before any client comes. The same object for the same certificate. */
  mustStaple?(): readonly MustStaple[]
  /** Calls `changed` after each replacement, until disposed. */
  watch(changed: () => void): Disposable
}

/** Who answers the challenges of TLS-ALPN-01 (RFC 8737): `acme()` of `@sluice/acme` is one. */
export interface AlpnChallenges {
  /** What proves that a name, in lower case, is this server's; nothing where no challenge is open for it. */
  challengeCertificate: ChallengeAnswer
  /** While it says `false`, no connection is looked into. */
  hasChallenges(): boolean
}

/** What `serverTls` staples by: `ocspStapler()` gives one. */
export interface ServedStaples {
  /** Answers a server's `OCSPRequest`. Gives what undoes it. */
  attach(server: Server): unknown
  /** Asks for a certificate's staple before a client does, when a server is attached and when certificates change. */
  preload?(certificate: Buffer, issuer: Buffer): unknown
}

/** Options of `serverTls`. */
export interface ServerTlsOptions extends ClientTrust {
  /** Where certificates come from: a store. */
  certificates: ServedCertificates
  /** `'intermediate'`: TLS 1.2 and 1.3; `'modern'`: TLS 1.3 alone. Default intermediate. */
  preset?: PresetName
  /** Whether to offer HTTP/2, which the server must speak: `http2.createSecureServer`. Default false. */
  http2?: boolean
  /**
   * Whether clients are asked for a certificate. `'required'` ends every handshake without a good one. `'optional'` lets all pass, and
   * `socket.authorized` says whether there was a good one: somebody must look at it for each request. Default none.
   */
  client?: ClientMode
  /** Certificates (PEM) of the authorities that issue client certificates. Required with `client`. */
  ca?: Pem | undefined
  /**
   * Revocation lists (PEM) of these authorities: of each one in a client's chain, or its certificate isn't good. They are looked at in
   * handshakes; connections that are there stay.
   */
  crl?: Pem | undefined
  /** Keys of session tickets; `false`: sessions are not resumed. Default `ticketKeys()`, random ones for this process. */
  tickets?: TicketKeys | false
  /** Staples OCSP answers: `ocspStapler()` gives one. */
  ocsp?: ServedStaples
  /** Who answers the challenges of TLS-ALPN-01. */
  challenges?: AlpnChallenges
  /** Milliseconds since 1970. Default `Date.now`. */
  clock?: () => number
}

/** {@link ServerTlsOptions} with none left out that has a default. */
export interface ServerTlsSettings extends ServerTlsOptions {
  readonly preset: PresetName
  readonly http2: boolean
  readonly client: ClientMode
  readonly clock: () => number
}

const has =
  (...names: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
const isPem = (value: unknown): boolean => typeof value === 'string' || Buffer.isBuffer(value)
const pem = (): v.GenericSchema<Pem> =>
  that<Pem>(
    (value) => isPem(value) || (Array.isArray(value) && value.length > 0 && value.every(isPem)),
    'PEM, or a list of it',
  )

const schema = v.strictObject({
  certificates: that<ServedCertificates>(has('using', 'watch'), 'a store: certificates(…)'),
  preset: v.optional(oneOf('intermediate', 'modern'), 'intermediate'),
  http2: v.optional(v.boolean(), false),
  client: v.optional(oneOf('none', 'optional', 'required'), 'none'),
  ca: v.optional(pem()),
  crl: v.optional(pem()),
  tickets: v.optional(
    that<TicketKeys | false>(
      (value) => value === false || has('attach', 'bindTo')(value),
      'ticketKeys(…), or false',
    ),
  ),
  ocsp: v.optional(that<ServedStaples>(has('attach'), 'ocspStapler(…)')),
  challenges: v.optional(
    that<AlpnChallenges>(
      has('challengeCertificate', 'hasChallenges'),
      '{ challengeCertificate, hasChallenges }: acme(…) has them',
    ),
  ),
  clock: v.optional(
    v.custom<() => number>((value) => typeof value === 'function', 'a function that returns milliseconds'),
    () => Date.now,
  ),
})

/**
 * Options of `serverTls` with defaults for those left out.
 * @throws TypeError that names each wrong option below `path`
 */
export function resolveServerTls(options: ServerTlsOptions, path: string): ServerTlsSettings {
  return parse(schema, options, path) as ServerTlsSettings
}
