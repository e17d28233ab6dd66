import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, it } from 'vitest'
import { heapInUse } from '../../../test/kit/heap.js'
import { freeMemory } from './free-memory.js'

it('holds nothing of the request that is the first to free memory', async () => {
  const storage = new AsyncLocalStorage<object>()
  const first = (): WeakRef<object> => {
    const store = {}
    storage.run(store, freeMemory, new ArrayBuffer(16))
    return new WeakRef(store)
  }
  const ref = first()
  await heapInUse()
  expect(ref.deref()).toBeUndefined()
})

it('empties a buffer, whoever refers to it, and does nothing a second time', () => {
  const bytes = Buffer.allocUnsafeSlow(64 * 1024).fill('x')
  const part = bytes.subarray(10, 20)
  const { buffer } = bytes
  freeMemory(buffer)
  freeMemory(buffer)
  expect([bytes.length, part.length, buffer.byteLength]).toEqual([0, 0, 0])
})

it('gives its memory back without a collection', async () => {
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 200; i++) freeMemory(Buffer.allocUnsafeSlow(64 * 1024).fill('x').buffer)
  // 12.5 MB were made. Of what else goes on here there is never so much.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024)
})

it('leaves memory alone that several may share', () => {
  const shared = new SharedArrayBuffer(16)
  freeMemory(shared)
  expect(shared.byteLength).toBe(16)
})

it('keeps no process open', () => {
  freeMemory(new ArrayBuffer(16))
  expect(process.getActiveResourcesInfo()).not.toContain('MessagePort')
})
