const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')
const time = String.raw`(\d\d):(\d\d):(\d\d)`
const imf = new RegExp(
  String.raw`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z]{2}) (\d{4}) ${time} GMT$`,
)
const rfc850 = new RegExp(
  String.raw`^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d\d)-([A-Z][a-z]{2})-(\d\d) ${time} GMT$`,
)
const asctime = new RegExp(
  String.raw`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) ${time} (\d{4})$`,
)

/**
 * Milliseconds that a `Retry-After` asks to wait: seconds, or a date in any of the three forms of HTTP (RFC 9110 sections
 * 10.2.3 and 5.6.7); 0 for a date that has passed. `undefined` for what is neither, which is best ignored.
 * @param now milliseconds since 1970, of the clock on the wall: it is that which the date means
 */
export function retryAfter(value: string, now: number): number | undefined {
  const text = value.trim()
  // More digits than a safe integer has mean "never", which any bound is below.
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, Number.MAX_SAFE_INTEGER)
  const at = httpDate(text, now)
  return at === undefined ? undefined : Math.max(0, at - now)
}

function httpDate(text: string, now: number): number | undefined {
  let match = imf.exec(text)
  if (match !== null) return utc(match[3], match[2], match[1], match, 4)
  match = rfc850.exec(text)
  if (match !== null) {
    // Two digits that would be more than 50 years ahead are the latest past year with them (RFC 9110 section 5.6.7).
    const thisYear = new Date(now).getUTCFullYear()
    let year = thisYear - (thisYear % 100) + Number(match[3])
    if (year > thisYear + 50) year -= 100
    return utc(year, match[2], match[1], match, 4)
  }
  match = asctime.exec(text)
  return match === null ? undefined : utc(match[6], match[1], match[2], match, 3)
}

function utc(
  year: string | number | undefined,
  name: string | undefined,
  day: string | undefined,
  match: RegExpExecArray,
  clock: number,
): number | undefined {
  const month = months.indexOf(name as string)
  const [hour, minute, second] = match.slice(clock, clock + 3).map(Number) as [number, number, number]
  const date = Number(day)
  // A leap second (60) is allowed by the grammar; Date.UTC makes the next minute of it.
  if (month < 0 || date < 1 || date > 31 || hour > 23 || minute > 59 || second > 60) return undefined
  return Date.UTC(Number(year), month, date, hour, minute, second)
}
