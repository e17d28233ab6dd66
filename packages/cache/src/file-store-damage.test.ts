import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { faultyFiles } from '../../../test/kit/faulty-files.js'
import { owner } from '../../../test/kit/owner.js'
import { seeded } from '../../../test/kit/seeded.js'
import { bodyBytes, entryHead, pattern } from '../../../test/kit/store-entries.js'
import { type StoreFolder, storeFolder } from '../../../test/kit/store-folder.js'
import { deferred } from '../../../test/kit/until.js'
import { type EntryHead, type FileStore, fileStore } from './index.js'

const own = owner()

const head: EntryHead = entryHead({ tags: ['one'], headers: ['X-A', '1'] })
const trailers = ['X-Sum', 'abc']

/** The file of an entry in a folder of its own. */
async function stored(
  body: Buffer,
  after = trailers,
): Promise<{ folder: StoreFolder; file: string; whole: Buffer }> {
  const folder = own(await storeFolder())
  const store = own(fileStore({ folder: folder.path }))
  const writer = store.put('key', head)
  writer?.write(body)
  await writer?.commit(after)
  await store.close()
  const [file = ''] = folder.files()
  return { folder, file, whole: readFileSync(file) }
}

/** What a store that begins with this file gives: the bytes, how far they could be read, or nothing. */
async function given(store: FileStore): Promise<{ bytes: Buffer; cut: boolean } | undefined> {
  const entry = await store.get('key')
  if (entry === undefined) return undefined
  expect(entry.head).toEqual(head)
  expect(entry.trailers).toEqual(trailers)
  const parts: Buffer[] = []
  let cut = false
  const body = entry.body()
  if (body instanceof Uint8Array) parts.push(Buffer.from(body))
  else {
    try {
      const { readable } = body as { readable(): AsyncIterable<Buffer> }
      for await (const part of readable.call(body)) parts.push(Buffer.from(part))
    } catch {
      cut = true
    }
  }
  entry.release?.()
  return { bytes: Buffer.concat(parts), cut }
}

describe.each([
  ['while its files are being looked at', false],
  ['when it knows its files', true],
])('a file store, %s,', (_, ready) => {
  async function ask(folder: StoreFolder): Promise<{ bytes: Buffer; cut: boolean } | undefined> {
    const store = fileStore({ folder: folder.path })
    if (ready) await store.ready()
    const found = await given(store)
    await store.close()
    return found
  }

  it('gives nothing of a file that ends too soon, wherever', async () => {
    const body = pattern(200, 1)
    const { folder, file, whole } = await stored(body)
    expect(await ask(folder)).toEqual({ bytes: body, cut: false })
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(file, whole.subarray(0, length))
      expect(await ask(folder), `${length} of ${whole.length} bytes`).toBeUndefined()
      expect(folder.files()).toEqual([])
    }
  })

  it('never gives a wrong byte of a file with one flipped, wherever', async () => {
    const body = pattern(200, 2)
    const { folder, file, whole } = await stored(body)
    let unharmed = 0
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] as number) ^ (1 << (at % 8))
      writeFileSync(file, changed)
      const found = await ask(folder)
      if (found === undefined) continue
      unharmed++
      expect(found, `byte ${at}`).toEqual({ bytes: body, cut: false })
    }
    // The room for other heads has nothing in it.
    expect(unharmed).toBeGreaterThan(0)
    expect(unharmed).toBeLessThan(whole.length / 2 + 300)
  })

  it('cuts a long body before what is damaged', async () => {
    const body = pattern(300_000, 3)
    const { folder, file, whole } = await stored(body)
    const random = seeded(1)
    for (let i = 0; i < 60; i++) {
      const at = Math.floor(random() * whole.length)
      const changed = i % 2 === 0 ? whole.subarray(0, at) : Buffer.from(whole)
      if (i % 2 === 1) changed[at] = (changed[at] as number) ^ (1 << (i % 8))
      writeFileSync(file, changed)
      const found = await ask(folder)
      if (found === undefined) continue
      expect(found.bytes.equals(body.subarray(0, found.bytes.length))).toBe(true)
      expect(found.bytes.length === body.length).toBe(!found.cut)
    }
  })

  it('gives nothing of a long file that has lost its end', async () => {
    // Trailers would tell.
    const { folder, file, whole } = await stored(pattern(300_000, 3), [])
    for (const lost of [1, 10, 100_000]) {
      writeFileSync(file, whole.subarray(0, whole.length - lost))
      expect(await ask(folder)).toBeUndefined()
      expect(folder.files()).toEqual([])
    }
  })

  it('looks at a block of a part alone', async () => {
    const body = pattern(300_000, 4)
    const { folder, file, whole } = await stored(body)
    const changed = Buffer.from(whole)
    const at = changed.indexOf(body.subarray(150_000, 150_020))
    changed[at] = (changed[at] as number) ^ 1
    writeFileSync(file, changed)
    const store = own(fileStore({ folder: folder.path }))
    if (ready) await store.ready()
    const entry = await store.get('key')
    if (entry === undefined) throw new Error('it is damaged further on only')
    expect((await bodyBytes(entry.body(0, 131_072))).equals(body.subarray(0, 131_072))).toBe(true)
    expect((await bodyBytes(entry.body(200_000, 299_000))).equals(body.subarray(200_000, 299_000))).toBe(true)
    await expect(bodyBytes(entry.body(131_072, 131_073))).rejects.toThrow('damaged')
    entry.release?.()
    await store.close()
    expect(store.stats.damaged).toBe(1)
    expect(folder.files()).toEqual([])
  })

  it("doesn't take a file under another name for that of its key", async () => {
    const { folder, file } = await stored(pattern(10, 5))
    const other = own(await storeFolder())
    const store = fileStore({ folder: other.path })
    await store.put('other', entryHead())?.commit()
    await store.close()
    writeFileSync(other.files()[0] as string, readFileSync(file))
    const again = own(fileStore({ folder: other.path }))
    if (ready) await again.ready()
    expect(await again.get('other')).toBeUndefined()
    expect(folder.files()).toHaveLength(1)
  })
})

describe('a file store', () => {
  it.each([
    ['short', 100],
    ['long', 300_000],
  ])('removes what it finds damaged in a %s body while it looks at its head', async (_, size) => {
    const body = pattern(size, 6)
    const { folder, file, whole } = await stored(body)
    const changed = Buffer.from(whole)
    const at = changed.indexOf(body.subarray(size / 2, size / 2 + 20))
    changed[at] = (changed[at] as number) ^ 1
    writeFileSync(file, changed)
    const listing = deferred()
    const looking = deferred()
    const looked = deferred()
    let asked = false
    const store = own(
      fileStore(
        { folder: folder.path },
        {
          fs: faultyFiles(async ({ call }) => {
            if (call === 'readdir') await listing.promise
            if (call !== 'stat' || !asked) return
            looking.resolve()
            await looked.promise
          }),
        },
      ),
    )
    const entry = size > 1_000 ? await store.get('key') : undefined
    asked = true
    listing.resolve()
    await looking.promise
    if (entry === undefined) expect(await store.get('key')).toBeUndefined()
    else await expect(bodyBytes(entry.body())).rejects.toThrow('damaged')
    entry?.release?.()
    looked.resolve()
    await store.ready()
    await store.close()
    expect(store.stats).toMatchObject({ entries: 0, damaged: 1 })
    expect(folder.files()).toEqual([])
  })
})
