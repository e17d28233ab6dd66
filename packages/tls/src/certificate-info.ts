/** A certificate behind another one in its chain, that ends before it. */
export interface ChainEnd {
  /** `certificate 3 of 3 (CN=New Root)` */
  readonly what: string
  /** Milliseconds since 1970. */
  readonly notBefore: number
  /** Milliseconds since 1970. */
  readonly notAfter: number
  /** SHA-256, as that of the certificate. */
  readonly fingerprint: string
}

/** What there is to know of a certificate in use, without its key. */
export interface CertificateInfo {
  /** Names and addresses that it is for, as they are compared: lower case, A-labels, wildcards as `*.example.com`. */
  readonly names: readonly string[]
  /** Milliseconds since 1970. */
  readonly notBefore: number
  /** Milliseconds since 1970. */
  readonly notAfter: number
  /** `'rsa'`, `'ecdsa'`, `'ed25519'`, or what else Node calls it. */
  readonly keyType: string
  /** SHA-256 of the certificate: hexadecimal, upper case, with colons. */
  readonly fingerprint: string
  /** Where it comes from: a file, or an option's path. */
  readonly where: string
  /** The first of its chain to end, where that is before it does: from then on a server that starts with this chain refuses it. */
  readonly chainEnd?: ChainEnd
}
