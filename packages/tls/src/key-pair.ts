/** A certificate and its private key. */
export interface KeyPair {
  /** The certificate (PEM), with the rest of its chain behind it, the issuer of each one next; the root may be left out. */
  readonly cert: string | Buffer
  /** Its private key (PEM). */
  readonly key: string | Buffer
  /** For a private key that is encrypted. */
  readonly passphrase?: string
}

/** A pair that others replace while it is in use: files that change, say. */
export interface LiveKeyPair {
  /** The one that counts now: the same object until there is another. */
  readonly current: KeyPair
  /** Calls `changed` after each replacement, until disposed. */
  watch(changed: () => void): Disposable
}
