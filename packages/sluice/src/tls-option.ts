import type { AcmeOptions } from '@sluice/acme'
import type {
  CertificateSource,
  CertificatesOptions,
  ClientMode,
  HstsOptions,
  OcspStaplerOptions,
  Pem,
  PresetName,
  TicketKeysOptions,
} from '@sluice/tls'

/** How `listen` speaks TLS. At least one of `cert`, `certificates` and `acme` says by which certificates. */
export interface TlsOptions {
  /** A certificate (PEM), with the rest of its chain behind it. Of several, or in files: `certificates`. */
  cert?: string | Buffer
  /** Its private key (PEM). */
  key?: string | Buffer
  /** For a key that is encrypted. */
  passphrase?: string
  /** Where more certificates come from: files, pairs, providers, one or several of them. */
  certificates?: CertificateSource
  /** Certificates that are ordered from an ACME authority and renewed by themselves. */
  acme?: AcmeOptions
  /** Who gets which certificate where none is for the name, how many are held, how long providers may take. */
  certificateOptions?: CertificatesOptions
  /** `'intermediate'`: TLS 1.2 and 1.3; `'modern'`: TLS 1.3 alone. Default intermediate. */
  preset?: PresetName
  /** Whether clients may choose HTTP/2. Default true. */
  http2?: boolean
  /**
   * Whether clients are asked for a certificate that `ca` has issued: `'required'` ends every handshake without a good one, `'optional'` leaves it to
   * `clientCertificate` and the routes. Default `'none'`.
   */
  client?: ClientMode
  /** Certificates (PEM) of the authorities that issue client certificates. Needed with `client`. */
  ca?: Pem
  /** Revocation lists (PEM) of these authorities: one of each in a client's chain, or its certificate isn't good. Default none. */
  crl?: Pem
  /** Keys of session tickets, such as a `secret` that several processes share; `false`: sessions are not resumed. Default random keys. */
  tickets?: false | TicketKeysOptions
  /** OCSP answers are stapled for certificates that name a responder. `false`: never. Default true. */
  ocsp?: boolean | OcspStaplerOptions
  /** Browsers are told to come by https alone. `true` for a year. Default false. */
  hsts?: boolean | HstsOptions
  /**
   * The port of plain HTTP that `listen` opens beside, which sends its clients to https and answers HTTP-01 challenges; 80, if clients are
   * to find it. Default none.
   */
  redirect?: number | RedirectOptions
  /** As `proxyProtocol` of the proxy, for who configures TLS alone. */
  proxyProtocol?: ProxyProtocolOptions
}

/** A port of plain HTTP beside the one of https. */
export interface RedirectOptions {
  /** 0 picks a free one. */
  port: number
  /** Its address. Default the one of https. */
  host?: string
  /** The port that clients find https on, where that isn't the one listened on: in a container, say. */
  to?: number
}

/** Who sends headers of the PROXY protocol. */
export interface ProxyProtocolOptions {
  /** CIDR ranges of one's own load balancers, each of whose connections has to begin with a header. Of others none is taken. */
  trust: readonly string[]
}
