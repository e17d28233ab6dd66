import { getAll, type HeaderList, parseEntityTag, parseHttpDate } from '@sluice/headers'

/**
 * So far behind `Last-Modified` must `Date` lie, in ms. A second would tell that nothing changed twice within one, were both of one clock;
 * a file server's may be another machine's, and a minute makes that unlikely to matter.
 */
const clocksApart = 60_000

/** The strong entity tag of a response (RFC 9110 section 8.8.3). `undefined` where it is weak, malformed or given twice. */
export function strongTag(headers: HeaderList): string | undefined {
  const tags = getAll(headers, 'etag')
  return tags.length === 1 && parseEntityTag(tags[0] as string)?.weak === false ? tags[0] : undefined
}

/** The `Last-Modified` of a response where it is a strong validator (RFC 9110 section 8.8.2.2). */
export function strongDate(headers: HeaderList): string | undefined {
  const modified = getAll(headers, 'last-modified')
  const dates = getAll(headers, 'date')
  if (modified.length !== 1 || dates.length !== 1) return undefined
  const from = parseHttpDate(modified[0] as string)
  const to = parseHttpDate(dates[0] as string)
  return from !== undefined && to !== undefined && to - from >= clocksApart ? modified[0] : undefined
}
