import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import debug from 'debug'
import { describe, expect, it } from 'vitest'
import { type FileCall, faultyFiles, systemError } from '../../../test/kit/faulty-files.js'
import { owner } from '../../../test/kit/owner.js'
import { program } from '../../../test/kit/program.js'
import { seeded } from '../../../test/kit/seeded.js'
import { bodyBytes, entryHead, pattern } from '../../../test/kit/store-entries.js'
import { type StoreFolder, storeFolder } from '../../../test/kit/store-folder.js'
import { type Deferred, deferred, until } from '../../../test/kit/until.js'
import { type EntryHead, type FileStore, type FileStoreOptions, fileStore } from './index.js'

const own = owner()
const large = 300_000

/** A store in a folder of its own. */
async function started(
  options: Partial<FileStoreOptions> = {},
  before: (call: FileCall) => void | Promise<void> = () => {},
): Promise<{ store: FileStore; folder: StoreFolder }> {
  const folder = own(await storeFolder())
  return { folder, store: again(folder, options, before) }
}

function again(
  folder: StoreFolder,
  options: Partial<FileStoreOptions> = {},
  before: (call: FileCall) => void | Promise<void> = () => {},
): FileStore {
  return own(fileStore({ folder: folder.path, ...options }, { fs: faultyFiles(before) }))
}

async function put(
  store: FileStore,
  key: string,
  size: number,
  head: EntryHead = entryHead(),
): Promise<EntryHead> {
  const writer = store.put(key, head)
  const body = pattern(size, size)
  for (let at = 0; at < size; at += 50_000) writer?.write(body.subarray(at, at + 50_000))
  await writer?.commit()
  return head
}

async function bodyOf(store: FileStore, key: string): Promise<Buffer | undefined> {
  const entry = await store.get(key)
  const body = entry && (await bodyBytes(entry.body()))
  entry?.release?.()
  return body
}

describe('fileStore()', () => {
  it('names every wrong option', () => {
    const wrong = { folder: '', maxSize: '1 gb', maxEntry: 0, maxOpen: 0, maxFiles: 1 }
    expect(() => fileStore(wrong as unknown as FileStoreOptions)).toThrow(
      /fileStore\.folder.*fileStore\.maxSize.*fileStore\.maxEntry.*fileStore\.maxOpen.*fileStore\.maxFiles/s,
    )
  })

  it('removes the files of what is deleted, purged, replaced and too much', async () => {
    const { store, folder } = await started({ maxSize: '1mb' })
    const head = await put(store, 'a', 10)
    await put(store, 'b', large)
    await put(store, 'b', 10, entryHead({ url: 'http://b.example/' }))
    expect(folder.files()).toHaveLength(2)
    await store.purge({ url: head.url })
    expect(folder.files()).toHaveLength(1)
    await store.delete('b')
    expect(folder.files()).toEqual([])
    for (let i = 0; i < 10; i++) await put(store, `k${i}`, large)
    await store.close()
    expect(folder.files()).toHaveLength(3)
    expect(store.stats).toMatchObject({ entries: 3, open: 0, pending: 0, failed: 0, damaged: 0 })
  })

  it('lets nobody else read its files', async () => {
    const { store, folder } = await started()
    await put(store, 'k', large)
    // Windows has no such modes.
    const others = process.platform === 'win32' ? 0 : 0o077
    for (let [path = ''] = folder.files(); path !== folder.path; path = dirname(path))
      expect(statSync(path).mode & others).toBe(0)
  })

  it('knows its files again after a restart, without reading bodies', async () => {
    const { store, folder } = await started()
    const heads = new Map<string, EntryHead>()
    for (let i = 0; i < 30; i++) heads.set(`k${i}`, await put(store, `k${i}`, i % 3 === 0 ? large : i))
    const { stats } = store
    await store.close()
    const reads: number[] = []
    const next = again(folder, {}, ({ call, bytes = 0 }) => {
      if (call === 'read') reads.push(bytes)
    })
    await next.ready()
    // One for each, and one that finds the end of each short file.
    expect(reads.length).toBeLessThanOrEqual(50)
    expect(Math.max(...reads)).toBe(4_096)
    expect(next.stats).toEqual(stats)
    for (const [key, head] of heads) {
      const entry = await next.get(key)
      expect(entry?.head).toEqual(head)
      entry?.release?.()
    }
    expect((await bodyOf(next, 'k0'))?.equals(pattern(large, large))).toBe(true)
  })

  it('knows 10,000 files again', async () => {
    const folder = own(await storeFolder())
    const store = own(fileStore({ folder: folder.path }))
    const body = Buffer.from('small')
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < 10_000) {
        const id = next++
        const writer = store.put(
          `k${id}`,
          entryHead({ url: `http://a.example/${id}`, tags: [`t${id % 10}`] }),
        )
        writer?.write(body)
        await writer?.commit()
      }
    }
    await Promise.all(Array.from({ length: 32 }, worker))
    const { stats } = store
    expect(stats.entries).toBe(10_000)
    await store.close()
    const later = own(fileStore({ folder: folder.path }))
    await later.ready()
    expect(later.stats).toEqual(stats)
    expect(await later.purge({ tag: 't3' })).toBe(1_000)
    expect(await later.purge({ url: 'http://a.example/7' })).toBe(1)
    expect(await later.get('k7')).toBeUndefined()
    expect((await bodyOf(later, 'k8'))?.toString()).toBe('small')
  }, 60_000)

  describe.each([false, true])('while it looks at its files, purged with soft %s,', (soft) => {
    it('holds the purge against what it has not seen yet', async () => {
      const { store, folder } = await started()
      for (let i = 0; i < 20; i++)
        await put(
          store,
          `k${i}`,
          i,
          entryHead({ url: `http://a.example/${i}`, tags: [i < 10 ? 'low' : 'high'] }),
        )
      await store.close()
      const gate = deferred()
      const next = again(folder, {}, ({ call }) => (call === 'readdir' ? gate.promise : undefined))
      const purges = [{ tag: 'low' }, { url: 'http://a.example/15' }, { prefix: 'http://a.example/18' }]
      const counts = Promise.all(purges.map((what) => next.purge(what, soft)))
      const purged = (i: number): boolean => i < 10 || i === 15 || i === 18
      const check = async (of: FileStore): Promise<void> => {
        for (let i = 0; i < 20; i++) {
          const entry = await of.get(`k${i}`)
          if (!purged(i)) expect(entry?.head.purged).toBeUndefined()
          else expect(entry?.head.purged).toBe(soft ? true : undefined)
          expect(entry !== undefined).toBe(soft || !purged(i))
        }
      }
      await check(next)
      // What comes now isn't meant.
      await put(next, 'k15', 15, entryHead({ url: 'http://a.example/15' }))
      gate.resolve()
      expect(await counts).toEqual([10, 0, 1])
      expect((await next.get('k15'))?.head.purged).toBeUndefined()
      await next.delete('k15')
      await next.close()
      const last = again(folder)
      await last.ready()
      for (let i = 0; i < 20; i++) {
        const entry = i === 15 ? undefined : await last.get(`k${i}`)
        expect(entry !== undefined).toBe(i !== 15 && (soft || !purged(i)))
        if (entry !== undefined) expect(entry.head.purged === true).toBe(soft && purged(i))
      }
    })
  })

  it.each<[string, (store: FileStore) => unknown]>([
    ['deleted', (store) => store.delete('k')],
    ['purged', (store) => store.purge({ url: 'http://a.example/' })],
  ])('drops what is %s while it looks at that file', async (_, drop) => {
    for (const stage of ['open', 'read', 'stat', 'close']) {
      const { store, folder } = await started()
      await put(store, 'k', 10)
      await store.close()
      const gate = deferred()
      let calls = 0
      const next = again(folder, {}, ({ call }) =>
        call === stage && ++calls === 1 ? gate.promise : undefined,
      )
      await until(() => calls === 1, 'the file to be looked at')
      const dropped = drop(next)
      gate.resolve()
      const count = await dropped
      if (count !== undefined) expect(count).toBe(1)
      await next.ready()
      expect(await next.get('k'), stage).toBeUndefined()
      expect(folder.files()).toEqual([])
    }
  })

  it('drops what may be of no use any more, and leaves alone what it has not made', async () => {
    const { store, folder } = await started()
    await put(store, 'old', 10, entryHead({ keepUntil: Date.now() - 1 }))
    await put(store, 'new', 10)
    const [file = ''] = folder.files()
    await store.close()
    writeFileSync(join(folder.path, 'notes.txt'), 'mine')
    writeFileSync(join(dirname(file), 'notes.txt'), 'mine')
    const next = again(folder)
    await next.ready()
    expect(next.stats.entries).toBe(1)
    expect(folder.files()).toHaveLength(3)
  })

  it('removes the temporary files of processes that are gone', async () => {
    const { store, folder } = await started()
    await put(store, 'k', 10)
    const [file = ''] = folder.files()
    const gone = own(program(['--eval', '']))
    await gone.ended
    const name = (pid: number | undefined): string => file.replace('.entry', `.${pid}.0123456789abcdef.1.tmp`)
    for (const pid of [gone.child.pid, process.pid, process.ppid]) writeFileSync(name(pid), 'half')
    const writer = store.put('k', entryHead())
    writer?.write(pattern(large, 1))
    await until(() => folder.files().length === 5, 'the file of the writer')
    await again(folder).ready()
    expect(existsSync(name(gone.child.pid))).toBe(false)
    expect(existsSync(name(process.pid))).toBe(false)
    expect(existsSync(name(process.ppid))).toBe(true)
    await writer?.commit()
    expect((await bodyOf(store, 'k'))?.equals(pattern(large, 1))).toBe(true)
  })

  it.each([10, large])('keeps nothing of %s bytes when the disk is full, and says so once', async (size) => {
    const said: string[] = []
    const { log } = debug
    debug.log = (...args: unknown[]) => void said.push(args.join(' '))
    debug.enable('sluice:cache')
    try {
      let full = true
      const { store, folder } = await started({}, ({ call }) => {
        if (full && call === 'write') throw systemError('ENOSPC', 'write')
      })
      for (let i = 0; i < 5; i++) {
        await put(store, 'k', size)
        expect(await store.get('k')).toBeUndefined()
      }
      expect(store.stats).toMatchObject({ pending: 0, open: 0, entries: 0, failed: 5 })
      await until(() => folder.files().length === 0, 'what was half written to be gone')
      expect(said.filter((line) => line.includes('ENOSPC'))).toHaveLength(1)
      full = false
      await put(store, 'k', size)
      expect((await bodyOf(store, 'k'))?.equals(pattern(size, size))).toBe(true)
    } finally {
      debug.disable()
      debug.log = log
    }
  })

  it('makes room on a disk that is full before it holds as much as it may', async () => {
    const folder = own(await storeFolder())
    const store = again(folder, {}, ({ call }) => {
      if (call === 'write' && folder.files().length > 20) throw systemError('ENOSPC', 'write')
    })
    for (let i = 0; i < 60; i++) await put(store, `k${i}`, 10)
    const found: number[] = []
    for (let i = 0; i < 60; i++) if ((await store.get(`k${i}`)) !== undefined) found.push(i)
    expect(found.length).toBeGreaterThan(15)
    expect(Math.min(...found)).toBeGreaterThan(10)
    expect(Math.max(...found)).toBeGreaterThan(57)
  })

  it.each([10, large])(
    'drops what stood before where %s bytes are to be kept and cannot be',
    async (size) => {
      let full = false
      const { store, folder } = await started({ maxEntry: '1mb' }, ({ call }) => {
        if (full && call === 'write') throw systemError('EIO', 'write')
      })
      await put(store, 'k', 5)
      full = true
      await put(store, 'k', size)
      expect(await store.get('k')).toBeUndefined()
      full = false
      await put(store, 'k', 5)
      const writer = store.put('k', entryHead())
      writer?.write(pattern(1_100_000, 1))
      expect((await bodyOf(store, 'k'))?.length).toBe(5)
      await writer?.commit()
      expect(await store.get('k')).toBeUndefined()
      expect(folder.files()).toEqual([])
      // Who gives up changes nothing.
      await put(store, 'k', 5)
      const given = store.put('k', entryHead())
      given?.write(pattern(1_100_000, 1))
      given?.abort()
      expect((await bodyOf(store, 'k'))?.length).toBe(5)
    },
  )

  it.each<[string, FileCall['call'], RegExp]>([
    ['be opened', 'open', /wx/],
    ['be closed', 'close', /./],
    ['get its name', 'rename', /./],
  ])("keeps nothing where a file can't %s", async (_, call, flags) => {
    let faulty = true
    const { store, folder } = await started({}, (each) => {
      if (faulty && each.call === call && flags.test(each.flags ?? 'x')) throw systemError('EIO', call)
    })
    for (const size of [10, large]) {
      await put(store, 'k', size)
      expect(await store.get('k')).toBeUndefined()
    }
    expect(store.stats).toMatchObject({ pending: 0, entries: 0, failed: 2 })
    faulty = false
    await put(store, 'k', large)
    expect((await bodyOf(store, 'k'))?.length).toBe(large)
    expect(folder.files()).toHaveLength(1)
  })

  it.each<FileCall['call']>(['open', 'read', 'stat'])(
    'finds nothing where %s fails, and goes on',
    async (call) => {
      let code: string | undefined
      const { store, folder } = await started({}, (each) => {
        if (code !== undefined && each.call === call) throw systemError(code, call)
      })
      await put(store, 'k', large)
      for (code of ['EMFILE', 'EIO', 'EACCES']) expect(await store.get('k')).toBeUndefined()
      code = undefined
      expect((await bodyOf(store, 'k'))?.length).toBe(large)
      expect(store.stats.failed).toBe(3)
      await until(() => (folder.descriptors() ?? 0) === 0, 'every file to be closed')
    },
  )

  it('fails a body that can be read no further', async () => {
    let reads = 0
    const { store } = await started({}, ({ call }) => {
      if (call === 'read' && ++reads > 4) throw systemError('EIO', 'read')
    })
    await put(store, 'k', large)
    const entry = await store.get('k')
    if (entry === undefined) throw new Error('it is there')
    await expect(bodyBytes(entry.body())).rejects.toThrow('EIO')
    entry.release?.()
    expect(store.stats).toMatchObject({ failed: 1, entries: 0 })
  })

  it('goes on when its folder is removed, in flight too', async () => {
    const { store, folder } = await started()
    await put(store, 'k', large)
    const entry = await store.get('k')
    const half = store.put('half', entryHead())
    half?.write(pattern(large, 1))
    await until(() => folder.files().length === 2, 'the file of the writer')
    await rm(folder.path, { recursive: true })
    await half?.commit()
    expect(await store.get('half')).toBeUndefined()
    expect(await store.get('k')).toBeUndefined()
    // What is open stays readable.
    expect((await bodyBytes(entry?.body() ?? null)).equals(pattern(large, large))).toBe(true)
    entry?.release?.()
    await put(store, 'k', 20)
    expect((await bodyOf(store, 'k'))?.length).toBe(20)
  })

  it('keeps nothing where its folder is a file', async () => {
    const folder = own(await storeFolder())
    mkdirSync(folder.path, { recursive: true })
    const path = join(folder.path, 'file')
    writeFileSync(path, '')
    const store = own(fileStore({ folder: path }))
    await store.ready()
    await put(store, 'k', 10)
    expect(await store.get('k')).toBeUndefined()
    expect(store.stats.failed).toBe(1)
  })

  it('refuses what comes while too much waits to be written', async () => {
    const gate = deferred()
    const { store } = await started({ maxPending: '256kb' }, ({ call }) =>
      call === 'write' ? gate.promise : undefined,
    )
    const first = store.put('a', entryHead())
    const second = store.put('b', entryHead())
    expect(first?.write(pattern(150_000, 1))).toBe(true)
    expect(second?.write(pattern(150_000, 2))).toBe(false)
    expect(second?.write(Buffer.from('x'))).toBe(false)
    expect(store.stats.pending).toBe(150_000)
    const committed = [first?.commit(), second?.commit()]
    gate.resolve()
    await Promise.all(committed)
    expect(store.stats.pending).toBe(0)
    expect((await bodyOf(store, 'a'))?.equals(pattern(150_000, 1))).toBe(true)
    expect(await store.get('b')).toBeUndefined()
  })

  it('gives a head that is longer than the room for it, again and again', async () => {
    const { store, folder } = await started()
    const head = await put(store, 'k', large)
    const lengths: number[] = []
    for (let i = 1; i <= 40; i++) {
      const touched = { ...head, headers: ['X-Long', 'x'.repeat(i % 2 === 0 ? 20_000 + i : 10)] }
      await store.touch('k', touched)
      lengths.push(store.stats.bytes)
      const fresh = i % 8 === 0 ? own(fileStore({ folder: folder.path })) : store
      const entry = await fresh.get('k')
      expect(entry?.head).toEqual(touched)
      expect((await bodyBytes(entry?.body() ?? null)).equals(pattern(large, large))).toBe(true)
      entry?.release?.()
    }
    expect(Math.max(...lengths)).toBeLessThan(large + 100_000)
  })

  it("doesn't lose a soft purge to another head that was on its way", async () => {
    const { store } = await started()
    const head = await put(store, 'k', 10)
    const touched = store.touch('k', { ...head, headers: ['X', '1'] })
    const purged = store.purge({ url: head.url }, true)
    await Promise.all([touched, purged])
    expect((await store.get('k'))?.head).toEqual({ ...head, headers: ['X', '1'], purged: true })
    const later = { ...head, headers: ['X', '2'] }
    await store.touch('k', later)
    expect((await store.get('k'))?.head).toEqual(later)
  })

  it("doesn't give what a purge has removed while it was read", async () => {
    let gate: Deferred<void> | undefined
    const { store } = await started({}, ({ call }) => (call === 'read' ? gate?.promise : undefined))
    const { url } = await put(store, 'k', 10)
    gate = deferred()
    const getting = store.get('k')
    await store.purge({ url })
    gate.resolve()
    expect(await getting).toBeUndefined()
  })

  it("doesn't keep what a purge meets while it gets its name", async () => {
    const gate = deferred()
    let renames = 0
    const { store, folder } = await started({}, ({ call }) =>
      call === 'rename' && ++renames === 2 ? gate.promise : undefined,
    )
    await put(store, 'k', 10, entryHead({ url: 'http://old.example/' }))
    const putting = put(store, 'k', 20, entryHead({ url: 'http://new.example/' }))
    await until(() => renames === 2, 'the new file to be renamed')
    const purged = store.purge({ url: 'http://new.example/' })
    gate.resolve()
    // Once it has resolved, the process may be killed.
    await purged
    expect(folder.files()).toEqual([])
    await putting
    expect(await store.get('k')).toBeUndefined()
  })

  it('closes every file that it opens', async () => {
    const { store, folder } = await started({ maxOpen: 20 })
    for (let i = 0; i < 10; i++) await put(store, `k${i}`, large)
    const random = seeded(7)
    await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const entry = await store.get(`k${i % 10}`)
        if (entry === undefined) return
        const kind = Math.floor(random() * 6)
        const body = entry.body(kind === 1 ? 100_000 : 0)
        if (kind === 2) await store.delete(`k${i % 10}`)
        if (kind === 3) await put(store, `k${i % 10}`, large)
        entry.release?.()
        if (kind === 4) (body as { cancel(): void }).cancel()
        else if (kind === 5) {
          const stream = (body as { readable(): NodeJS.ReadableStream & { destroy(): void } }).readable()
          stream.once('data', () => stream.destroy())
          await new Promise((resolve) => stream.once('close', resolve))
        } else
          expect(
            (await bodyBytes(body)).equals(pattern(large, large).subarray(kind === 1 ? 100_000 : 0)),
          ).toBe(true)
      }),
    )
    await until(() => store.stats.open === 0, 'every file to be closed')
    expect(folder.descriptors() ?? 0).toBe(0)
    expect(store.stats.failed).toBe(0)
  })

  it('opens no more files at once than it may, and lets the others wait', async () => {
    let open = 0
    let most = 0
    const { store, folder } = await started({ maxOpen: 3 }, ({ call }) => {
      if (call === 'open') most = Math.max(most, ++open)
      if (call === 'close') open--
    })
    for (let i = 0; i < 4; i++) await put(store, `k${i}`, large)
    open = 0
    most = 0
    const bodies = await Promise.all(Array.from({ length: 40 }, (_, i) => bodyOf(store, `k${i % 4}`)))
    expect(bodies.every((body) => body?.length === large)).toBe(true)
    expect(most).toBe(3)
    const held = await Promise.all(['k0', 'k1', 'k2'].map((key) => store.get(key)))
    const left = new AbortController()
    const waiting = store.get('k3', left.signal)
    left.abort()
    expect(await waiting).toBeUndefined()
    expect(await store.get('k3', left.signal)).toBeUndefined()
    // What is soon done doesn't wait for those who read, and those who write don't either.
    const { url } = await put(store, 'w', 10)
    expect(await store.purge({ url }, true)).toBe(5)
    const writers = [1, 2, 3, 4].map(() => store.put('w', entryHead()))
    expect(writers.map((writer) => writer?.write(pattern(large, 1)))).toEqual([true, true, true, false])
    for (const writer of writers) writer?.abort()
    for (const entry of held) entry?.release?.()
    await until(() => store.stats.open === 0, 'every file to be closed')
    expect(folder.descriptors() ?? 0).toBe(0)
  })

  it('lets bodies that are being read end when it is closed', async () => {
    const { store, folder } = await started()
    await put(store, 'k', large)
    const entry = await store.get('k')
    const body = entry?.body() ?? null
    entry?.release?.()
    await store.close()
    expect((await bodyBytes(body)).equals(pattern(large, large))).toBe(true)
    await until(() => (folder.descriptors() ?? 0) === 0, 'the file to be closed')
    // Too late: nobody holds the file any more.
    await expect(bodyBytes(entry?.body() ?? null)).rejects.toThrow('released')
  })

  it('harms no other store of its folder', async () => {
    const folder = own(await storeFolder())
    const stores = [again(folder), again(folder)] as const
    await Promise.all(stores.map((store) => store.ready()))
    const random = seeded(3)
    let made = 0
    const sizes = [100, 5_000, 80_000, 200_000]
    const sizeOf = (id: number): number => sizes[id % sizes.length] as number
    const worker = async (store: FileStore): Promise<void> => {
      for (let i = 0; i < 150; i++) {
        const key = `k${Math.floor(random() * 5)}`
        const what = random()
        if (what < 0.4) {
          const id = ++made
          const head = entryHead({ id: String(id), headers: ['X-Id', String(id)] })
          const writer = store.put(key, head)
          writer?.write(pattern(sizeOf(id), id))
          await writer?.commit()
          if (what < 0.2)
            await store.touch(key, { ...head, headers: ['X-Id', String(id), 'X-More', 'y'.repeat(id)] })
        } else if (what < 0.45) await store.delete(key)
        else if (what < 0.5) await store.purge({ url: 'http://a.example/' }, what < 0.48)
        else {
          const entry = await store.get(key)
          if (entry === undefined) continue
          const id = Number(entry.head.id)
          expect(entry.head.headers[1]).toBe(String(id))
          expect((await bodyBytes(entry.body())).equals(pattern(sizeOf(id), id))).toBe(true)
          entry.release?.()
        }
      }
    }
    await Promise.all([...stores, ...stores].map(worker))
    await until(() => stores.every(({ stats }) => stats.open === 0), 'every file to be closed')
    for (const store of stores) expect(store.stats).toMatchObject({ failed: 0, pending: 0 })
  })
})
