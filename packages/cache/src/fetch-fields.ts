import type { HeaderList } from '@sluice/headers'
import { nameVerdicts } from './name-verdicts.js'

/** Conditions and ranges are answered from what is stored, so one client's don't go out with a fetch for all. */
const answeredHere: ReadonlySet<string> = new Set([
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
])

const isAnsweredHere = nameVerdicts((lower) => answeredHere.has(lower))

/**
 * The fields of a fetch that others may get the answer of: the client's, without what the cache answers by itself.
 * @param more conditions and ranges of the cache's own
 */
export function fetchFields(headers: HeaderList, more: HeaderList | undefined): HeaderList {
  const list: HeaderList = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (!isAnsweredHere(name)) list.push(name, headers[i + 1] as string)
  }
  if (more !== undefined) for (const text of more) list.push(text)
  return list
}
