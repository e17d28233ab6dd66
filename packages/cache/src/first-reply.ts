import type { Reply } from '@sluice/core'
import { has, remove, set } from '@sluice/headers'
import type { Asked } from './asked.js'
import type { Fill } from './fill.js'
import type { Flight } from './flight.js'
import { growingCopy } from './growing-copy.js'
import type { Kept } from './keep.js'
import { ageOf } from './prepared.js'
import type { EntryHead } from './store.js'

/** Whether a request is to have all that it brings: or the part that it has asked for, of which the target says what it is. */
export function wantsAll(asked: Asked, { head }: Kept): boolean {
  return !asked.conditional && (asked.range === undefined || head.part !== undefined)
}

/** The answer as it came, for the one whose request has brought it: with the fields that others don't get. */
export function firstReply(
  { headers: came, status }: Reply,
  { head, life }: Kept,
  fill: Fill,
  now: number,
): Reply {
  const headers = growingCopy(came)
  if (head.length !== undefined && !has(came, 'content-length'))
    headers.push('Content-Length', String(head.length))
  // Another cache further in had it: since then it has got older.
  if (has(came, 'age')) set(headers, 'Age', String(ageOf(life, now)))
  return { status, headers, body: fill.reader() }
}

/** Adds to what is stored, for the one whose request has brought or confirmed it, the fields that others don't get. */
export function addWithheld({ headers }: Reply, flight: Flight, head: EntryHead): void {
  // RFC 9111 section 5.1: Age says that the origin was not asked for this request. It was, unless by another cache further in.
  if (!flight.aged) remove(headers, 'age')
  const withheld = flight.withheld(head)
  if (withheld !== undefined) headers.push(...withheld)
}
