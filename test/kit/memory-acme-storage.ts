import type { AcmeStorage } from '@sluice/acme'

/** A storage of tests: two may share `values`, as two processes do. */
export interface MemoryAcmeStorage extends AcmeStorage {
  readonly values: Map<string, string>
  /** What each call of these names does in place of what it should: throw, or hang. */
  trouble: { readonly calls: readonly string[]; readonly what: 'throw' | 'hang' } | undefined
}

/**
 * @param now by what locks lapse
 * @param shared of another one
 */
export function memoryAcmeStorage(
  now: () => number,
  { values, locks }: { values: Map<string, string>; locks: Map<string, { until: number }> } = {
    values: new Map(),
    locks: new Map(),
  },
): MemoryAcmeStorage {
  const call = async <T>(name: string, give: () => T): Promise<T> => {
    const { trouble } = storage
    if (trouble !== undefined && (trouble.calls.includes(name) || trouble.calls.includes('all'))) {
      if (trouble.what === 'hang') return new Promise(() => {})
      throw new Error(`${name} does not work`)
    }
    return give()
  }
  const storage: MemoryAcmeStorage = {
    values,
    trouble: undefined,
    get: (key) => call('get', () => values.get(key)),
    set: (key, value) => call('set', () => void values.set(key, value)),
    delete: (key) => call('delete', () => void values.delete(key)),
    list: (prefix) => call('list', () => [...values.keys()].filter((key) => key.startsWith(prefix))),
    lock: (name, ttl) =>
      call('lock', () => {
        const other = locks.get(name)
        if (other !== undefined && other.until > now()) return undefined
        const mine = { until: now() + ttl }
        locks.set(name, mine)
        const held = (): boolean => locks.get(name) === mine && mine.until > now()
        return {
          extend: (ms) =>
            call('extend', () => {
              const is = held()
              if (is) mine.until = now() + ms
              return is
            }),
          release: () =>
            call('release', () => {
              if (locks.get(name) === mine) locks.delete(name)
            }),
        }
      }),
  }
  return storage
}
