const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const month = `(${months.join('|')})`
const time = String.raw`(\d\d):(\d\d):(\d\d)`
const day = 'mon|tue|wed|thu|fri|sat|sun'

/** `Sun, 06 Nov 1994 08:49:37 GMT` */
const fixed = new RegExp(String.raw`^(?:${day}), (\d\d) ${month} (\d{4}) ${time} gmt$`, 'i')
/** `Sunday, 06-Nov-94 08:49:37 GMT` */
const rfc850 = new RegExp(
  String.raw`^(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day), (\d\d)-${month}-(\d\d) ${time} gmt$`,
  'i',
)
/** `Sun Nov  6 08:49:37 1994` */
const asctime = new RegExp(String.raw`^(?:${day}) ${month} (\d\d| \d) ${time} (\d{4})$`, 'i')

/**
 * Reads a date in one of the three forms of RFC 9110 section 5.6.7, in any case (RFC 9111 section 4.2) and in no other way lenient:
 * another zone, a missing comma, two dates or a day that no month has make it none.
 * @param now ms since 1970: a year of two digits that would be over 50 years after it is one of the century before
 * @returns ms since 1970
 */
export function parseHttpDate(text: string, now: number = Date.now()): number | undefined {
  const before = remembered.get(text)
  if (before !== undefined) return before
  let found = fixed.exec(text)
  if (found !== null) {
    const ms = at(Number(found[3]), found[2] as string, found[1] as string, found[4], found[5], found[6])
    if (ms !== undefined) remember(text, ms)
    return ms
  }
  found = asctime.exec(text)
  if (found !== null)
    return at(Number(found[6]), found[1] as string, found[2] as string, found[3], found[4], found[5])
  found = rfc850.exec(text)
  if (found === null) return undefined
  const thisYear = new Date(now).getUTCFullYear()
  const year = thisYear - (thisYear % 100) + Number(found[3])
  const rest = [found[2] as string, found[1] as string, found[4], found[5], found[6]] as const
  // The latest year with these digits that isn't over 50 years ahead.
  for (const candidate of [year + 100, year, year - 100]) {
    const ms = at(candidate, ...rest)
    if (ms !== undefined && ms <= inFiftyYears(now)) return ms
  }
  return undefined
}

/** Dates come in clusters: a second's responses have the same, and what is asked for most was last modified then as before. */
const remembered = new Map<string, number>()
const mostRemembered = 512

function remember(text: string, ms: number): void {
  if (remembered.size >= mostRemembered) remembered.clear()
  remembered.set(text, ms)
}

function inFiftyYears(now: number): number {
  const date = new Date(now)
  return date.setUTCFullYear(date.getUTCFullYear() + 50)
}

function at(
  year: number,
  monthName: string,
  dayText: string,
  hours: string | undefined,
  minutes: string | undefined,
  seconds: string | undefined,
): number | undefined {
  const monthAt = months.indexOf(monthName.toLowerCase())
  const dayAt = Number(dayText)
  const [h, m, s] = [Number(hours), Number(minutes), Number(seconds)]
  // 60 is a leap second.
  if (h > 23 || m > 59 || s > 60) return undefined
  const date = new Date(0)
  // Not by Date.UTC, to which the year 50 is 1950.
  date.setUTCFullYear(year, monthAt, dayAt)
  if (date.getUTCMonth() !== monthAt || date.getUTCDate() !== dayAt) return undefined
  return date.setUTCHours(h, m, s)
}

/**
 * Writes a date as `Sun, 06 Nov 1994 08:49:37 GMT`, the form that RFC 9110 section 5.6.7 asks for.
 * @param ms since 1970; parts of a second are cut
 */
export function formatHttpDate(ms: number): string {
  return new Date(ms).toUTCString()
}
