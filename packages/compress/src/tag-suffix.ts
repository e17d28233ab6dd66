/**
 * Names of codings that a tag may end in: those of this package, made by any Node and in any version. A tag may come back to another
 * process than the one that gave it.
 */
const suffix = /--(zstd|br|gzip|deflate|dcb|dcz)$/

/** The entity tag of the coded form of what has the tag `etag`: `"x"` is `"x--gzip"`. */
export function withSuffix(etag: string, coding: string): string {
  return `${etag.slice(0, -1)}--${coding}"`
}

/**
 * What stands between the quotes of a tag, without the coding at its end.
 * @param coding that one alone; any where it's left out
 * @returns `undefined` where it doesn't end in it
 */
export function withoutSuffix(tag: string, coding?: string): string | undefined {
  const found = suffix.exec(tag)
  if (found === null || (coding !== undefined && found[1] !== coding)) return undefined
  return tag.slice(0, found.index)
}
