import type { KeyPair, LiveKeyPair } from './key-pair.js'

/** A pair in two files of PEM, read again when they change. */
export interface CertificateFiles {
  /** Path of the certificate with its chain. */
  readonly certFile: string
  /** Path of the private key. It may be the same file. */
  readonly keyFile: string
  /** For a private key that is encrypted. */
  readonly passphrase?: string
}

/** Whoever has certificates by name: a database, a secret store, an ACME client. */
export interface CertificateProvider {
  /**
   * The pairs for a name, in lower case: one, several of different kinds of key, or `undefined` for a name that it has none for.
   * It is asked again after `watch` has told of a change, and for names whose answer has fallen out of a bounded table.
   */
  get(
    servername: string,
  ): KeyPair | readonly KeyPair[] | undefined | Promise<KeyPair | readonly KeyPair[] | undefined>
  /** Tells of names whose pairs have changed, or of all, until disposed. */
  watch?(changed: (servernames?: readonly string[]) => void): Disposable
}

/** One of the things that certificates come from. */
export type CertificateOrigin = KeyPair | CertificateFiles | LiveKeyPair | CertificateProvider

/** Where certificates come from. */
export type CertificateSource = CertificateOrigin | readonly CertificateOrigin[]
