import type { PurgeKey } from './store.js'

/** A purge that is held against what turns up later. */
export interface Ban {
  soft: boolean
  /** How many it has met. */
  hits: number
}

/** More bans than that, and all that turns up is banned: it may be fetched again, and memory stays bounded. */
const most = 10_000

/** Purges made while it isn't known yet what is stored. */
export class Bans {
  private readonly urls = new Map<string, Ban>()
  private readonly tags = new Map<string, Ban>()
  private readonly prefixes = new Map<string, Ban>()
  private everything: Ban | undefined = undefined

  /** Holds a purge against what turns up from now on. */
  add(what: PurgeKey, soft: boolean): Ban {
    if (this.everything !== undefined) return this.everything
    if (what.url !== undefined) return this.put(this.urls, what.url, soft)
    if (what.tag !== undefined) return this.put(this.tags, what.tag, soft)
    return this.put(this.prefixes, what.prefix ?? '', soft)
  }

  /** The ban that meets this entry, a hard one before a soft one. */
  on(entry: { url: string; tags: readonly string[] }): Ban | undefined {
    let found = this.everything ?? this.urls.get(entry.url)
    if (found?.soft === false) return found
    for (const tag of entry.tags) found = harder(found, this.tags.get(tag))
    for (const [prefix, ban] of this.prefixes) if (entry.url.startsWith(prefix)) found = harder(found, ban)
    return found
  }

  /** What turned up is all there is. */
  clear(): void {
    this.urls.clear()
    this.tags.clear()
    this.prefixes.clear()
  }

  private put(bans: Map<string, Ban>, name: string, soft: boolean): Ban {
    const had = bans.get(name)
    if (had !== undefined) {
      // What comes to light is older than both of them.
      if (!soft) had.soft = false
      return had
    }
    if (this.urls.size + this.tags.size + this.prefixes.size >= most) {
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
