import { fault, quote } from '@sluice/options'

/**
 * Holds a key of a storage to its form: what becomes a path must not lead out of its folder.
 * @throws TypeError, which never shows a value
 */
export function checkStorageKey(key: unknown, what: string): asserts key is string {
  const fits =
    typeof key === 'string' && /^[\w.*-]+(\/[\w.*-]+)*$/.test(key) && !/(^|\/)\.{1,2}(\/|$)/.test(key)
  if (!fits)
    throw new TypeError(
      fault(what, quote(key), "a key such as 'certificates/a.test/ecdsa': letters, digits, . - _ * and /"),
    )
}

/** @throws TypeError for what is no time to hold a lock for */
export function checkLockTime(ttl: unknown, what: string): asserts ttl is number {
  if (typeof ttl !== 'number' || !Number.isFinite(ttl) || ttl <= 0)
    throw new TypeError(fault(what, quote(ttl), 'milliseconds, more than 0'))
}
