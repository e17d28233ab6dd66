import { type HeaderList, isFieldName, isFieldValue } from '@sluice/headers'

/** Fields as Node gives them: one entry a name in lower case. */
export type FieldObject = Record<string, string | number | readonly string[] | undefined>

/** What the framing of the connection is; who sends the message says that. */
const ofConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Fields of which Node keeps the first alone. */
const single = new Set([
  'age',
  'authorization',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent',
])

/** A list as the object that Node makes of it. */
export function toFieldObject(list: Readonly<HeaderList>): FieldObject {
  const fields: FieldObject = {}
  for (let i = 0; i < list.length; i += 2) {
    const name = (list[i] as string).toLowerCase()
    const value = list[i + 1] as string
    const present = own(fields, name)
    if (name === 'set-cookie')
      fields[name] = present === undefined ? [value] : [...(present as string[]), value]
    else if (present === undefined) fields[name] = value
    else if (!single.has(name))
      fields[name] = `${present as string}${name === 'cookie' ? '; ' : ', '}${value}`
  }
  return fields
}

/**
 * The list with what somebody has changed in the object that was made of it: what was left alone keeps its case, its order and
 * its repeated fields, which the object can't hold.
 * @param before the object as it was
 */
export function reconcile(list: HeaderList, now: FieldObject, before: FieldObject): HeaderList {
  const out: HeaderList = []
  const done = new Set<string>()
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string
    const lower = name.toLowerCase()
    const value = own(now, lower)
    if (isSame(value, own(before, lower))) {
      done.add(lower)
      out.push(name, list[i + 1] as string)
    } else if (!done.has(lower)) {
      done.add(lower)
      addField(out, name, value)
    }
  }
  for (const key of Object.keys(now)) {
    const lower = key.toLowerCase()
    if (done.has(lower) || Object.hasOwn(before, lower)) continue
    if (ofConnection.has(lower) || key.charCodeAt(0) === 58) continue
    addField(out, key, now[key])
  }
  return out
}

/** Adds a field with each of its values. `undefined` is none. @throws TypeError for what HTTP forbids */
export function addField(list: HeaderList, name: string, value: FieldObject[string] | null): void {
  if (value === undefined || value === null) return
  checkName(name)
  if (Array.isArray(value)) for (const each of value) list.push(name, checkValue(name, each))
  else list.push(name, checkValue(name, value))
}

/** @throws TypeError as Node's own messages do */
function checkName(name: unknown): void {
  if (typeof name !== 'string' || !isFieldName(name))
    throw Object.assign(new TypeError(`a header name must be a token, got ${JSON.stringify(name)}`), {
      code: 'ERR_INVALID_HTTP_TOKEN',
    })
}

function checkValue(name: string, value: unknown): string {
  const text = String(value)
  if (value === undefined || !isFieldValue(text))
    throw Object.assign(new TypeError(`a value of the header ${name} holds what HTTP forbids`), {
      code: value === undefined ? 'ERR_HTTP_INVALID_HEADER_VALUE' : 'ERR_INVALID_CHAR',
    })
  return text
}

/** A field may have the name of what all objects have: `constructor`. */
function own(fields: FieldObject, name: string): FieldObject[string] {
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

function isSame(a: FieldObject[string], b: FieldObject[string]): boolean {
  if (a === b) return true
  return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((each, i) => each === b[i])
}
