import { get, type HeaderList, parseDeltaSeconds, parseHttpDate } from '@sluice/headers'
import type { StoredResponse } from './types.js'

/**
 * What `Age` says, in seconds. Of several members the first counts, and what is no number is passed over (RFC 9111 section 5.1).
 * `undefined` where it says nothing.
 */
export function ageField(headers: Readonly<HeaderList>): number | undefined {
  const value = get(headers, 'age')
  if (value === undefined) return undefined
  // Parameters, which the field hasn't got, are left aside as the members are: they make nothing younger.
  return parseDeltaSeconds((/^[^,;]*/.exec(value) as RegExpExecArray)[0].trim())
}

/**
 * The time of a request as it is kept with a response whose `Age` is not: earlier by that age. Current age comes to the same, since both
 * are summed up (RFC 9111 section 4.2.3).
 * @param requestTime when it was sent, in ms since 1970
 */
export function withAge(requestTime: number, headers: Readonly<HeaderList>): number {
  return requestTime - (ageField(headers) ?? 0) * 1000
}

/**
 * When the response was made, as far as can be known: its age is what has passed since (RFC 9111 section 4.2.3). Clocks that differ make
 * nothing younger than it was when it came.
 * @returns ms since 1970
 */
export function bornAt({ headers, requestTime, responseTime }: StoredResponse): number {
  const delay = Math.max(0, responseTime - requestTime)
  const corrected = (ageField(headers) ?? 0) * 1000 + delay
  const dateField = get(headers, 'date')
  const date = dateField === undefined ? undefined : parseHttpDate(dateField, responseTime)
  // Date has whole seconds: the part of one that its writer cut off is no age.
  const apparent = date === undefined ? 0 : Math.floor((responseTime - date) / 1000) * 1000
  return responseTime - Math.max(0, apparent, corrected)
}

/** How old a stored response is, in ms (RFC 9111 section 4.2.3). Never below 0, whatever the clock does. */
export function currentAge(stored: StoredResponse, now: number): number {
  return Math.max(0, now - bornAt(stored))
}
