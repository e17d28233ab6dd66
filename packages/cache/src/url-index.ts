import { flatCopy } from './flat-copy.js'
import { PurgeIndex } from './purge-index.js'

/** What a {@link UrlIndex} finds. */
export interface Keyed {
  readonly key: string
  readonly url: string
}

/** Ends of keys that are remembered: with each one more a purge by URL looks at one more key. */
const mostEnds = 64

/**
 * Finds by their URL what others hold by keys. A key is a URL and what follows it: mostly nothing, else the route or what was chosen by
 * (`Vary`), and of these there are few. So the ends are remembered, and what has a URL is found at that URL with each of them; only what has
 * a key of another kind, or an end that came when there were many already, takes a place in an index here.
 */
export class UrlIndex<T extends Keyed> {
  private readonly ends = new Set<string>([''])
  private readonly others = new PurgeIndex<T>()

  /** @param at finds what is held by a key */
  constructor(private readonly at: (key: string) => T | undefined) {}

  /** One is held from now on. */
  add(one: T): void {
    if (!this.isFound(one)) this.others.add(one.url, one)
  }

  /** One isn't held any more. */
  remove(one: T): void {
    if (!this.isFound(one)) this.others.remove(one.url, one)
  }

  /** All of a URL, and maybe some of another. */
  *of(url: string): IterableIterator<T> {
    for (const end of this.ends) {
      const one = this.at(url + end)
      if (one !== undefined) yield one
    }
    yield* this.others.of(url)
  }

  clear(): void {
    this.others.clear()
  }

  /** Whether one is found by its key. Always the same for one: an end that isn't remembered when it first comes never is. */
  private isFound({ key, url }: T): boolean {
    if (key === url) return true
    if (!key.startsWith(url)) return false
    const end = key.slice(url.length)
    if (this.ends.has(end)) return true
    if (this.ends.size >= mostEnds) return false
    this.ends.add(flatCopy(end))
    return true
  }
}
