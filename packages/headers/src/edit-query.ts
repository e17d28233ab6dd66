/** What to do to a query, in this order: `only`, `remove`, `set`, `append`. Names and values are plain, not encoded. */
export interface QueryRules {
  /** Parameters that may pass; all others go. */
  readonly only?: readonly string[]
  /** Parameters that go. */
  readonly remove?: readonly string[]
  /** Takes the place of the first parameter of that name and removes the others; goes to the end where there is none. */
  readonly set?: Readonly<Record<string, string>>
  /** Goes to the end, whatever is there. */
  readonly append?: Readonly<Record<string, string>>
}

/**
 * Makes an edit of request-targets' queries. Without any rule a target comes out byte for byte as it went in.
 *
 * With a rule a query comes out clean even if no rule changed it: parameters that don't parse are dropped, which are those
 * with a `;`, a `#` or a bad escape such as `%zz`, and empty ones. The target may read `a=1;secret=2` as two parameters,
 * and would get the one that a rule removes (so does Go's ReverseProxy). A `#` ahead of the query goes with all behind it: who cuts a
 * fragment off would not see what a rule sets. What parses keeps its order and its bytes. Names
 * compare decoded, `+` as a blank; a query that ends empty goes with its `?`.
 * @throws URIError for a name or value that isn't well-formed UTF-16
 */
export function editQuery(rules: QueryRules): (target: string) => string {
  const only = rules.only === undefined ? undefined : new Set(rules.only.map(asBytes))
  const set = Object.entries(rules.set ?? {}).map(
    ([name, value]) => [asBytes(name), pair(name, value)] as const,
  )
  const removed = new Set((rules.remove ?? []).map(asBytes))
  const replacing = new Map(set)
  const appended = Object.entries(rules.append ?? {}).map(([name, value]) => pair(name, value))
  if (only === undefined && removed.size === 0 && set.length === 0 && appended.length === 0)
    return (target) => target

  return (target) => {
    const start = target.search(/[?#]/)
    const query = target[start] === '?' ? target.slice(start + 1) : ''
    const out: string[] = []
    const done = new Set<string>()
    for (const parameter of query.split('&')) {
      if (!parses(parameter)) continue
      const equals = parameter.indexOf('=')
      const name = decoded(equals === -1 ? parameter : parameter.slice(0, equals))
      const value = replacing.get(name)
      if (value !== undefined) {
        if (!done.has(name)) out.push(value)
        done.add(name)
      } else if (!removed.has(name) && (only === undefined || only.has(name))) {
        out.push(parameter)
      }
    }
    for (const [name, value] of set) if (!done.has(name)) out.push(value)
    out.push(...appended)
    const path = start === -1 ? target : target.slice(0, start)
    return out.length === 0 ? path : `${path}?${out.join('&')}`
  }
}

function parses(parameter: string): boolean {
  return parameter !== '' && !/[;#]|%(?![\da-f]{2})/i.test(parameter)
}

function pair(name: string, value: string): string {
  return `${encodeURIComponent(name)}=${encodeURIComponent(value)}`
}

/** A plain name as its bytes, a character each: escapes of a query need not be UTF-8. */
function asBytes(name: string): string {
  return decoded(encodeURIComponent(name))
}

function decoded(name: string): string {
  return name
    .replaceAll('+', ' ')
    .replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
