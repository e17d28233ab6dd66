/**
 * Where accounts, certificates and challenges are kept, and who may do what alone. Several processes or machines that share
 * one issue each certificate once, and any of them answers a challenge. Keys are paths such as `certificates/a.test/ecdsa`:
 * letters, digits, `.`, `-`, `_`, `*` and `/`. Values are secrets.
 */
export interface AcmeStorage {
  get(key: string): Promise<string | undefined>
  /** Whole or not at all: whoever reads meanwhile gets the one before. */
  set(key: string, value: string): Promise<void>
  delete(key: string): Promise<void>
  /** The keys that begin with `prefix`. */
  list(prefix: string): Promise<readonly string[]>
  /**
   * Takes the lock of that name for `ttl` ms, or gives `undefined` where somebody else has it. One whose holder has died comes free
   * when its time is over.
   */
  lock(name: string, ttl: number): Promise<AcmeLock | undefined>
}

/** A lock that is held. */
export interface AcmeLock {
  /** Holds it for `ttl` ms from now. `false`: it is lost, and somebody else may have it. */
  extend(ttl: number): Promise<boolean>
  /** Gives it back. */
  release(): Promise<void>
}
