import type { PurgeKey } from './store.js'

/** A purge that is held against what turns up later. */
export interface Ban {
  soft: boolean
  /** How many it has met so far. */
  hits: number
}

/** More bans than that, and all that turns up is banned: it may be fetched again, and memory stays bounded. */
const most = 10_000

/** Purges made while it isn't known yet what is stored. */
export class Bans {
  private readonly urls = new Map<string, Ban>()
  private readonly tags = new Map<string, Ban>()
  private readonly prefixes = new Map<string, Ban>()
  private readonly names = new Set<string>()
  private everything: Ban | undefined = undefined

  /** Holds a purge against what turns up from now on. */
  add(what: PurgeKey, soft: boolean): Ban {
    if (this.everything !== undefined) return this.everything
    if (what.url !== undefined) return this.put(this.urls, what.url, soft)
    if (what.tag !== undefined) return this.put(this.tags, what.tag, soft)
    return this.put(this.prefixes, what.prefix ?? '', soft)
  }

  /** Holds the end of one file against what turns up under its name. */
  addName(name: string): void {
    if (this.isFull) this.everything ??= { soft: false, hits: 0 }
    else this.names.add(name)
  }

  /** Another one has the name now. */
  liftName(name: string): void {
    this.names.delete(name)
  }

  /** Whether what turns up under this name is to be gone. */
  meetsName(name: string): boolean {
    return this.everything !== undefined || this.names.has(name)
  }

  /** The ban that meets this entry, a hard one before a soft one. */
  on(entry: { url: string; tags: readonly string[] }): Ban | undefined {
    let found = this.everything ?? this.urls.get(entry.url)
    if (found?.soft === false) return found
    for (const tag of entry.tags) found = harder(found, this.tags.get(tag))
    for (const [prefix, ban] of this.prefixes) if (entry.url.startsWith(prefix)) found = harder(found, ban)
    return found
  }

  /** Whether there are none. */
  get isEmpty(): boolean {
    return this.everything === undefined && this.count === 0
  }

  /** What turned up is all there is. */
  clear(): void {
    this.everything = undefined
    this.urls.clear()
    this.tags.clear()
    this.prefixes.clear()
    this.names.clear()
  }

  private get count(): number {
    return this.urls.size + this.tags.size + this.prefixes.size + this.names.size
  }

  private get isFull(): boolean {
    return this.count >= most
  }

  private put(bans: Map<string, Ban>, name: string, soft: boolean): Ban {
    const had = bans.get(name)
    if (had !== undefined) {
      // What comes to light is older than both of them.
      if (!soft) had.soft = false
      return had
    }
    if (this.isFull) {
      this.everything = { soft: false, hits: 0 }
      return this.everything
    }
    const ban = { soft, hits: 0 }
    bans.set(name, ban)
    return ban
  }
}

function harder(one: Ban | undefined, other: Ban | undefined): Ban | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one.soft ? other : one
}
