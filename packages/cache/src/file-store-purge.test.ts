import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type FileCall, faultyFiles, systemError } from '../../../test/kit/faulty-files.js'
import { owner } from '../../../test/kit/owner.js'
import { bodyBytes, entryHead, pattern } from '../../../test/kit/store-entries.js'
import { type StoreFolder, storeFolder } from '../../../test/kit/store-folder.js'
import { deferred, until } from '../../../test/kit/until.js'
import { folderOf, hashOf, leafOf } from './file-names.js'
import { type EntryHead, type FileStore, fileStore } from './index.js'

const own = owner()
const large = 300_000
const other = 'http://other.example/'

afterEach(() => {
  vi.useRealTimers()
})

/** What the file system refuses, while it does: a code, and the calls that it goes with. */
class Faults {
  code: string | undefined = undefined
  readonly calls: FileCall[] = []

  constructor(private readonly refused: (call: FileCall) => boolean = changes) {}

  readonly before = (call: FileCall): void => {
    this.calls.push(call)
    if (this.code !== undefined && this.refused(call)) throw systemError(this.code, call.call)
  }

  /** How many calls of a kind there were. */
  count(call: FileCall['call']): number {
    return this.calls.filter((each) => each.call === call).length
  }
}

/** What a file system refuses that can't be written. */
function changes({ call, flags }: FileCall): boolean {
  return call === 'unlink' || call === 'rename' || call === 'mkdir' || (call === 'open' && flags !== 'r')
}

/** What a folder refuses that is closed to us: the files in it can be written. */
function changesOfNames({ call, flags }: FileCall): boolean {
  return call === 'unlink' || call === 'rename' || call === 'mkdir' || flags === 'wx'
}

function again(folder: StoreFolder, before: (call: FileCall) => void | Promise<void> = () => {}): FileStore {
  return own(fileStore({ folder: folder.path }, { fs: faultyFiles(before) }))
}

async function started(
  before?: (call: FileCall) => void | Promise<void>,
): Promise<{ store: FileStore; folder: StoreFolder }> {
  const folder = own(await storeFolder())
  return { folder, store: again(folder, before) }
}

async function put(
  store: FileStore,
  key: string,
  size = 10,
  head: EntryHead = entryHead(),
): Promise<EntryHead> {
  const writer = store.put(key, head)
  writer?.write(pattern(size, size))
  await writer?.commit()
  return head
}

/** A folder with `k`, what else is of its URL, and `other` in it, for a store to begin with. */
async function filled(...more: string[]): Promise<StoreFolder> {
  const { store, folder } = await started()
  for (const key of ['k', ...more]) await put(store, key)
  await put(store, 'other', 10, entryHead({ url: other }))
  await store.close()
  return folder
}

const { url } = entryHead()

/** The error of a purge that was to fail. */
async function failure(purged: Promise<unknown>): Promise<NodeJS.ErrnoException> {
  return purged.then(
    () => expect.fail('it was to reject'),
    (error: NodeJS.ErrnoException) => error,
  )
}

/** What has become of a purge: how many, or what it says. */
async function outcome(purged: Promise<number>): Promise<number | string> {
  return purged.catch((error: Error) => error.message)
}

/** What is there after a restart. */
async function found(folder: StoreFolder, keys: string[]): Promise<(EntryHead | undefined)[]> {
  const store = fileStore({ folder: folder.path })
  await store.ready()
  const heads = await Promise.all(keys.map(async (key) => (await store.get(key))?.head))
  await store.close()
  return heads
}

describe.each([false, true])('a file store that cannot change its files, purged with soft %s,', (soft) => {
  it.each(['EROFS', 'EACCES', 'EPERM', 'EIO'])('says so, for %s, and tries again', async (code) => {
    const faults = new Faults()
    const { store, folder } = await started(faults.before)
    await put(store, 'k')
    const [file] = folder.files()
    await put(store, 'other', 10, entryHead({ url: other }))
    faults.code = code
    const error = await failure(store.purge({ url }, soft))
    expect(error.code).toBe(code)
    expect(error.message).toContain(
      `not all is purged from ${folder.path}: ${file} (${code}) can't be removed`,
    )
    expect(error.message).toContain('purge again')
    expect(await store.get('k')).toBeUndefined()
    expect(store.stats).toMatchObject({ entries: 1, unremoved: 1, unread: 0 })
    // A purge of something else has nothing to tell.
    expect(await store.purge({ url: 'http://c.example/' }, soft)).toBe(0)
    await expect(store.purge({ url }, soft)).rejects.toThrow(code)
    await expect(store.purge({ prefix: 'http://a.ex' }, soft)).rejects.toThrow(code)
    await expect(store.delete('k')).rejects.toThrow(code)
    faults.code = undefined
    expect(await store.purge({ url }, soft)).toBe(1)
    expect(await store.purge({ url }, soft)).toBe(0)
    expect(store.stats.unremoved).toBe(0)
    expect((await store.get('other'))?.head.url).toBe(other)
    expect(folder.files()).toHaveLength(1)
  })

  it('says so of what it finds at the start', async () => {
    const folder = await filled()
    const faults = new Faults()
    faults.code = 'EROFS'
    const gate = deferred()
    const store = again(folder, (call) => (call.call === 'readdir' ? gate.promise : faults.before(call)))
    const purged = failure(store.purge({ url }, soft))
    gate.resolve()
    expect((await purged).code).toBe('EROFS')
    expect(await store.get('k')).toBeUndefined()
    expect(store.stats).toMatchObject({ entries: 1, unremoved: 1 })
    faults.code = undefined
    await store.close()
    expect(folder.files()).toHaveLength(1)
  })

  it('rejects with one error, whatever it was that many', async () => {
    const faults = new Faults()
    const { store, folder } = await started(faults.before)
    for (let i = 0; i < 50; i++) await put(store, `k${i}`, 10, entryHead({ tags: [i < 40 ? 'low' : 'high'] }))
    faults.code = 'EROFS'
    expect((await failure(store.purge({ tag: 'low' }, soft))).message).toContain('40 files, the first /')
    expect(store.stats).toMatchObject({ entries: 10, unremoved: 40 })
    faults.code = undefined
    await store.close()
    expect(folder.files()).toHaveLength(10)
  })

  it('removes what stays once it can, though nobody purges again', async () => {
    const faults = new Faults()
    const { store, folder } = await started(faults.before)
    for (const key of ['k', 'l', 'm']) await put(store, key)
    faults.code = 'EROFS'
    await expect(store.purge({ url }, soft)).rejects.toThrow('EROFS')
    faults.code = undefined
    await put(store, 'other', 10, entryHead({ url: other }))
    await until(() => store.stats.unremoved === 0, 'the files to be gone')
    expect(folder.files()).toHaveLength(1)
  })

  it('serves what takes the place of it, and has nothing left to remove', async () => {
    const faults = new Faults()
    const { store } = await started(faults.before)
    await put(store, 'k')
    faults.code = 'EROFS'
    await expect(store.purge({ url }, soft)).rejects.toThrow('EROFS')
    await put(store, 'k', 30)
    expect(await store.get('k')).toBeUndefined()
    faults.code = undefined
    await put(store, 'k', 20)
    expect((await store.get('k'))?.size).toBe(20)
    expect(store.stats).toMatchObject({ entries: 1, unremoved: 0 })
  })

  it('does not count what would be of no use after a restart either', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const faults = new Faults()
    const { store, folder } = await started(faults.before)
    await put(store, 'k', 10, entryHead({ keepUntil: Date.now() + 1_000 }))
    await store.close()
    const next = again(folder, faults.before)
    await next.ready()
    expect(next.stats.entries).toBe(1)
    faults.code = 'EROFS'
    vi.setSystemTime(Date.now() + 2_000)
    expect(await next.purge({ url }, soft)).toBe(1)
    await next.close()
    const last = again(folder, faults.before)
    expect(await last.purge({ url }, soft)).toBe(0)
    expect(last.stats).toMatchObject({ entries: 0, unremoved: 0, unread: 0 })
  })

  it.each<FileCall['call']>(['readdir', 'open', 'read'])(
    'holds a purge against what it could not see for want of files, at %s, as long as that is so',
    async (failing) => {
      const folder = await filled()
      let few = true
      const store = again(folder, ({ call, flags }) => {
        if (few && (call === failing || flags === 'r+')) throw systemError('EMFILE', call)
        if (few && call === 'unlink') throw systemError('EROFS', call)
      })
      await store.ready()
      expect(store.stats.entries).toBe(0)
      expect(store.stats.unread).toBe(failing === 'readdir' ? 1 : 2)
      const error = await failure(store.purge({ url }, soft))
      expect(error.code).toBe('EMFILE')
      expect(error.message).toContain("can't be read, and may be meant")
      few = false
      // Another purge comes across it: what is there is older than the first.
      expect(await store.purge({ url: 'http://c.example/' })).toBe(0)
      const head = (await store.get('k'))?.head
      if (soft) expect(head?.purged).toBe(true)
      else expect(head).toBeUndefined()
      expect((await store.get('other'))?.head.url).toBe(other)
      expect(store.stats.unread).toBe(0)
      // What is all known holds nothing any more.
      await put(store, 'k')
      expect((await store.get('k'))?.head.purged).toBeUndefined()
      const [kept] = await found(folder, ['k'])
      expect(kept?.purged).toBeUndefined()
    },
  )

  it('removes what a purge may mean that cannot be read', async () => {
    const folder = await filled()
    const store = again(folder, ({ call, path }) => {
      if (call === 'read' && path.includes(hashOf('k'))) throw systemError('EIO', call)
    })
    await store.ready()
    expect(store.stats).toMatchObject({ entries: 1, unread: 1 })
    expect(folder.files()).toHaveLength(2)
    expect(await store.purge({ url: 'http://c.example/' }, soft)).toBe(0)
    expect(store.stats.unread).toBe(0)
    expect(folder.files()).toHaveLength(1)
  })

  it.each(['EACCES', 'EIO'])('waits for no file that is out of reach, for %s', async (code) => {
    const folder = await filled()
    const faults = new Faults(({ path }) => path.includes(hashOf('k')))
    faults.code = code
    const store = again(folder, faults.before)
    await store.ready()
    expect(await store.purge({ url: other }, soft)).toBe(1)
    faults.calls.length = 0
    expect(await store.purge({ url }, soft)).toBe(0)
    expect(faults.calls).toEqual([])
    expect(await store.get('k')).toBeUndefined()
    expect(store.stats.unread).toBe(1)
    // This one was meant for sure.
    await expect(store.delete('k')).rejects.toThrow(code)
    faults.code = undefined
    await store.delete('k')
    expect(store.stats.unread).toBe(0)
    expect(await found(folder, ['k'])).toEqual([undefined])
  })

  it('waits for no folder that is closed, and holds what was purged against it', async () => {
    const folder = await filled('l')
    const closed = new Set(['k', 'other'].map((key) => folderOf(folder.path, hashOf(key))))
    const faults = new Faults(({ path }) => closed.has(path))
    faults.code = 'EACCES'
    const store = again(folder, faults.before)
    await store.ready()
    expect(await store.purge({ url }, soft)).toBe(1)
    expect(await store.purge({ url: other }, soft)).toBe(0)
    expect(store.stats).toMatchObject({ entries: soft ? 1 : 0, unread: 2 })
    closed.delete(folderOf(folder.path, hashOf('k')))
    // What it holds is dropped by whichever purge comes across it, and counts for the one that meant it alone.
    expect(await store.purge({ url: 'http://c.example/' }, soft)).toBe(0)
    expect((await store.get('k'))?.head.purged).toBe(soft ? true : undefined)
    expect(await store.purge({ url }, soft)).toBe(soft ? 2 : 0)
    closed.clear()
    expect(await store.purge({ url: other }, soft)).toBe(1)
    expect(store.stats).toMatchObject({ entries: soft ? 3 : 0, unread: 0 })
  })

  it.each(['EACCES', 'EIO'])('says so where it can see nothing of its folder, for %s', async (code) => {
    const folder = await filled()
    const faults = new Faults(({ path }) => path === folder.path)
    faults.code = code
    const store = again(folder, faults.before)
    for (let i = 0; i < 2; i++) {
      const error = await failure(store.purge({ url }, soft))
      expect(error.code).toBe(code)
      expect(error.message).toContain(`${folder.path} (${code}) can't be read, and may be meant`)
    }
    faults.code = undefined
    expect(await store.purge({ url }, soft)).toBe(1)
    expect((await store.get('k'))?.head.purged).toBe(soft ? true : undefined)
  })

  it('looks again at what it has missed alone', async () => {
    const { store, folder } = await started()
    for (let i = 0; i < 20; i++) await put(store, `k${i}`, 10, entryHead({ url: other }))
    await store.close()
    const faults = new Faults((call) => call.path.includes(hashOf('k7')) && call.call !== 'unlink')
    faults.code = 'EMFILE'
    const next = again(folder, (call) => {
      faults.before(call)
      if (call.call === 'unlink' && faults.code !== undefined) throw systemError('EROFS', 'unlink')
    })
    await next.ready()
    expect(next.stats).toMatchObject({ entries: 19, unread: 1 })
    faults.calls.length = 0
    for (let i = 0; i < 3; i++) await expect(next.purge({ url }, soft)).rejects.toThrow('EMFILE')
    expect(faults.count('readdir')).toBe(0)
    expect(faults.calls).toHaveLength(6)
    expect(faults.calls.every(({ path }) => path.includes(hashOf('k7')))).toBe(true)
    faults.code = undefined
    expect(await next.purge({ url: other }, soft)).toBe(20)
  })

  it('judges each of many purges by a look that has begun after it', async () => {
    const folder = await filled()
    let few = true
    const gate = deferred()
    let waits = false
    const store = again(folder, async ({ call, path }) => {
      if (call !== 'open' || !path.includes(hashOf('k'))) return
      if (waits) await gate.promise
      if (few) throw systemError('EMFILE', call)
    })
    await store.ready()
    waits = true
    // Its look is at the file, and has its answer already.
    const first = store.purge({ url: 'http://c.example/' }, soft)
    const second = store.purge({ url }, soft)
    few = false
    gate.resolve()
    expect([await first, await second]).toEqual([0, 1])
    expect((await store.get('k'))?.head.purged).toBe(soft ? true : undefined)
  })

  it('rejects what it can no longer do when it closes', async () => {
    const folder = await filled()
    const gate = deferred()
    const store = again(folder, ({ call }) => (call === 'readdir' ? gate.promise : undefined))
    const purged = failure(store.purge({ url }, soft))
    const closed = store.close()
    const late = failure(store.purge({ url }, soft))
    gate.resolve()
    await closed
    for (const error of [await purged, await late, await failure(Promise.resolve(store.delete('k')))])
      expect(error.message).toContain(`the store of ${folder.path} is closed`)
    const next = again(folder)
    await next.ready()
    await next.close()
    // Of this it knows that there is none.
    expect(await next.purge({ url: 'http://c.example/' }, soft)).toBe(0)
    await next.delete('c')
  })

  it('has a purge that comes while it closes wait for what is being removed', async () => {
    for (const code of ['EROFS', undefined]) {
      const gate = deferred()
      const { store, folder } = await started(async ({ call }) => {
        if (call !== 'unlink') return
        await gate.promise
        if (code !== undefined) throw systemError(code, call)
      })
      await put(store, 'k')
      const first = outcome(store.purge({ url }))
      const closed = store.close()
      const late = outcome(store.purge({ url }, soft)).then((told) => [told, folder.files().length])
      // Whatever needs nothing of the disk is done by then.
      await readdir(folder.path)
      gate.resolve()
      await closed
      await first
      expect(await late).toEqual(code === undefined ? [0, 0] : [expect.stringContaining('closed'), 1])
    }
  })

  it('looks at nothing any more once it is closed', async () => {
    const folder = await filled()
    const missed = folderOf(folder.path, hashOf('l'))
    mkdirSync(missed, { recursive: true })
    const removed = deferred()
    const late = deferred()
    let looks = 0
    const store = again(folder, ({ call, path }) => {
      if (call === 'unlink' || call === 'write') return removed.promise
      if (call !== 'readdir' || path !== missed) return undefined
      if (++looks < 3) throw systemError('EACCES', call)
      return late.promise
    })
    await store.ready()
    const purged = store.purge({ prefix: url }, soft)
    const closed = store.close()
    await until(() => looks === 2, 'the look at the end')
    removed.resolve()
    await closed
    const next = again(folder)
    await put(next, 'l')
    late.resolve()
    expect(await purged).toBe(1)
    expect((await next.get('l'))?.head.purged).toBeUndefined()
    expect((await next.get('l'))?.head.url).toBe(url)
    expect(looks).toBe(2)
  })

  it.each(['ENOTCONN', 'ESTALE'])('says so where a disk of the network was away, for %s', async (code) => {
    const folder = await filled()
    const away = folderOf(folder.path, hashOf('k'))
    const faults = new Faults(({ path }) => path.startsWith(away))
    faults.code = code
    const store = again(folder, faults.before)
    await store.ready()
    await expect(store.purge({ url }, soft)).rejects.toThrow(
      `${away} (${code}) can't be read, and may be meant`,
    )
    await expect(store.delete('k')).rejects.toThrow(code)
    faults.code = undefined
    expect(await store.purge({ url: 'http://c.example/' }, soft)).toBe(0)
    expect(await store.get('k')).toBeUndefined()
  })

  it('holds a purge against what can be read again when it closes', async () => {
    const folder = await filled()
    let few = true
    const store = again(folder, ({ call }) => {
      if (few && call === 'open') throw systemError('EMFILE', call)
      if (few && call === 'unlink') throw systemError('EROFS', call)
    })
    await expect(store.purge({ url }, soft)).rejects.toThrow('EMFILE')
    few = false
    await store.close()
    const [purged, kept] = await found(folder, ['k', 'other'])
    expect(purged?.purged).toBe(soft ? true : undefined)
    expect(kept?.url).toBe(other)
  })
})

describe('a file store that cannot change its files', () => {
  it('tries again where something could be written, and nowhere else', async () => {
    const [near, beside] = neighbours()
    const faults = new Faults(changes)
    const { store, folder } = await started(faults.before)
    for (const key of [near, 'far']) await put(store, key)
    faults.code = 'EACCES'
    await expect(store.purge({ url })).rejects.toThrow('2 files')
    faults.code = undefined
    faults.calls.length = 0
    await put(store, beside, 10, entryHead({ url: other }))
    await until(() => store.stats.unremoved === 1, 'the one beside it to be gone')
    expect(faults.calls.filter(({ call }) => call === 'unlink').map(({ path }) => path)).toEqual([
      expect.stringContaining(hashOf(near)),
    ])
    await store.close()
    expect(folder.files()).toEqual([expect.stringContaining(hashOf(beside))])
  })

  it('ends at the first file where all of the disk is read-only', async () => {
    const faults = new Faults()
    const { store, folder } = await started(faults.before)
    for (let i = 0; i < 100; i++) await put(store, `k${i}`)
    faults.code = 'EROFS'
    await expect(store.purge({ url })).rejects.toThrow('100 files')
    faults.calls.length = 0
    await store.close()
    // Some are tried at once.
    expect(faults.count('unlink')).toBeLessThanOrEqual(16)
    expect(folder.files()).toHaveLength(100)
    await expect(store.purge({ url })).rejects.toThrow('closed')
  })

  it('overwrites what its folder does not let go, and whoever reads it goes on', async () => {
    const faults = new Faults(changesOfNames)
    const { store, folder } = await started(faults.before)
    await put(store, 'k', large)
    const entry = await store.get('k')
    faults.code = 'EACCES'
    expect(await store.purge({ url })).toBe(1)
    expect((await bodyBytes(entry?.body() ?? null)).equals(pattern(large, large))).toBe(true)
    entry?.release?.()
    expect(store.stats).toMatchObject({ entries: 0, unremoved: 0 })
    expect(folder.files()).toHaveLength(1)
    faults.code = undefined
    expect(await found(folder, ['k'])).toEqual([undefined])
    expect(folder.files()).toEqual([])
  })

  // Links need a right of their own on Windows, whose files can't be opened without following them.
  it.skipIf(process.platform === 'win32')('overwrites nothing through a link', async () => {
    const faults = new Faults(changesOfNames)
    const { store, folder } = await started(faults.before)
    await put(store, 'k')
    const [file = ''] = folder.files()
    const elsewhere = own(await storeFolder())
    const victim = join(elsewhere.path, 'victim')
    copyFileSync(file, victim)
    rmSync(file)
    symlinkSync(victim, file)
    const before = readFileSync(victim)
    faults.code = 'EACCES'
    await expect(store.purge({ url })).rejects.toThrow('EACCES')
    expect(readFileSync(victim).equals(before)).toBe(true)
    faults.code = undefined
    expect(await store.purge({ url })).toBe(1)
    expect(readFileSync(victim).equals(before)).toBe(true)
  })

  it('overwrites nothing that is no entry of that name', async () => {
    const faults = new Faults(changesOfNames)
    const { store, folder } = await started(faults.before)
    await put(store, 'k')
    await put(store, 'l', 10, entryHead({ url: other }))
    const [one = '', two = ''] = folder.files()
    const ofOther = one.includes(hashOf('l')) ? one : two
    const ofK = one.includes(hashOf('k')) ? one : two
    renameSync(ofOther, ofK)
    const before = readFileSync(ofK)
    faults.code = 'EACCES'
    expect(await store.purge({ url })).toBe(1)
    expect(readFileSync(ofK).equals(before)).toBe(true)
    expect(await found(folder, ['k', 'l'])).toEqual([undefined, undefined])
  })

  it('does not find again what was deleted at the start, though its file is still there', async () => {
    const folder = await filled()
    const faults = new Faults()
    faults.code = 'EROFS'
    const gate = deferred()
    const store = again(folder, (call) => (call.call === 'readdir' ? gate.promise : faults.before(call)))
    await expect(store.delete('k')).rejects.toThrow('EROFS')
    expect(await store.get('k')).toBeUndefined()
    gate.resolve()
    await store.ready()
    expect(await store.get('k')).toBeUndefined()
    faults.code = undefined
    await store.delete('k')
    expect(await found(folder, ['k'])).toEqual([undefined])
  })

  it('does not find again what was deleted when it could not be read', async () => {
    const folder = await filled()
    let few = true
    const gate = deferred()
    const store = again(folder, ({ call, path }) => {
      if (call === 'readdir') return gate.promise
      if (few && path.includes(hashOf('k'))) throw systemError(call === 'unlink' ? 'EROFS' : 'EMFILE', call)
    })
    await expect(store.delete('k')).rejects.toThrow('EROFS')
    few = false
    expect(await store.get('k')).toBeUndefined()
    gate.resolve()
    await store.ready()
    expect(await store.get('k')).toBeUndefined()
    expect(folder.files()).toHaveLength(1)
  })

  it('deletes, renews and replaces what a look has missed', async () => {
    const folder = await filled('l')
    let few = true
    const store = again(folder, ({ call, flags }) => {
      if (few && call === 'open' && flags === 'r') throw systemError('EMFILE', call)
    })
    await store.ready()
    few = false
    const next = fileStore({ folder: folder.path })
    const head = (await next.get('other'))?.head ?? entryHead()
    await next.close()
    expect(store.stats.unread).toBe(3)
    await store.delete('k')
    await store.touch('other', { ...head, headers: ['X', '1'] })
    await put(store, 'l')
    expect(store.stats.unread).toBe(1)
    expect(await found(folder, ['k', 'other'])).toEqual([undefined, { ...head, headers: ['X', '1'] }])
  })

  it('renews nothing that is to be gone', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const folder = await filled()
    const { store: another, folder: elsewhere } = await started()
    const head = await put(another, 'k', 10, entryHead({ keepUntil: Date.now() + 1_000 }))
    await another.close()
    const file = folder.files().find((path) => path.includes(hashOf('k'))) ?? ''
    copyFileSync(elsewhere.files()[0] ?? '', file)
    const gate = deferred()
    const faults = new Faults()
    faults.code = 'EROFS'
    const store = again(folder, (call) => (call.call === 'readdir' ? gate.promise : faults.before(call)))
    await expect(store.delete('k')).rejects.toThrow('EROFS')
    faults.code = undefined
    await store.touch('k', { ...head, keepUntil: Date.now() + 3_600_000 })
    faults.code = 'EROFS'
    vi.setSystemTime(Date.now() + 2_000)
    await store.delete('k')
    gate.resolve()
    await store.close()
    expect(await found(folder, ['k'])).toEqual([undefined])
  })

  it.each(['/', '/./'])(
    'knows that a file may be there in a folder that it could not list, with %s at the end of its path',
    async (end) => {
      const folder = await filled()
      const path = folder.path + end
      const few = faultyFiles((call) => {
        if (call.call === 'readdir' && call.path === path) throw systemError('EMFILE', call.call)
      })
      const store = own(fileStore({ folder: path }, { fs: few }))
      await store.ready()
      expect(store.stats.unread).toBe(1)
      await store.delete('k')
      expect(folder.files()).toHaveLength(1)
      await store.close()
      expect(await found(folder, ['k'])).toEqual([undefined])
    },
  )

  it('does not drop what takes the place of a damaged file that was found before all are known', async () => {
    const { store, folder } = await started()
    await put(store, 'k', 5_000)
    await store.close()
    const [file = ''] = folder.files()
    const bytes = readFileSync(file)
    bytes[bytes.length - 10] = (bytes.at(-10) ?? 0) ^ 255
    writeFileSync(file, bytes)
    const listed = deferred()
    const named = deferred()
    const gates: Partial<Record<FileCall['call'], Promise<void>>> = {
      readdir: listed.promise,
      rename: named.promise,
    }
    let renamed = false
    const next = again(folder, ({ call }) => {
      renamed ||= call === 'rename'
      return gates[call]
    })
    const replaced = put(next, 'k', 20)
    await until(() => renamed, 'the new one to be about to get its name')
    expect(await next.get('k')).toBeUndefined()
    named.resolve()
    await replaced
    listed.resolve()
    await next.close()
    expect(await found(folder, ['k'])).toEqual([expect.objectContaining({ url })])
  })

  it('says so of what is too large by now', async () => {
    const { store, folder } = await started()
    await put(store, 'k', large)
    await store.close()
    const faults = new Faults()
    faults.code = 'EROFS'
    const next = own(fileStore({ folder: folder.path, maxSize: '64kb' }, { fs: faultyFiles(faults.before) }))
    await next.ready()
    expect(next.stats).toMatchObject({ entries: 0, unremoved: 1 })
    await expect(next.purge({ url })).rejects.toThrow('EROFS')
  })

  it('takes no folder for a file that it cannot read', async () => {
    const folder = await filled()
    mkdirSync(join(folder.path, '0', '00', `${'0'.repeat(40)}.entry`), { recursive: true })
    const store = again(folder)
    await store.ready()
    expect(store.stats).toMatchObject({ entries: 2, unread: 0 })
    expect(await store.purge({ url })).toBe(1)
  })

  it('has a purge wait for what another one is removing', async () => {
    const gate = deferred()
    const { store, folder } = await started(({ call }) => (call === 'unlink' ? gate.promise : undefined))
    await put(store, 'k')
    const left: number[] = []
    const purges = [1, 2].map(async () => {
      await store.purge({ url })
      left.push(folder.files().length)
    })
    await put(store, 'other', 10, entryHead({ url: other }))
    expect(left).toEqual([])
    gate.resolve()
    await Promise.all(purges)
    expect(left).toEqual([1, 1])
  })
})

/** Two keys whose files are in one folder. */
function neighbours(): [string, string] {
  const keys = new Map<string, string>()
  for (let i = 0; ; i++) {
    const key = `near ${i}`
    const leaf = leafOf(hashOf(key))
    const before = keys.get(leaf)
    if (before !== undefined && leaf !== leafOf(hashOf('far'))) return [before, key]
    keys.set(leaf, key)
  }
}
