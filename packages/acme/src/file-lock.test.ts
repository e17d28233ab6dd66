import { mkdtempSync, readdirSync, rmdirSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { until } from '../../../test/kit/until.js'
import { FileLock } from './file-lock.js'

/** What happens between the making of a folder and of the claim in it. */
const meanwhile = vi.hoisted(() => ({ happens: (): void => {} }))

vi.mock('node:fs/promises', async (original) => {
  const fs = await original<typeof import('node:fs/promises')>()
  const open: typeof fs.open = (...args) => {
    meanwhile.happens()
    return fs.open(...args)
  }
  return { ...fs, open }
})

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-lock-'))
})
afterEach(() => {
  meanwhile.happens = () => {}
  vi.useRealTimers()
  rmSync(root, { recursive: true, force: true })
})

it.each([
  [3, true],
  [1_000, false],
])('a folder that others remove %i times under a claim: held is %s', async (times, held) => {
  const folder = join(root, 'a')
  let left = times
  meanwhile.happens = () => {
    if (left-- > 0) rmdirSync(folder)
  }
  const lock = await FileLock.take(folder, 60_000)
  expect(lock !== undefined).toBe(held)
  await lock?.release()
  expect(readdirSync(root)).toEqual([])
})

it('a folder that can not be made is a fault', async () => {
  symlinkSync(join(root, 'gone', 'a'), join(root, 'a'))
  await expect(FileLock.take(join(root, 'a'), 60_000)).rejects.toMatchObject({ code: 'ENOENT' })
})

/** Taken by a clock that was a day ahead, and is right since. */
async function takenTomorrow(ttl: number): Promise<FileLock> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 86_400_000 })
  const lock = await FileLock.take(join(root, 'a'), ttl)
  vi.useRealTimers()
  if (lock === undefined) throw new Error('it should be free')
  return lock
}

it('taken by a clock that was set back since ends by its time, and not only when the clock is there again', async () => {
  const lost = await takenTomorrow(100)
  expect(await FileLock.take(join(root, 'a'), 60_000)).toBeUndefined()
  const lock = await until(() => FileLock.take(join(root, 'a'), 60_000), 'the lock')
  expect(await lost.extend(60_000)).toBe(false)
  expect(await lock.extend(60_000)).toBe(true)
})

it('taken by a clock that was set back since is lost where its time was over, though nobody has taken it', async () => {
  const lock = await takenTomorrow(100)
  expect(await FileLock.take(join(root, 'a'), 60_000)).toBeUndefined()
  const [claim] = readdirSync(join(root, 'a'))
  await until(() => statSync(join(root, 'a', claim as string)).mtimeMs < Date.now(), 'its end')
  expect(await lock.extend(60_000)).toBe(false)
})

it('taken by a clock that was set back since is held by who extends it', async () => {
  const lock = await takenTomorrow(60_000)
  expect(await FileLock.take(join(root, 'a'), 60_000)).toBeUndefined()
  expect(await lock.extend(60_000)).toBe(true)
  expect(await FileLock.take(join(root, 'a'), 60_000)).toBeUndefined()
  await lock.release()
  expect(await FileLock.take(join(root, 'a'), 60_000)).toBeDefined()
})
