/** A certificate with its chain, and its key, in PEM. */
export interface IssuedPair {
  readonly cert: string
  readonly key: string
}
