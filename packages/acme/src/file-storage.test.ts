import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { acmeStorageSuite } from '../../../test/kit/acme-storage-suite.js'
import { owner } from '../../../test/kit/owner.js'
import { program } from '../../../test/kit/program.js'
import { until } from '../../../test/kit/until.js'
import { fileStorage } from './file-storage.js'

acmeStorageSuite('fileStorage', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'acme-'))
  return {
    storage: fileStorage(folder),
    other: fileStorage(folder),
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
})

describe('fileStorage', () => {
  const own = owner()
  const folders = () => {
    const path = mkdtempSync(join(tmpdir(), 'acme-'))
    own({ close: () => rmSync(path, { recursive: true, force: true }) })
    return path
  }
  const script = fileURLToPath(new URL('../../../test/conformance/acme-lock-process.mjs', import.meta.url))
  const start = (folder: string, turns: number, ttl: number) =>
    own(program([script, folder, String(turns), String(ttl)]))

  it('keeps everything from others than its owner, and leaves nothing half written', async () => {
    const folder = join(folders(), 'not', 'there', 'yet')
    const storage = fileStorage(folder)
    await storage.set('certificates/*.a.test/ecdsa', 'secret')
    await storage.set('certificates.json/x', 'secret')
    await storage.set('certificates', 'secret')
    const lock = await storage.lock('a', 60_000)
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const { mode } = statSync(join(entry.parentPath, entry.name))
      expect(mode & 0o777).toBe(entry.isDirectory() ? 0o700 : 0o600)
    }
    expect(readdirSync(join(folder, 'new'))).toEqual([])
    expect(await storage.list('')).toEqual([
      'certificates',
      'certificates.json/x',
      'certificates/*.a.test/ecdsa',
    ])
    await lock?.release()
    expect(readdirSync(join(folder, 'locks'))).toEqual([])
  })

  it('removes what a killed process has left of a file, when it is an hour old', async () => {
    const folder = folders()
    mkdirSync(join(folder, 'new'))
    const [old, young] = ['old', 'young'].map((name) => join(folder, 'new', name))
    for (const file of [old, young]) writeFileSync(file as string, 'half')
    utimesSync(old as string, 0, Date.now() / 1_000 - 3_700)
    await fileStorage(folder).set('a', 'b')
    expect(readdirSync(join(folder, 'new'))).toEqual(['young'])
  })

  it('says what it can not do, and shows no value', async () => {
    const folder = folders()
    writeFileSync(join(folder, 'values'), 'a file where a folder should be')
    const storage = fileStorage(folder)
    const failed = await storage.set('a', 'my secret').catch((error: Error) => error.message)
    expect(failed).toMatch(/EEXIST|ENOTDIR/)
    expect(failed).not.toContain('secret')
    expect(readdirSync(folder).filter((name) => name !== 'values' && name !== 'new')).toEqual([])
  })

  it.each([undefined, '', 7, 'a\0'])('is not made of %j', (folder) => {
    expect(() => fileStorage(folder as string)).toThrow(/^fileStorage: got .* takes a folder's name/)
  })

  it('never gives a lock to two of four processes', async () => {
    const folder = folders()
    const all = Array.from({ length: 4 }, () => start(folder, 15, 60_000))
    await Promise.all(all.map((each) => each.says(/done/)))
    expect(all.map(({ output }) => output)).toEqual(Array(4).fill('done\n'))
  }, 30_000)

  it('gives the lock of a process that was killed to another, when its time is over', async () => {
    const folder = folders()
    const storage = fileStorage(folder)
    const killed = start(folder, 1e9, 1_500)
    // It holds it nearly always.
    await until(() => existsSync(join(folder, 'guarded')), 'the other process to hold it')
    killed.signalGroup('SIGKILL')
    await killed.ended
    const lock = await until(() => storage.lock('a/*.test', 60_000), 'the lock')
    expect(await lock.extend(60_000)).toBe(true)
  })
})
