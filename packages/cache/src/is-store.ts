/** What every store has. */
const methods = ['get', 'put', 'touch', 'delete', 'purge', 'close'] as const

/** Names of the methods of a store that a value hasn't: none for a store. */
export function lackingOfStore(value: unknown): string[] {
  const has = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  return methods.filter((name) => typeof has[name] !== 'function')
}

/** Whether a value has all that a cache calls of a store. */
export function isStore(value: unknown): boolean {
  return lackingOfStore(value).length === 0
}
