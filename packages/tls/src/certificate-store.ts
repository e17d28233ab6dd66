import type { SecureContext, SecureContextOptions } from 'node:tls'
import type { CertificateInfo } from './certificate-info.js'
import type { CertificateSource } from './certificate-source.js'
import type { ServerCertificates } from './context-table.js'
import type { MustStaple } from './must-staple.js'
import type { SniCallback } from './sni-callback.js'

/** What of a secure context isn't its certificate. A server's context that SNI gives replaces the server's own in these. */
export type ContextSettings = Omit<
  SecureContextOptions,
  'cert' | 'key' | 'passphrase' | 'pfx' | 'clientCertEngine' | 'privateKeyEngine' | 'privateKeyIdentifier'
>

/** Contexts by name, for a server. */
export interface ServerContexts {
  /**
   * The context for a name, with a certificate of each kind of key that there is for it, for a `TLSSocket` of one's own (STARTTLS); without
   * a name, or with one that there is no certificate for, the fallback's. `undefined`: there is none. A promise only where a
   * provider has to be asked. It never throws and never rejects. A server's `SNICallback` would take one certificate from it:
   * that is what `sniCallback` is for.
   */
  context(servername: string | undefined): SecureContext | undefined | Promise<SecureContext | undefined>
  /**
   * For the option `SNICallback` of a server whose own certificates are the store's `fallback`. Each client gets a certificate that it can use;
   * where there is none for its name, the alert `unrecognized_name`.
   */
  readonly sniCallback: SniCallback
}

/** Certificates by name, replaced while in use. */
export interface CertificateStore extends ServerContexts, Disposable {
  /**
   * For the server's own options: SNI never asks for the certificate of a client that sends no name. `undefined` where there is no
   * fallback: such a client gets the alert `handshake_failure`. The same object until there is another. After a change `server.setSecureContext` takes it over.
   */
  readonly fallback: ServerCertificates | undefined
  /**
   * The same certificates in contexts with these settings: authorities for client certificates, a session id context, signature algorithms.
   * A server takes these from the context that SNI gives it, not from its own options.
   */
  using(settings: ContextSettings): ServerContexts
  /** All certificates that are held, in the order of their sources; of a provider's those in use. */
  infos(): readonly CertificateInfo[]
  /**
   * Those of them that must be stapled (RFC 7633) and have their issuers in their chains, for whoever asks for their staples before clients come:
   * `serverTls` does. The same object for the same certificate.
   */
  mustStaple(): readonly MustStaple[]
  /**
   * Other certificates, from here on. Handshakes under way and open connections keep what they have. A store that is disposed of
   * keeps those that it has.
   * @throws TypeError as {@link certificates} does, and then nothing has changed
   */
  replace(source: CertificateSource): void
  /** Calls `changed` after each replacement of a certificate, until disposed. */
  watch(changed: () => void): Disposable
}
