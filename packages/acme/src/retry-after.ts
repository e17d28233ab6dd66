/**
 * How long `Retry-After` (RFC 9110 section 10.2.3) says to wait, in ms: seconds, or a date. `undefined` for what is neither, and for a
 * date that has passed.
 */
export function retryAfterMs(field: string | undefined, now: number): number | undefined {
  if (field === undefined) return undefined
  if (/^\d{1,10}$/.test(field)) return Number(field) * 1_000
  const date = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(field)
    ? Date.parse(field)
    : Number.NaN
  return date > now ? date - now : undefined
}
