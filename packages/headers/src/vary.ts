import { isNamed } from './header-list.js'
import { listMembers } from './list-members.js'

const nothing: readonly string[] = Object.freeze([])

/**
 * Names of the request fields that chose a response (RFC 9110 section 12.5.5), in lower case, sorted, each once.
 * @returns `'*'` where no request is known to get the same: it says so, or something that is no name
 */
export function varyNames(headers: readonly string[]): readonly string[] | '*' {
  let names: Set<string> | undefined
  for (let i = 0; i < headers.length; i += 2) {
    if (!isNamed(headers[i] as string, 'vary')) continue
    for (const part of (headers[i + 1] as string).split(',')) {
      const name = part.trim().toLowerCase()
      if (name === '') continue
      if (name === '*' || !/^[!#$%&'*+.^`|~\w-]+$/.test(name)) return '*'
      names ??= new Set()
      names.add(name)
    }
  }
  return names === undefined ? nothing : [...names].sort()
}

/** Fields of preferences, whose members mean the same in any case (RFC 9110 section 12.5). */
const preferences = new Set(['accept', 'accept-encoding', 'accept-language', 'accept-charset'])

/**
 * Those in which targets take the first of one weight, as Express does (RFC 9110 section 12.5.4): sorted, a client that asks for French
 * before English would get English.
 */
const inOrder = new Set(['accept', 'accept-language'])

/** What a preference was written as last, and what that came to: most clients of a site send the same few. */
const latest = new Map<string, readonly [value: string, written: string]>()

/** Fields that aren't lists: a comma in them is a character like others (RFC 9110 section 5.5). */
const single = new Set([
  'authorization',
  'cookie',
  'date',
  'from',
  'if-modified-since',
  'if-unmodified-since',
  'referer',
  'user-agent',
])

/**
 * A request's value of a field, written in one way of those that mean the same (RFC 9111 section 4.1): lines are joined, blanks
 * around commas left out, and of `Accept` and its like case and weights written otherwise don't count, nor order but in `Accept` and `Accept-Language`.
 * @param name in lower case
 * @returns `undefined` where the request hasn't got the field
 */
export function varyValue(name: string, headers: readonly string[]): string | undefined {
  let value: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i] as string
    if (field.length !== name.length || field.toLowerCase() !== name) continue
    value = value === undefined ? headers[i + 1] : `${value},${headers[i + 1]}`
  }
  if (value === undefined) return undefined
  if (preferences.has(name)) return rememberedPreferences(name, value)
  if (single.has(name)) return value.trim()
  return value.includes(',') ? listMembers(value, true).join(',') : value.trim()
}

function rememberedPreferences(name: string, value: string): string {
  const last = latest.get(name)
  if (last !== undefined && last[0] === value) return last[1]
  const written = preferencesOf(name, value)
  latest.set(name, [value, written])
  return written
}

function preferencesOf(name: string, value: string): string {
  const members = new Set<string>()
  for (const member of listMembers(value)) members.add(preference(member))
  const written = [...members]
  return (inOrder.has(name) ? written : written.sort()).join(',')
}

/** In quotes, and in the value of a parameter, case may count. */
function preference(member: string): string {
  if (member.includes('"')) return member
  if (!member.includes(';')) return member.toLowerCase()
  const [name = '', ...parameters] = member.split(';')
  let out = name.trim().toLowerCase()
  for (const text of parameters) {
    const parameter = text.trim()
    const weight = /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i.exec(parameter)?.[1]
    if (weight === undefined) out += `;${parameter.replace(/^[^=]*/, (part) => part.toLowerCase())}`
    else if (Number(weight) !== 1) out += `;q=${Number(weight)}`
  }
  return out
}
