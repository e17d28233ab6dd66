const nothing: readonly string[] = Object.freeze([])

/** Names of old that mean the same (RFC 9110 section 8.4.1). */
const aliases: ReadonlyMap<string, string> = new Map([
  ['x-gzip', 'gzip'],
  ['x-compress', 'compress'],
])

/**
 * The codings of a body in the order in which they were applied (RFC 9110 section 8.4), in lower case, `x-gzip` as `gzip`. Several lines
 * count as one. `identity` and empty members are left out: servers say so of bodies that aren't coded. What is no coding's name
 * stays, since whoever reads the body has to know that it isn't plain.
 * @returns an empty list, shared and frozen, where the body isn't coded
 */
export function contentCodings(headers: readonly string[]): readonly string[] {
  let found: string[] | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i] as string
    if (field.length !== 16 || field.toLowerCase() !== 'content-encoding') continue
    for (const member of (headers[i + 1] as string).split(',')) {
      const coding = member.trim().toLowerCase()
      if (coding === '' || coding === 'identity') continue
      found ??= []
      found.push(aliases.get(coding) ?? coding)
    }
  }
  return found ?? nothing
}
