/** Header fields as they were sent: name, value, name, value. Case, order and repeated fields are kept. */
export type HeaderList = string[]

/**
 * Whether a field has this name, in whatever case. Many names are of one length, and to fold the case of one takes a new text: those that
 * begin otherwise are told apart before.
 * @param lower in lower case
 */
export function isNamed(name: string, lower: string): boolean {
  return (
    name.length === lower.length &&
    (name.charCodeAt(0) | 32) === (lower.charCodeAt(0) | 32) &&
    (name === lower || name.toLowerCase() === lower)
  )
}

/** The first value of a field, if it is there. `name` in lower case. */
export function get(list: readonly string[], name: string): string | undefined {
  for (let i = 0; i < list.length; i += 2) if (isNamed(list[i] as string, name)) return list[i + 1]
  return undefined
}

/** Every value of a field, in order. `name` in lower case. */
export function getAll(list: readonly string[], name: string): string[] {
  const values: string[] = []
  for (let i = 0; i < list.length; i += 2)
    if (isNamed(list[i] as string, name)) values.push(list[i + 1] as string)
  return values
}

/** Whether a field is there. `name` in lower case. */
export function has(list: readonly string[], name: string): boolean {
  return get(list, name) !== undefined
}

/** Adds a field at the end, beside those of its name. Edits `list` and returns it. */
export function append(list: HeaderList, name: string, value: string): HeaderList {
  list.push(name, value)
  return list
}

/** Sets a field to one value, in the place of the first of its name. Edits `list` and returns it. */
export function set(list: HeaderList, name: string, value: string): HeaderList {
  const lower = name.toLowerCase()
  let to = 0
  let done = false
  for (let i = 0; i < list.length; i += 2) {
    const match = isNamed(list[i] as string, lower)
    if (match && done) continue
    list[to] = match ? name : (list[i] as string)
    list[to + 1] = match ? value : (list[i + 1] as string)
    to += 2
    if (match) done = true
  }
  list.length = to
  if (!done) list.push(name, value)
  return list
}

/** Removes every field of a name. Edits `list` and returns it. */
export function remove(list: HeaderList, name: string): HeaderList {
  const lower = name.toLowerCase()
  let to = 0
  for (let i = 0; i < list.length; i += 2) {
    if (isNamed(list[i] as string, lower)) continue
    list[to++] = list[i] as string
    list[to++] = list[i + 1] as string
  }
  list.length = to
  return list
}
