import { groupByName, type HeaderList, isFieldName, isFieldValue } from '@sluice/headers'
import { http2Fields } from './connection-fields.js'

/** What a trailer must not say: whoever merges it with the head would frame or route the message anew (RFC 9110 section 6.5.1). */
const ofHead = /^(content-length|transfer-encoding|host|trailer)$/i

/** The fields behind a body as Node takes them, without those that HTTP forbids there. */
export function trailerFields(fields: HeaderList, h1: boolean): Record<string, string> {
  const trailers: Record<string, string | string[]> = {}
  for (const [name, value] of h1 ? groupByName(fields) : http2Fields(fields))
    if (isFieldName(name) && isValid(value) && !ofHead.test(name)) trailers[name] = value
  return trailers as Record<string, string>
}

/** Whether a value, or each of several, is one. */
export function isValid(value: string | string[]): boolean {
  return typeof value === 'string' ? isFieldValue(value) : value.every(isFieldValue)
}
