/** A range of an `Accept` field that takes a type, and how well it fits: 1 for any type, 2 for `text/*`, 3 for the type itself. */
interface Range {
  readonly type: string
  readonly subtype: string
  readonly q: number
  readonly at: number
}

/**
 * The type that a client would rather have (RFC 9110 section 12.5.1). Of types with the same weight the one named more
 * exactly counts, then the one named first, then the first of `types`. Without the field, or where it is none, every type
 * is as good as another.
 * @param accept the field's value; several fields joined by commas
 * @param types what there is, in lower case without parameters, the server's favourite first
 * @returns `undefined` if the client takes none of them
 */
export function preferredType<T extends string>(
  accept: string | undefined,
  types: readonly T[],
): T | undefined {
  const ranges = accept === undefined ? [] : rangesOf(accept)
  if (ranges.length === 0) return types[0]
  let best: T | undefined
  let bestRange: Range | undefined
  for (const type of types) {
    const range = rangeFor(type, ranges)
    if (range === undefined || range.q === 0) continue
    if (bestRange === undefined || isBetter(range, bestRange)) {
      best = type
      bestRange = range
    }
  }
  return best
}

/** The most exact range that takes a type decides on it. */
function rangeFor(name: string, ranges: readonly Range[]): Range | undefined {
  const slash = name.indexOf('/')
  const type = name.slice(0, slash)
  const subtype = name.slice(slash + 1)
  let best: Range | undefined
  for (const range of ranges) {
    if (range.type !== '*' && range.type !== type) continue
    if (range.subtype !== '*' && range.subtype !== subtype) continue
    if (best === undefined || exactness(range) > exactness(best)) best = range
  }
  return best
}

function isBetter(a: Range, b: Range): boolean {
  if (a.q !== b.q) return a.q > b.q
  const by = exactness(a) - exactness(b)
  return by !== 0 ? by > 0 : a.at < b.at
}

function exactness({ type, subtype }: Range): number {
  if (type === '*') return 1
  return subtype === '*' ? 2 : 3
}

/** Members that can't be read are left out: one that is wrong says nothing of the others. */
function rangesOf(accept: string): Range[] {
  const ranges: Range[] = []
  // A comma or a semicolon in quotes belongs to a parameter's value.
  const members = accept.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g) ?? []
  members.forEach((member, at) => {
    const [name = '', ...parameters] = member.match(/(?:[^;"]|"(?:[^"\\]|\\.)*"?)+/g) ?? []
    const [, type, subtype] = /^\s*([!#$%&'*+.^`|~\w-]+)\/([!#$%&'*+.^`|~\w-]+)\s*$/.exec(name) ?? []
    if (type === undefined || subtype === undefined || (type === '*' && subtype !== '*')) return
    let q = 1
    for (const parameter of parameters) {
      const weight = /^\s*q\s*=(.*)$/is.exec(parameter)?.[1]?.trim()
      if (weight === undefined) continue
      // RFC 9110 section 12.4.2: at most three decimals, and nothing above 1.
      if (!/^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(weight)) return
      q = Number(weight)
    }
    ranges.push({ type: type.toLowerCase(), subtype: subtype.toLowerCase(), q, at })
  })
  return ranges
}
