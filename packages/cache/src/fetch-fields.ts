import type { HeaderList } from '@sluice/headers'
import { nameVerdicts } from './name-verdicts.js'
import { unkeyed } from './unkeyed.js'

/** Conditions and ranges are answered from what is stored, so one client's don't go out with a fetch for all. */
const answeredHere: ReadonlySet<string> = new Set([
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
])

/**
 * Makes the fields of a fetch that others may get the answer of: the client's, without what the cache answers by itself, and without what a
 * target might answer by though the key doesn't tell it apart (cache poisoning). `forward` writes its own `X-Forwarded-*` after it.
 * @param keyed names of request fields in the key, in any case
 * @returns gives a new list, with `more` at its end: conditions and ranges of the cache's own
 */
export function fetchFields(
  keyed: readonly string[] = [],
): (headers: Readonly<HeaderList>, more: Readonly<HeaderList>) => HeaderList {
  const isUnkeyed = unkeyed(keyed)
  const isLeftOut = nameVerdicts((lower) => answeredHere.has(lower) || isUnkeyed(lower))
  return (headers, more) => {
    const list: HeaderList = []
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      if (!isLeftOut(name)) list.push(name, headers[i + 1] as string)
    }
    for (let i = 0; i < more.length; i++) list.push(more[i] as string)
    return list
  }
}
