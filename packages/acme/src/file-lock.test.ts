import { mkdtempSync, readdirSync, rmdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
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
