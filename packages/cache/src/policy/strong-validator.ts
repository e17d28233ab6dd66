import { getAll, type HeaderList } from '@sluice/headers'

/**
 * So far behind `Last-Modified` must `Date` lie, in ms. A second would tell that nothing changed twice within one, were both of one clock;
 * a file server's may be another machine's, and a minute makes that unlikely to matter.
 */
const clocksApart = 60_000

const tag = /^"[\x21\x23-\x7e\x80-\xff]*"$/
const httpDate =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/

/** The strong entity tag of a response (RFC 9110 section 8.8.3). `undefined` where it is weak, malformed or given twice. */
export function strongTag(headers: HeaderList): string | undefined {
  const tags = getAll(headers, 'etag')
  return tags.length === 1 && tag.test(tags[0] as string) ? tags[0] : undefined
}

/** The `Last-Modified` of a response where it is a strong validator (RFC 9110 section 8.8.2.2). */
export function strongDate(headers: HeaderList): string | undefined {
  const modified = getAll(headers, 'last-modified')
  const dates = getAll(headers, 'date')
  if (modified.length !== 1 || dates.length !== 1) return undefined
  const from = parsed(modified[0] as string)
  const to = parsed(dates[0] as string)
  return to - from >= clocksApart ? modified[0] : undefined
}

/** NaN for what is no date of the one form that is still written. */
function parsed(value: string): number {
  return httpDate.test(value) ? Date.parse(value) : Number.NaN
}
