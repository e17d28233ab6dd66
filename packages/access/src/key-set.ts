import type { createLocalJWKSet, JSONWebKeySet } from 'jose'

/** Finds the key of a token in a set. */
export type Keys = ReturnType<typeof createLocalJWKSet>

/** What a {@link KeySet} goes by. */
export interface KeySetOptions {
  /** Gets the set from its issuer. */
  readonly load: () => Promise<Keys>
  /** After which keys are old, in ms. */
  readonly refresh: number
  /** How long keys count that could not be, in ms. */
  readonly keep: number
  /** Least time between a fetch and the next one, in ms. */
  readonly cooldown: number
  readonly now: () => number
  /** Told of each fetch that has failed. */
  readonly failed?: (error: unknown) => void
}

/** First pause behind a fetch that has failed, in ms; each further one doubles it, up to the cooldown. */
const firstPause = 1_000

/** From this part of `refresh` on keys are fetched behind who asks for them, so that where many ask nobody has to wait. */
const early = 0.75

/**
 * Keys of an issuer that are fetched when they are needed, one fetch at a time for all who wait:
 *
 * none ──get──▶ loading ──▶ fresh ──early──▶ ageing ──refresh──▶ old ──keep──▶ none
 *
 * Fresh ones are there at once. Ageing ones are, too, while new ones are fetched behind. For old ones everybody waits for the fetch first, since one
 * may have been withdrawn; but not behind a fetch that has failed, while the issuer is away. Without any everybody waits. The next fetch is no
 * sooner than `cooldown` after the last, whoever asks: tokens that name keys which there aren't can't make more of them. Behind failures it is
 * sooner at first, so that an issuer that was away for a moment isn't missed for long.
 */
export class KeySet {
  private keys: Keys | undefined = undefined
  private loadedAt = 0
  private triedAt = Number.NEGATIVE_INFINITY
  private failures = 0
  private loading: Promise<boolean> | undefined = undefined

  constructor(private readonly options: KeySetOptions) {}

  /** The keys; `undefined` where none can be had. */
  get(): Keys | undefined | Promise<Keys | undefined> {
    const { refresh } = this.options
    const keys = this.usable
    if (keys === undefined) return this.load().then(() => this.usable)
    const { age } = this
    if (age < refresh * early) return keys
    const loading = this.load()
    return age < refresh || this.failures > 0 ? keys : loading.then(() => this.usable)
  }

  /**
   * For a token whose key isn't there: the keys, if they are others now.
   * @returns `undefined` where there are none other; `'failed'` where nobody could say
   */
  async others(than: Keys): Promise<Keys | undefined | 'failed'> {
    if (this.keys !== than) return this.keys
    await this.load()
    if (this.keys !== than) return this.keys
    return this.failures > 0 ? 'failed' : undefined
  }

  private get usable(): Keys | undefined {
    return this.keys !== undefined && this.age < this.options.keep ? this.keys : undefined
  }

  /** A clock that was set back makes nothing young. */
  private get age(): number {
    const age = this.options.now() - this.loadedAt
    return age < 0 ? Number.POSITIVE_INFINITY : age
  }

  private get pause(): number {
    const { cooldown } = this.options
    return this.failures === 0 ? cooldown : Math.min(cooldown, firstPause * 2 ** (this.failures - 1))
  }

  /** Fetches, unless it is too soon. Never rejects. */
  private load(): Promise<boolean> {
    if (this.loading !== undefined) return this.loading
    const { refresh, cooldown } = this.options
    const now = this.options.now()
    const since = now - this.triedAt
    if (since >= 0 && since < this.pause) return Promise.resolve(false)
    // A failure of so long ago, with nobody asking since, tells nothing of now.
    if (since >= refresh + cooldown) this.failures = 0
    this.triedAt = now
    this.loading = this.fetch().finally(() => {
      this.loading = undefined
    })
    return this.loading
  }

  private async fetch(): Promise<boolean> {
    const { load, now, failed } = this.options
    try {
      this.keys = await load()
      this.loadedAt = now()
      this.failures = 0
      return true
    } catch (error) {
      this.failures++
      failed?.(error)
      return false
    }
  }
}

/** The most keys in a set: a token that names none is tried with each. */
const mostKeys = 100

/** @throws Error for what is no set of keys */
export function readKeySet(body: Buffer): JSONWebKeySet {
  const set = JSON.parse(body.toString('utf8')) as { keys?: unknown }
  const { keys } = set ?? {}
  if (!Array.isArray(keys) || keys.length === 0) throw new Error('no JWK set with a key in it')
  if (keys.length > mostKeys) throw new Error(`a JWK set of more than ${mostKeys} keys`)
  return set as JSONWebKeySet
}
