import type { KeySettings } from './key-options.js'

type QuerySettings = NonNullable<KeySettings['query']>

/**
 * Makes an edit of the query for the key: of `?…`, or of nothing. What remains keeps its bytes and, unless sorted, its order. A parameter is
 * left out only where every target that might read it would read the one that was named.
 */
export function keyQuery({ ignore, only, sort }: QuerySettings): (query: string) => string {
  const ignored = matcher(ignore.map(asBytes))
  const named = only === undefined ? undefined : matcher(only.map((name) => asAnyTargetReads(asBytes(name))))
  return (query) => {
    if (query.length < 2) return ''
    const kept: string[] = []
    for (const parameter of query.slice(1).split('&')) {
      // A second parameter may hide behind a `;` (Ruby, Go before 1.17) or a second `?`, and must not get past the key with the first.
      if (/[;?]/.test(parameter)) {
        kept.push(parameter)
        continue
      }
      const name = nameOf(parameter)
      if (ignored(decoded(name))) continue
      if (named === undefined || named(asAnyTargetReads(name))) kept.push(parameter)
    }
    // Those of one name stay in their order, which tells a target the first from the last. The sort is stable.
    if (sort) kept.sort((a, b) => compare(nameOf(a), nameOf(b)))
    const joined = kept.join('&')
    return joined === '' ? '' : `?${joined}`
  }
}

function nameOf(parameter: string): string {
  const equals = parameter.indexOf('=')
  return equals === -1 ? parameter : parameter.slice(0, equals)
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** Whether a name is one of `names`, or begins as one of them that ends in `*`. */
function matcher(names: readonly string[]): (name: string) => boolean {
  const exact = new Set(names.filter((name) => !name.endsWith('*')))
  const starts = names.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1))
  return (name) => exact.has(name) || starts.some((start) => name.startsWith(start))
}

/** A plain name as its bytes, a character each: escapes of a query need not be UTF-8. */
function asBytes(name: string): string {
  return decoded(encodeURIComponent(name))
}

/** A name with its escapes read; what is no escape stays. A byte is a character here. */
function decoded(name: string): string {
  return name
    .replaceAll('+', ' ')
    .replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/**
 * One form for all names that some target takes for the same: ASP.NET is blind to case, PHP makes `_` of dots and blanks, cuts
 * leading blanks, and reads `id[]` as `id`; C cuts at a NUL; IIS knows `%u0069`; some decode twice.
 */
function asAnyTargetReads(name: string): string {
  return decoded(decoded(name).replace(/%u00([\da-f]{2})/gi, '%$1'))
    .replace(/^\s+|[[\0].*$/gs, '')
    .replace(/[.\s]/g, '_')
    .toLowerCase()
}
