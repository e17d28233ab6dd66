import { describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { program } from '../../../test/kit/program.js'
import { seeded } from '../../../test/kit/seeded.js'
import { bodyBytes, pattern } from '../../../test/kit/store-entries.js'
import { storeFolder } from '../../../test/kit/store-folder.js'
import { fileStore } from './index.js'

const own = owner()

const keys = 40

/** Bytes of the body with this id: most are small, some are of several blocks. */
function sizeOf(id: number): number {
  return id % 3 === 0 ? 70_000 + (id % 7) * 90_000 : (id * 37) % 9_000
}

/** A program that writes entries without end, eight at a time, and says which it has committed. The body follows from the id. */
const writerProgram = `
  import { fileStore } from '@sluice/cache'
  const [folder, begin] = process.argv.slice(1)
  const pattern = ${pattern.toString()}
  const sizeOf = ${sizeOf.toString()}
  const store = fileStore({ folder })
  let next = Number(begin)
  async function write() {
    for (;;) {
      const id = next++
      const head = {
        id: String(id), primary: '', url: 'http://a.example/', tags: [], status: 200, headers: ['X-Id', String(id)],
        requestTime: 0, responseTime: 0, keepUntil: Date.now() + 3_600_000,
      }
      const body = pattern(sizeOf(id), id)
      const key = 'key ' + (id % ${keys})
      const writer = store.put(key, head)
      for (let at = 0; at < body.length; at += 30_000) {
        writer.write(body.subarray(at, at + 30_000))
        if (id % 2 === 0) await new Promise(setImmediate)
      }
      await writer.commit()
      console.log('committed ' + id)
      await store.touch(key, { ...head, headers: ['X-Id', String(id), 'X-Touched', 'x'.repeat(id % 2000)] })
    }
  }
  for (let i = 0; i < 8; i++) write()
`

describe('a file store whose process is killed in the middle of writing', () => {
  it('has what was committed, and nothing that is wrong', async () => {
    const folder = own(await storeFolder())
    const random = seeded(20_261)
    /** What was committed, by key. */
    const committed = new Map<number, number>()
    let begin = 0
    let leftBehind = 0
    for (let round = 0; round < 12; round++) {
      const child = own(program(['--input-type=module', '--eval', writerProgram, folder.path, String(begin)]))
      const enough = begin + 8 + Math.floor(random() * 60)
      await child.says(new RegExp(`committed ${enough}\\n`))
      // Wherever it is now.
      child.signalGroup('SIGKILL')
      await child.ended
      for (const [, id] of child.output.matchAll(/^committed (\d+)\n/gm)) {
        const key = Number(id) % keys
        committed.set(key, Math.max(Number(id), committed.get(key) ?? 0))
        begin = Math.max(begin, Number(id) + 100)
      }
      leftBehind += folder.files().filter((file) => file.endsWith('.tmp')).length

      const store = fileStore({ folder: folder.path })
      // Half of the time it is asked before it knows its files.
      if (round % 2 === 0) await store.ready()
      let found = 0
      for (let key = 0; key < keys; key++) {
        const entry = await store.get(`key ${key}`)
        if (entry === undefined) continue
        const id = Number(entry.head.id)
        expect(id % keys).toBe(key)
        expect(entry.head.headers.slice(0, 2)).toEqual(['X-Id', String(id)])
        expect((await bodyBytes(entry.body())).equals(pattern(sizeOf(id), id))).toBe(true)
        entry.release?.()
        if (committed.has(key)) found++
      }
      await store.ready()
      expect(folder.files().filter((file) => file.endsWith('.tmp'))).toEqual([])
      expect(store.stats.damaged).toBe(0)
      await store.close()
      // One that was given its name in the last moment may have been killed while its head was changed.
      expect(found).toBeGreaterThanOrEqual(committed.size - 1)
    }
    expect(committed.size).toBe(keys)
    expect(leftBehind).toBeGreaterThan(0)
  }, 60_000)
})
