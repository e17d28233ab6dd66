import { createRequire } from 'node:module'
import { listMembers } from './list-members.js'

/** Directives by their names in lower case; `true` where a directive has no value. */
export type Directives = ReadonlyMap<string, string | true>

/** What a field without directives gives. */
const none: Directives = new Map()

/** Directives whose values are lists of field names: what is said twice of them counts twice. */
const listed = new Set(['private', 'no-cache'])

/**
 * Reads `Cache-Control`, or another field with its grammar (RFC 9111 section 5.2). A value means the same with quotes and without,
 * and what is in quotes is no directive. Of a directive that comes twice the first counts (section 4.2.1); of `private` and
 * `no-cache` all count, and one without field names counts for the whole response.
 *
 * A directive isn't lost for what is wrong with its value: that is kept as it stands, blanks around `=` too, and so is neither a number
 * of seconds nor a list of names. What to make of it is for the reader to say, and the safe way is open to him.
 * @param name the field to read, in lower case
 */
export function parseCacheControl(headers: readonly string[], name = 'cache-control'): Directives {
  let found: Map<string, string | true> | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i] as string
    if (field.length !== name.length || field.toLowerCase() !== name) continue
    found ??= new Map()
    // Lines are read one by one, so that a quote left open in one can't swallow the next.
    readDirectives(headers[i + 1] as string, found)
  }
  return found ?? none
}

/** Reads one line's directives into `to`. */
export function readDirectives(line: string, to: Map<string, string | true>): void {
  for (const member of listMembers(line)) {
    const name = /^[!#$%&'*+.^`|~\w-]+/.exec(member)?.[0]
    if (name === undefined) continue
    const lower = name.toLowerCase()
    const value = valueOf(member.slice(name.length))
    const before = to.get(lower)
    if (before === undefined) to.set(lower, value)
    else if (listed.has(lower)) to.set(lower, before === true || value === true ? true : `${before},${value}`)
  }
}

function valueOf(rest: string): string | true {
  if (rest === '') return true
  if (rest[0] !== '=') return rest
  if (!/^="(?:[^"\\]|\\.)*"$/.test(rest)) return rest.slice(1)
  const inside = rest.slice(2, -1)
  return inside.includes('\\') ? inside.replace(/\\(.)/g, '$1') : inside
}

/** The most seconds that anything is counted in (RFC 9111 section 1.2.2). */
const mostSeconds = 2_147_483_648

/** A number of seconds (RFC 9111 section 1.2.2), 2^31 for more; `undefined` for what is none. */
export function parseDeltaSeconds(value: string | true | undefined): number | undefined {
  if (typeof value !== 'string' || value === '' || value.length > 400 || /\D/.test(value)) return undefined
  return Math.min(Number(value), mostSeconds)
}

/** The field names in the value of `private` or `no-cache`, in lower case; `undefined` where it is no list of names, or empty. */
export function parseFieldNames(value: string): readonly string[] | undefined {
  const names: string[] = []
  for (const part of value.split(',')) {
    const name = part.trim().toLowerCase()
    if (name === '') continue
    if (!/^[!#$%&'*+.^`|~\w-]+$/.test(name)) return undefined
    names.push(name)
  }
  return names.length === 0 ? undefined : names
}

type StructuredHeaders = typeof import('structured-headers')
let structured: StructuredHeaders | undefined

/** Few responses have such a field, and everybody imports this package: its parser is loaded when the first one comes. */
function structuredHeaders(): StructuredHeaders {
  structured ??= createRequire(import.meta.url)('structured-headers') as StructuredHeaders
  return structured
}

/**
 * Reads a targeted field such as `CDN-Cache-Control`: a dictionary (RFC 9213 section 2.1, RFC 9651). Parameters are passed over.
 * A string where a number is due keeps its quotes, and so is none.
 * @param name the field to read, in lower case
 * @returns `undefined` where it isn't there, is empty or can't be read: then the next one applies (section 2.2). `no-store` where nobody can tell
 * what it says, for its parser couldn't be loaded, for want of a file to open say: the next one may let everybody have it
 */
export function parseTargetedCacheControl(headers: readonly string[], name: string): Directives | undefined {
  let line: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i] as string
    if (field.length !== name.length || field.toLowerCase() !== name) continue
    line = line === undefined ? headers[i + 1] : `${line},${headers[i + 1]}`
  }
  if (line === undefined || line.trim() === '') return undefined
  let parser: StructuredHeaders
  try {
    parser = structuredHeaders()
  } catch {
    return new Map([['no-store', true]])
  }
  const found = new Map<string, string | true>()
  try {
    for (const [key, [value]] of parser.parseDictionary(line)) {
      if (value === false) continue
      found.set(key, textOf(key, value))
    }
  } catch {
    return undefined
  }
  return found
}

function textOf(key: string, value: unknown): string | true {
  if (value === true) return true
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return listed.has(key) ? value : `"${value}"`
  return value instanceof structuredHeaders().Token ? value.toString() : '()'
}
