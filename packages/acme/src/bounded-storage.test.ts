import { expect, it } from 'vitest'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { memoryAcmeStorage } from '../../../test/kit/memory-acme-storage.js'
import { BoundedStorage, StorageError } from './bounded-storage.js'

it('puts all keys under its prefix', async () => {
  const storage = memoryAcmeStorage(Date.now)
  const bounded = new BoundedStorage(storage, 'ca/', handTimers().after)
  await bounded.set('a', '1')
  expect([...storage.values]).toEqual([['ca/a', '1']])
  expect(await bounded.list('')).toEqual(['a'])
  expect(await bounded.get('a')).toBe('1')
  await bounded.delete('a')
  expect(storage.values.size).toBe(0)
})

it.each(['get', 'set', 'delete', 'list', 'lock'] as const)(
  'has %s fail when it hangs or throws, and leaves no timer',
  async (call) => {
    const timers = handTimers()
    const storage = memoryAcmeStorage(Date.now)
    const bounded = new BoundedStorage(storage, 'ca/', timers.after)
    const ask = (): Promise<unknown> =>
      call === 'set' || call === 'lock' ? bounded[call]('k', 1 as never) : bounded[call]('k')
    storage.trouble = { calls: [call], what: 'hang' }
    const hangs = ask().catch((error: Error) => error)
    await timers.fire(10_000)
    expect(await hangs).toBeInstanceOf(StorageError)
    expect(String(await hangs)).toBe(`StorageError: acme storage: ${call} k: no answer within 10000 ms`)
    storage.trouble = { calls: [call], what: 'throw' }
    await expect(ask()).rejects.toThrow(`acme storage: ${call} k: ${call} does not work`)
    expect(timers.waits).toEqual([])
  },
)

it('gives back a lock that comes when nobody waits for it any more', async () => {
  const timers = handTimers()
  let give = (_lock: { extend(): Promise<boolean>; release(): Promise<void> }): void => {}
  const storage = {
    ...memoryAcmeStorage(Date.now),
    lock: () =>
      new Promise<never>((resolve) => {
        give = resolve as never
      }),
  }
  const late = new BoundedStorage(storage, '', timers.after).lock('a', 1_000).catch(() => 'failed')
  await timers.fire(10_000)
  expect(await late).toBe('failed')
  const released = new Promise<void>((resolve) => {
    give({ extend: async () => true, release: async () => resolve() })
  })
  await released
})

it('asks for so much at the same time and no more, and for all of it in the end', async () => {
  const storage = memoryAcmeStorage(Date.now)
  let now = 0
  let most = 0
  const get = async () => {
    most = Math.max(most, ++now)
    await new Promise((resolve) => setImmediate(resolve))
    now--
    return 'x'
  }
  const bounded = new BoundedStorage({ ...storage, get }, '', handTimers().after)
  const all = await Promise.all(Array.from({ length: 1_000 }, (_, i) => bounded.get(`k${i}`)))
  expect(new Set(all)).toEqual(new Set(['x']))
  expect(most).toBeLessThanOrEqual(64)
})
