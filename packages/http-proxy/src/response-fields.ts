import type { IncomingMessage } from 'node:http'
import { groupByName, type HeaderList } from '@sluice/headers'

/** Fields with all their values, by lower-case names: those that Node joins or drops are whole. */
export function wholeFields(raw: readonly string[]): IncomingMessage['headers'] {
  const fields: IncomingMessage['headers'] = Object.create(null)
  for (const [name, value] of groupByName(raw as HeaderList)) {
    const lower = name.toLowerCase()
    fields[lower] = (lower === 'set-cookie' ? [value].flat() : value) as string
  }
  return fields
}

/**
 * The fields of an answer: what http-proxy has set, with the names, in the order and as the lines in which the target has sent
 * them. What it has taken away is left out, what it has added stands last.
 * @param raw as the target has sent them
 * @param set as http-proxy has set them, each name once
 */
export function responseFields(
  raw: readonly string[],
  set: readonly (readonly [name: string, values: readonly string[]])[],
): HeaderList {
  const left = new Map<string, { name: string; values: readonly string[]; at: number }>()
  for (const [name, values] of set) left.set(name.toLowerCase(), { name, values, at: 0 })
  const list: HeaderList = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const field = left.get(name.toLowerCase())
    if (field !== undefined && field.at < field.values.length)
      list.push(name, field.values[field.at++] as string)
  }
  for (const { name, values, at } of left.values())
    for (const value of values.slice(at)) list.push(name, value)
  return list
}
