import type { Target } from '@sluice/upstream'

/**
 * Makes something of a list of targets once, and keeps it as long as the list lives. Lists are told apart by identity: an upstream
 * has another one whenever membership, health or a weight has changed.
 */
export function perList<T>(make: (list: readonly Target[]) => T): (list: readonly Target[]) => T {
  const known = new WeakMap<readonly Target[], { readonly made: T }>()
  let last: readonly Target[] | undefined
  let made: T | undefined
  return (list) => {
    if (list === last) return made as T
    let found = known.get(list)
    if (found === undefined) {
      found = { made: make(list) }
      known.set(list, found)
    }
    last = list
    made = found.made
    return found.made
  }
}

/** Targets in the order of their ids: what is made of it is the same whatever order a list came in, in every proxy. */
export function byId(list: readonly Target[]): Target[] {
  return [...list].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
}
