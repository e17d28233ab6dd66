import type { AcmeStorage } from './acme-storage.js'
import { StorageError } from './bounded-storage.js'
import type { ManagerSeams } from './manager-seams.js'

/**
 * Does `what` with a lock, which is extended as long as that takes.
 * @param what hears by its signal when the lock is lost, which it then no longer has alone
 * @returns `false` where somebody else has it
 */
export async function withLock(
  storage: AcmeStorage,
  name: string,
  { after, lease }: Pick<ManagerSeams, 'after' | 'lease'>,
  what: (lost: AbortSignal) => Promise<void>,
): Promise<boolean> {
  const lock = await storage.lock(name, lease)
  if (lock === undefined) return false
  const lost = new AbortController()
  const lose = (cause: unknown): void => lost.abort(new StorageError(`extend ${name}`, cause))
  let over = false
  let cancel = (): void => {}
  const extend = (): void => {
    lock.extend(lease).then((held) => {
      if (!held) lose(new Error('the lock was lost'))
      else if (!over) cancel = after(lease / 3, extend)
    }, lose)
  }
  cancel = after(lease / 3, extend)
  try {
    await what(lost.signal)
  } finally {
    over = true
    cancel()
    // It comes free by itself.
    await lock.release().catch(() => {})
  }
  return true
}
