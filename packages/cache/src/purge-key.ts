import { createKey } from './key.js'
import type { KeySettings } from './key-options.js'
import type { PurgeKey } from './store.js'

const absolute = /^([a-z][a-z\d+.-]*):\/\/([^/?#]*)([^#]*)/i

/**
 * Makes what to purge match what entries are stored under: URLs as the key has them (scheme and host in lower case, no port that is the
 * scheme's own, no fragment, the query without what the key ignores), and the origin of a prefix likewise. What can't be read as a URL of http stays
 * as it is, and matches nothing.
 */
export function createPurgeKey(settings: KeySettings): (what: PurgeKey) => PurgeKey {
  const keyOf = createKey({
    query: settings.query,
    headers: [],
    cookies: [],
    device: false,
    maxKey: Number.POSITIVE_INFINITY,
  })
  const urlOf = (scheme: string, authority: string, path: string): string | undefined => {
    const key = keyOf({ scheme, authority, path, headers: [] })
    return key.refused === undefined ? key.url : undefined
  }
  return (what) => {
    const { prefix, url } = what
    const found = absolute.exec(url ?? prefix ?? '')
    if (found === null) return what
    const [whole, scheme = '', authority = '', path = ''] = found
    if (url !== undefined) {
      const normal = urlOf(scheme, authority, path)
      return normal === undefined || normal === url ? what : { ...what, url: normal }
    }
    const origin = urlOf(scheme, authority, '')?.slice(0, -1)
    if (prefix === undefined || origin === undefined) return what
    // One without a path may go on with the rest of a name (`http://site` has `http://site.example`): only its case is set right.
    const rest = prefix.slice(whole.length - path.length)
    return { ...what, prefix: (path === '' ? `${scheme}://${authority}`.toLowerCase() : origin) + rest }
  }
}
