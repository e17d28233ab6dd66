import { describe, expect, it } from 'vitest'
import { type FileCall, faultyFiles, systemError } from '../../../test/kit/faulty-files.js'
import { owner } from '../../../test/kit/owner.js'
import { bodyBytes, entryHead, pattern } from '../../../test/kit/store-entries.js'
import { type StoreFolder, storeFolder } from '../../../test/kit/store-folder.js'
import { deferred, until } from '../../../test/kit/until.js'
import { type EntryHead, type FileStore, fileStore } from './index.js'

const own = owner()
const large = 300_000

type Before = (call: FileCall) => void | Promise<void>

async function started(before: Before = () => {}): Promise<{ store: FileStore; folder: StoreFolder }> {
  const folder = own(await storeFolder())
  return { folder, store: again(folder, before) }
}

function again(folder: StoreFolder, before: Before = () => {}): FileStore {
  return own(fileStore({ folder: folder.path }, { fs: faultyFiles(before) }))
}

async function put(
  store: FileStore,
  key: string,
  size: number,
  head: EntryHead = entryHead(),
): Promise<EntryHead> {
  const writer = store.put(key, head)
  writer?.write(pattern(size, size))
  await writer?.commit()
  return head
}

describe('fileStore(), where it cannot remove its files', () => {
  describe.each([false, true])('where its folder is read-only, purged with soft %s,', (soft) => {
    let readOnly: string | undefined
    const closed = ({ call, flags }: FileCall): void => {
      if (readOnly !== undefined && (call === 'unlink' || flags === 'r+')) throw systemError(readOnly, call)
    }

    it.each(['EROFS', 'EACCES', 'EPERM'])('says that what it purges is still there: %s', async (code) => {
      readOnly = undefined
      const { store, folder } = await started(closed)
      const { url } = await put(store, 'k', 10)
      const other = await put(store, 'other', 10, entryHead({ url: 'http://b.example/' }))
      readOnly = code
      await expect(store.purge({ url }, soft)).rejects.toThrow(
        new RegExp(`a file of .*a restart would find it: ${code}`),
      )
      expect(await store.get('k')).toBeUndefined()
      expect(store.stats).toMatchObject({ entries: 1, unremoved: 1 })
      // A purge of something else has nothing to tell.
      expect(await store.purge({ url: 'http://c.example/' }, soft)).toBe(0)
      await expect(store.purge({ url }, soft)).rejects.toThrow(code)
      readOnly = undefined
      expect(await store.purge({ url }, soft)).toBe(1)
      expect(await store.purge({ url }, soft)).toBe(0)
      expect(store.stats.unremoved).toBe(0)
      expect(folder.files()).toHaveLength(1)
      await store.close()
      const next = again(folder)
      await next.ready()
      expect(await next.get('k')).toBeUndefined()
      expect((await next.get('other'))?.head).toEqual(other)
    })

    it('says so of what it finds at the start', async () => {
      readOnly = undefined
      const { store, folder } = await started()
      const { url } = await put(store, 'k', 10)
      await put(store, 'other', 10, entryHead({ url: 'http://b.example/' }))
      await store.close()
      const gate = deferred()
      readOnly = 'EROFS'
      const next = again(folder, (each) => (each.call === 'readdir' ? gate.promise : closed(each)))
      const purged = next.purge({ url }, soft)
      gate.resolve()
      await expect(purged).rejects.toThrow('EROFS')
      expect(await next.get('k')).toBeUndefined()
      expect(next.stats).toMatchObject({ entries: 1, unremoved: 1 })
      readOnly = undefined
      await next.close()
      expect(folder.files()).toHaveLength(1)
    })

    it('removes it once it can, though nobody purges again', async () => {
      readOnly = undefined
      const { store, folder } = await started(closed)
      const { url } = await put(store, 'k', 10)
      readOnly = 'EROFS'
      await expect(store.purge({ url }, soft)).rejects.toThrow('EROFS')
      readOnly = undefined
      await put(store, 'other', 10, entryHead({ url: 'http://b.example/' }))
      await until(() => store.stats.unremoved === 0, 'the file to be gone')
      expect(folder.files()).toHaveLength(1)
    })

    it('serves what takes the place of it, and has nothing left to remove', async () => {
      readOnly = undefined
      const { store } = await started(closed)
      const { url } = await put(store, 'k', 10)
      readOnly = 'EACCES'
      await expect(store.purge({ url }, soft)).rejects.toThrow('EACCES')
      await put(store, 'k', 20)
      expect((await store.get('k'))?.size).toBe(20)
      expect(store.stats).toMatchObject({ entries: 1, unremoved: 0 })
    })
  })

  it('overwrites what its folder does not let go, and whoever reads it goes on', async () => {
    let locked = false
    const { store, folder } = await started(({ call }) => {
      if (locked && call === 'unlink') throw systemError('EACCES', call)
    })
    const { url } = await put(store, 'k', large)
    const entry = await store.get('k')
    locked = true
    expect(await store.purge({ url })).toBe(1)
    expect((await bodyBytes(entry?.body() ?? null)).equals(pattern(large, large))).toBe(true)
    entry?.release?.()
    expect(store.stats).toMatchObject({ entries: 0, unremoved: 0 })
    expect(folder.files()).toHaveLength(1)
    locked = false
    await store.close()
    const next = again(folder)
    await next.ready()
    expect(await next.get('k')).toBeUndefined()
    expect(folder.files()).toEqual([])
  })

  it('says so where an entry is deleted and its file is still there', async () => {
    const { store } = await started(({ call, flags }) => {
      if (call === 'unlink' || flags === 'r+') throw systemError('EROFS', call)
    })
    await put(store, 'k', 10)
    await expect(store.delete('k')).rejects.toThrow('EROFS')
    expect(await store.get('k')).toBeUndefined()
  })

  it('does not find again what was deleted at the start, though its file is still there', async () => {
    const { store, folder } = await started()
    await put(store, 'k', 10)
    await store.close()
    const gate = deferred()
    const next = again(folder, ({ call, flags }) => {
      if (call === 'unlink' || flags === 'r+') throw systemError('EROFS', call)
      return call === 'readdir' ? gate.promise : undefined
    })
    await expect(next.delete('k')).rejects.toThrow('EROFS')
    expect(await next.get('k')).toBeUndefined()
    gate.resolve()
    await next.ready()
    expect(await next.get('k')).toBeUndefined()
  })

  it.each<FileCall['call']>(['readdir', 'open', 'read'])(
    'purges by what it could not see at the start, for %s failed, and says so where it still cannot',
    async (failing) => {
      const { store, folder } = await started()
      const { url } = await put(store, 'k', 10)
      await store.close()
      let faulty = true
      const next = again(folder, ({ call, flags }) => {
        if (faulty && (call === 'unlink' || flags === 'r+')) throw systemError('EROFS', call)
        if (faulty && call === failing) throw systemError('EMFILE', call)
      })
      await next.ready()
      expect(next.stats.entries).toBe(0)
      await expect(next.purge({ url })).rejects.toThrow('not all of its files could be looked at')
      faulty = false
      expect(await next.purge({ url })).toBe(1)
      expect(await next.purge({ url })).toBe(0)
      expect(folder.files()).toEqual([])
    },
  )

  it('says of a purge that the store has closed before it had seen all', async () => {
    const { store, folder } = await started()
    const { url } = await put(store, 'k', 10)
    await store.close()
    const gate = deferred()
    const next = again(folder, ({ call }) => (call === 'readdir' ? gate.promise : undefined))
    const purged = next.purge({ url })
    const closed = next.close()
    gate.resolve()
    await expect(purged).rejects.toThrow('not all of its files could be looked at')
    await closed
  })

  it('has a purge wait for what another one is removing', async () => {
    const gate = deferred()
    const { store, folder } = await started(({ call }) => (call === 'unlink' ? gate.promise : undefined))
    const { url } = await put(store, 'k', 10)
    const left: number[] = []
    const purges = [1, 2].map(async () => {
      await store.purge({ url })
      left.push(folder.files().length)
    })
    await put(store, 'other', 10, entryHead({ url: 'http://b.example/' }))
    expect(left).toEqual([])
    gate.resolve()
    await Promise.all(purges)
    expect(left).toEqual([1, 1])
  })
})
