/** Paths, with `*` for any run of characters: what a URL pattern (RFC 9842 section 2.1.1) and this proxy read alike. */
export class PathPattern {
  private readonly parts: readonly string[]

  /** @param text as {@link isPathPattern} takes it */
  constructor(readonly text: string) {
    this.parts = text.split('*')
  }

  /** Takes time that grows with the path's length for each `*`, whatever stands in it. */
  matches(path: string): boolean {
    const { parts } = this
    const first = parts[0] as string
    if (parts.length === 1) return path === first
    const last = parts.at(-1) as string
    if (path.length < first.length + last.length || !path.startsWith(first) || !path.endsWith(last))
      return false
    const end = path.length - last.length
    let at = first.length
    for (let i = 1; i < parts.length - 1; i++) {
      const part = parts[i] as string
      const found = path.indexOf(part, at)
      if (found === -1 || found + part.length > end) return false
      at = found + part.length
    }
    return true
  }
}

/**
 * Whether a text is a pattern here. Browsers read it as a URL pattern, in which more characters than `*` have a meaning: what two might
 * read in two ways is none. `//` would begin a host.
 */
export function isPathPattern(value: unknown): value is string {
  return typeof value === 'string' && /^\/(?!\/)[\w\-.~!$&',;=@%/*]*$/.test(value)
}
