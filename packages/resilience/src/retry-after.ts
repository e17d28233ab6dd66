const date = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/**
 * How long a server asks to wait: `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3), in ms from `now`. A date that has
 * passed is 0; `undefined` for what is neither. The old forms of dates aren't read: no server of today writes them here.
 * @param now the time of day, in ms since 1970
 */
export function retryAfter(value: string, now: number): number | undefined {
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000
  if (!date.test(value)) return undefined
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.max(at - now, 0)
}
