import type { AcmeSeams } from './acme-seams.js'
import type { AcmeLock, AcmeStorage } from './acme-storage.js'
import { bounded } from './bounded.js'
import { messageOf } from './message-of.js'
import { Places } from './places.js'

/** For one call, in ms: what hangs has failed. */
const limit = 10_000
/** Calls at the same time: thousands of certificates are read at a start, and files and clients of databases have their limits. */
const together = 64

/** A storage that can't be used now: what it was asked, and why. No value is shown. */
export class StorageError extends Error {
  constructor(what: string, cause: unknown) {
    super(`acme storage: ${what}: ${messageOf(cause)}`, { cause })
    this.name = 'StorageError'
  }
}

/** A part of a user's storage, under a prefix: each call settles within 10 s, and fails with a {@link StorageError}. */
export class BoundedStorage implements AcmeStorage {
  private readonly places = new Places(together)

  constructor(
    private readonly storage: AcmeStorage,
    private readonly prefix: string,
    private readonly after: AcmeSeams['after'],
  ) {}

  async get(key: string): Promise<string | undefined> {
    // Users' own may give `null` for what isn't there, as databases do.
    return (await this.call(`get ${key}`, () => this.storage.get(this.prefix + key))) ?? undefined
  }

  set(key: string, value: string): Promise<void> {
    return this.call(`set ${key}`, () => this.storage.set(this.prefix + key, value))
  }

  delete(key: string): Promise<void> {
    return this.call(`delete ${key}`, () => this.storage.delete(this.prefix + key))
  }

  async list(prefix: string): Promise<readonly string[]> {
    const keys = await this.call(`list ${prefix}`, () => this.storage.list(this.prefix + prefix))
    return keys.map((key) => key.slice(this.prefix.length))
  }

  async lock(name: string, ttl: number): Promise<AcmeLock | undefined> {
    // One that comes when nobody waits for it any more would block all others until its time is over.
    const release = (late: AcmeLock | undefined): void => void late?.release().catch(() => {})
    const lock = await this.call(`lock ${name}`, () => this.storage.lock(this.prefix + name, ttl), release)
    if (lock === undefined || lock === null) return undefined
    return {
      extend: (ms) => this.call(`extend ${name}`, () => lock.extend(ms)),
      release: () => this.call(`release ${name}`, () => lock.release()),
    }
  }

  private async call<T>(what: string, ask: () => Promise<T>, late?: (value: T) => void): Promise<T> {
    const free = await this.places.take()
    try {
      return await bounded(ask, limit, this.after, late)
    } catch (error) {
      throw new StorageError(what, error)
    } finally {
      free?.()
    }
  }
}
