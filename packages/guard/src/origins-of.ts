/** As much of an upstream as is needed here. */
export interface WithTargets {
  /** Its targets, another list each time they have changed. */
  readonly all: readonly { readonly url: string }[]
}

/**
 * What `origins` of `anonymity` may be: the URLs of the targets that these upstreams have now, as the same list for as long as none has
 * changed.
 * @param more URLs that targets call themselves by, too: the name that `Host` says to them, say
 */
export function originsOf(
  upstreams: Iterable<WithTargets>,
  more: readonly string[] = [],
): () => readonly string[] {
  const groups = [...upstreams]
  let seen: unknown[] = []
  let list: readonly string[] = more
  return () => {
    if (groups.length !== seen.length || groups.some(({ all }, i) => all !== seen[i])) {
      seen = groups.map(({ all }) => all)
      list = [...groups.flatMap(({ all }) => all.map(({ url }) => url)), ...more]
    }
    return list
  }
}
