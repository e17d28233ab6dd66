import { createSecureContext, type SecureContext } from 'node:tls'
import { LRUCache } from 'lru-cache'
import type { ContextSettings } from './certificate-store.js'
import type { IdentitySet } from './identity-sets.js'

/** Certificate and key as `node:tls` takes them, of one kind of key or several. */
export interface ServerCertificates {
  readonly cert: string[]
  readonly key: { pem: string; passphrase?: string }[]
}

/** What a set is for `node:tls`. */
export function materialOf(set: IdentitySet): ServerCertificates {
  const each = set.map(({ material }) => material)
  return { cert: each.map(({ cert }) => cert), key: each.map(({ key }) => ({ ...key })) }
}

/**
 * V8 sees nothing of what a context holds outside its heap, and would leave thousands of those that were let go of to a late collection:
 * 10,000 names, one after the other, took 330 MB. So each has a buffer that is never written to, and takes no memory but in V8's account, of
 * four times its size: V8 lets 64 MB of such gather.
 */
const unseen = 128_000

/** Secure contexts, built when they are asked for and kept while they are used: one costs a millisecond and some 35 KB. */
export class ContextTable {
  readonly #built: LRUCache<
    IdentitySet,
    { readonly context: SecureContext | undefined; readonly weight: Buffer }
  >

  /** @param failed hears what a context can't be built of, once while it is kept */
  constructor(
    most: number,
    private readonly settings: ContextSettings,
    private readonly failed: (set: IdentitySet, error: Error) => void,
  ) {
    this.#built = new LRUCache({ max: most })
  }

  /** `undefined` for what OpenSSL takes for no certificate to serve with. */
  get(set: IdentitySet): SecureContext | undefined {
    const built = this.#built.get(set)
    if (built !== undefined) return built.context
    const context = this.#build(set)
    this.#built.set(set, { context, weight: Buffer.allocUnsafeSlow(unseen) })
    return context
  }

  delete(set: IdentitySet): void {
    this.#built.delete(set)
  }

  clear(): void {
    this.#built.clear()
  }

  #build(set: IdentitySet): SecureContext | undefined {
    try {
      return createSecureContext({ ...this.settings, ...materialOf(set) })
    } catch (error) {
      this.failed(set, error as Error)
      return undefined
    }
  }
}
