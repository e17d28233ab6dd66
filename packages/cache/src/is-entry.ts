import type { Entry, EntryHead } from './store.js'

/** What would end or split a field: nothing that was stored by us has it. */
const noField = /[\0\r\n]/

/** Whether what a store gave is an entry at all, its head aside: looked at each time. */
export function isEntry(entry: Entry): boolean {
  return (
    typeof entry === 'object' &&
    entry !== null &&
    typeof entry.body === 'function' &&
    typeof entry.size === 'number' &&
    entry.size >= 0 &&
    (entry.bytes === undefined || (entry.bytes instanceof Uint8Array && entry.bytes.length === entry.size))
  )
}

/** Whether a head that a store gave can be one that was stored: a store may be of another version, or broken. Looked at once a head. */
export function isEntryHead(head: EntryHead): boolean {
  if (typeof head !== 'object' || head === null) return false
  const { headers, length, part, purged, status, tags, variants, vary } = head
  return (
    [head.id, head.primary, head.url].every((text) => typeof text === 'string') &&
    [head.requestTime, head.responseTime, head.keepUntil].every(Number.isFinite) &&
    isTexts(tags) &&
    isTexts(headers) &&
    headers.length % 2 === 0 &&
    !headers.some((text) => noField.test(text)) &&
    (length === undefined || isCount(length)) &&
    (purged === undefined || purged === true) &&
    (variants === undefined || isTexts(variants)) &&
    (vary === undefined ? isStatus(status) : status === 0 && isTexts(vary) && vary.length > 0) &&
    (part === undefined || isPart(part))
  )
}

function isPart(part: NonNullable<EntryHead['part']>): boolean {
  if (typeof part !== 'object' || part === null) return false
  const { first, last, size } = part
  return (
    isCount(first) && isCount(last) && first <= last && (size === undefined || (isCount(size) && size > last))
  )
}

function isStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 599
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isTexts(list: readonly string[]): boolean {
  return Array.isArray(list) && list.every((text) => typeof text === 'string')
}
