const watchers = new WeakMap<object, Set<() => void>>()

/**
 * Hears that connections are used no more, so that they can be closed: those without an exchange at once. For transports.
 * @param key what they are kept by, see `connectionKey`; a target is one
 * @returns the undo
 */
export function onRetire(key: object, fn: () => void): () => void {
  let set = watchers.get(key)
  if (set === undefined) {
    set = new Set()
    watchers.set(key, set)
  }
  set.add(fn)
  return () => void set.delete(fn)
}

/** Says that those are used no more that are kept by this key. */
export function retireKey(key: object): void {
  for (const fn of [...(watchers.get(key) ?? [])]) fn()
}
