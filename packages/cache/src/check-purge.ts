import { fault, parse, quote, v } from '@sluice/options'
import type { PurgeKey } from './store.js'

const purgeOptions = v.strictObject({ soft: v.optional(v.boolean(), false) })

/**
 * What to purge, and how, as a person wrote it: a word that is misspelt must not purge something else, nor harder.
 * @returns whether it is soft
 * @throws TypeError that names what is wrong
 */
export function checkPurge(what: PurgeKey, options: { soft?: boolean } = {}): boolean {
  const isObject = typeof what === 'object' && what !== null
  const given = isObject ? Object.entries(what).filter(([, value]) => value !== undefined) : []
  const [name, value] = given[0] ?? []
  if (given.length !== 1 || (name !== 'url' && name !== 'tag' && name !== 'prefix'))
    throw new TypeError(fault('purge', quote(what), 'one of { url }, { tag } and { prefix }'))
  if (typeof value !== 'string' || value === '')
    throw new TypeError(fault(`purge.${name}`, quote(value), 'a text'))
  if (name !== 'tag' && !/^https?:\/\/[^/]/i.test(value)) {
    const takes = "an absolute URL such as 'https://example.com/shop'"
    throw new TypeError(fault(`purge.${name}`, quote(value), takes))
  }
  return parse(purgeOptions, options, 'purge').soft
}
