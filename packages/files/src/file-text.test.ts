import { execFileSync } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { FileText } from './index.js'

trapUnhandled()
const own = owner()
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-text-'))
  own({ close: () => rmSync(folder, { recursive: true, force: true }) })
})

it('reads what is there, and again what has changed', async () => {
  const path = join(folder, 'a')
  writeFileSync(path, 'one')
  const file = new FileText(path, 100)
  expect(file.readNow()).toBe('one')
  expect(await file.look(false)).toBe('one')
  writeFileSync(`${path}.new`, 'two')
  renameSync(`${path}.new`, path)
  expect(await file.look(false)).toBe('two')
  rmSync(path)
  await expect(file.look(false)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(() => file.readNow()).toThrow('ENOENT')
  writeFileSync(path, 'three')
  expect(await file.look(false)).toBe('three')
})

it('reads what looks the same only if it is told of a change', async () => {
  const path = join(folder, 'a')
  writeFileSync(path, 'one')
  const file = new FileText(path, 100)
  expect(await file.look(true)).toBe('one')
  writeFileSync(path, 'two')
  // Now it is `stat` that tells, whatever the clock of the file system: another change of the inode.
  utimesSync(path, 1, 1)
  expect(await file.look(false)).toBe('two')
  expect(await file.look(true)).toBe('two')
})

it('reads no folder, no pipe without a writer, and nothing that is too long', async () => {
  const [pipe, long] = [join(folder, 'pipe'), join(folder, 'long')]
  execFileSync('mkfifo', [pipe])
  writeFileSync(long, '')
  truncateSync(long, 2 ** 33)
  for (const [path, says] of [
    [folder, `${folder}: this is no file`],
    [pipe, `${pipe}: this is no file`],
    [long, `${long}: this is longer than 100 bytes`],
  ] as const) {
    const file = new FileText(path, 100)
    expect(() => file.readNow()).toThrow(says)
    await expect(file.look(true)).rejects.toThrow(says)
  }
})
