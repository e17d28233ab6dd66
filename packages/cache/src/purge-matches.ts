import type { PurgeKey } from './store.js'

/** Tells whether a purge means an entry with this URL and these tags. */
export function purgeMatches(what: PurgeKey, entry: { url: string; tags: readonly string[] }): boolean {
  if (what.url !== undefined) return entry.url === what.url
  if (what.tag !== undefined) return entry.tags.includes(what.tag)
  return what.prefix !== undefined && entry.url.startsWith(what.prefix)
}
