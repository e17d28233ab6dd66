import { createHash, type Hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Dictionary } from './dictionary.js'
import type { PathPattern } from './path-pattern.js'

/** How much a {@link DictionaryStore} holds. */
export interface DictionaryBounds {
  /** Bytes of all, and of all that are being kept. */
  readonly maxSize: number
  /** Bytes of one. */
  readonly maxEntry: number
  readonly maxCount: number
}

interface Kept extends Dictionary {
  /** The response that it was: its URL and its validator. */
  readonly version: string
}

/**
 * Dictionaries by the origin that they came from and their hash: a client of one site has nothing to ask of another's (RFC 9842 section 2.2.2). Those that
 * were not asked for the longest go first. A response is hashed once: the same version of the same URL is known again by its validator.
 */
export class DictionaryStore {
  private readonly kept: LRUCache<string, Kept>
  /** Keys by version: of those kept, and of those on their way, which have none yet. */
  private readonly versions = new Map<string, string | undefined>()
  private coming = 0

  /** @param given those that are there from the start and stay, of any origin */
  constructor(
    private readonly bounds: DictionaryBounds,
    private readonly given: readonly Dictionary[] = [],
  ) {
    this.kept = new LRUCache({
      max: bounds.maxCount,
      maxSize: bounds.maxSize,
      sizeCalculation: ({ bytes }) => bytes.length,
      dispose: ({ version }, key) => {
        if (this.versions.get(version) === key) this.versions.delete(version)
      },
    })
  }

  /** The dictionary that a client says to have, if it is here and meant for the path. */
  find(hash: string, origin: string, path: string): Dictionary | undefined {
    const given = this.given.find((each) => each.hash === hash && each.match.matches(path))
    if (given !== undefined) return given
    const kept = this.kept.get(keyOf(origin, hash))
    return kept?.match.matches(path) === true ? kept : undefined
  }

  /** Whether this version is here or on its way; one that is here has been asked for now. */
  knows(version: string): boolean {
    const key = this.versions.get(version)
    if (key !== undefined) this.kept.get(key)
    return this.versions.has(version)
  }

  /** Where the bytes of a response go that is to be kept. `undefined`: it is known, or too many are on their way. */
  writer(origin: string, version: string, match: PathPattern, length = 0): DictionaryWriter | undefined {
    if (length > this.bounds.maxEntry || this.coming + length > this.bounds.maxSize) return undefined
    if (this.knows(version)) return undefined
    this.versions.set(version, undefined)
    return new DictionaryWriter(
      this.bounds.maxEntry,
      (bytes) => {
        if (this.coming + bytes > this.bounds.maxSize) return false
        this.coming += bytes
        return true
      },
      (bytes, hash) => {
        this.coming -= bytes
        if (this.versions.get(version) === undefined) this.versions.delete(version)
        if (hash !== undefined) this.keep(origin, { ...hash, match, version })
      },
    )
  }

  private keep(origin: string, kept: Kept): void {
    const key = keyOf(origin, kept.hash)
    this.kept.set(key, kept)
    if (this.kept.has(key)) this.versions.set(kept.version, key)
  }
}

/** Bytes on their way to be a dictionary. Nobody finds it before they are whole. */
export class DictionaryWriter {
  /** It still wants bytes. */
  open = true
  private readonly hash: Hash = createHash('sha256')
  private parts: Uint8Array[] = []
  private size = 0

  /**
   * @param most bytes that it takes: what is longer is dropped
   * @param take asked for room for more bytes
   * @param done told once, with the bytes that it had room for, and the dictionary, if it is one
   */
  constructor(
    private readonly most: number,
    private readonly take: (bytes: number) => boolean,
    private readonly done: (bytes: number, made: Omit<Dictionary, 'match'> | undefined) => void,
  ) {}

  write(chunk: Uint8Array): void {
    if (!this.open) return
    if (this.size + chunk.length > this.most || !this.take(chunk.length)) return this.abort()
    this.size += chunk.length
    this.parts.push(chunk)
    this.hash.update(chunk)
  }

  commit(): void {
    if (!this.open) return
    this.open = false
    const digest = this.hash.digest()
    const made = { bytes: Buffer.concat(this.parts), digest, hash: digest.toString('base64') }
    this.parts = []
    this.done(this.size, this.size === 0 ? undefined : made)
  }

  abort(): void {
    if (!this.open) return
    this.open = false
    this.parts = []
    this.done(this.size, undefined)
  }
}

function keyOf(origin: string, hash: string): string {
  return `${hash} ${origin}`
}
