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
}
