// Recorded traces: what was asked, and when. One JSON object a line; or out of an access log in the common format.
import { parse, ranged, that, v } from '@sluice/options'
import { UsageError } from './usage-error.mjs'

/** A week, in ms: more is a time in another unit, or a date. */
const longest = 7 * 24 * 3_600_000

const line = v.strictObject({
  at: ranged(0, longest),
  key: v.optional(v.string(), ''),
  work: v.optional(
    that((value) => typeof value === 'number' && value > 0 && value <= 1e6, 'a number above 0'),
    1,
  ),
  method: v.optional(
    that(
      (value) => typeof value === 'string' && /^[A-Z]+$/.test(value),
      "a method such as 'GET', in capitals",
    ),
    'GET',
  ),
})

/**
 * Reads lines of JSON: `at`, ms since the begin; `key`, what requests that belong together have in common, default none; `work`, as a
 * multiple of the usual service time, default 1; `method`, default GET. Empty lines are passed over.
 * @param name of the file, for errors
 * @returns requests in the order of their times
 * @throws UsageError that names line and field
 */
export function readTrace(text, name) {
  return inOrder(
    text.split('\n').flatMap((each, i) => (each.trim() === '' ? [] : [readLine(each, `${name}:${i + 1}`)])),
    name,
  )
}

function readLine(text, path) {
  let value
  try {
    value = JSON.parse(text)
  } catch {
    // Said below.
  }
  // A list would be taken for an object whose `at` is the list's own function.
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(
      `${path}: got ${short(text)}, takes a JSON object such as {"at":12.5,"key":"user-7"}`,
    )
  try {
    return parse(line, value, path)
  } catch (error) {
    throw new UsageError(error.message)
  }
}

/** The lines of {@link readTrace} for requests, times to a thousandth of a ms; what is the default is left out. */
export function writeTrace(requests) {
  return [...requests]
    .map(({ at, key, work, method }) => {
      const given = {
        at: Math.round(at * 1e3) / 1e3,
        ...(key === '' ? {} : { key }),
        ...(work === 1 ? {} : { work }),
        ...(method === 'GET' ? {} : { method }),
      }
      return `${JSON.stringify(given)}\n`
    })
    .join('')
}

/** Of the common and the combined log format: client, time, method, path. */
const entry =
  /^(\S+) \S+ .*?\[(\d{2})\/([A-Z][a-z]{2})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})\] "([A-Z]+) (\S+)/
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/**
 * Reads an access log in the common or the combined format. It knows whole seconds: the requests of one are spread evenly over it.
 * What it doesn't tell, how long the target worked, is 1 for all.
 * @param key what becomes the key: `'client'`, or `'path'`, the path without its query
 * @throws UsageError that names the line
 */
export function readLog(text, name, key = 'client') {
  const found = text.split('\n').flatMap((each, i) => {
    if (each.trim() === '') return []
    const fields = entry.exec(each)
    const second = fields === null ? Number.NaN : secondOf(fields)
    if (Number.isNaN(second))
      throw new UsageError(
        `${name}:${i + 1}: got ${short(each)}, takes a line such as 192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 512`,
      )
    const [, client, , , , , , , , , , method, path] = fields
    return [{ second, key: key === 'client' ? client : path.split('?', 1)[0], work: 1, method }]
  })
  const counts = new Map()
  for (const { second } of found) counts.set(second, (counts.get(second) ?? 0) + 1)
  const begin = found.reduce((least, { second }) => Math.min(least, second), Number.POSITIVE_INFINITY)
  const seen = new Map()
  return inOrder(
    found.map(({ second, ...request }) => {
      const nth = seen.get(second) ?? 0
      seen.set(second, nth + 1)
      return { at: (second - begin + nth / counts.get(second)) * 1000, ...request }
    }),
    name,
  )
}

function secondOf([, , day, month, year, hour, minute, second, sign, hours, minutes]) {
  const zone = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1)
  const at = Date.UTC(Number(year), months.indexOf(month), Number(day), Number(hour), Number(minute) - zone)
  return months.includes(month) ? at / 1000 + Number(second) : Number.NaN
}

function inOrder(requests, name) {
  if (requests.length === 0) throw new UsageError(`${name}: has no request`)
  return requests.sort((a, b) => a.at - b.at)
}

/** A scenario with the requests of a trace in place of its own: what happens to its servers happens at the same times. */
export function replaying(scenario, requests) {
  const length = Math.max(scenario.length, Math.ceil(requests.at(-1).at) + 1)
  return { ...scenario, length, trace: () => requests }
}

function short(text) {
  const shown = JSON.stringify(text)
  return shown.length > 80 ? `${shown.slice(0, 77)}…"` : shown
}
