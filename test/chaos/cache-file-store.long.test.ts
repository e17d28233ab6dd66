import { fileURLToPath } from 'node:url'
import { fileStore } from '@sluice/cache'
import { expect, it } from 'vitest'
import { type HttpClient, httpClient } from '../kit/client.js'
import { type FileCall, faultyFiles, systemError } from '../kit/faulty-files.js'
import { proxyOf } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { program } from '../kit/program.js'
import { value } from '../kit/raw-request.js'
import { seeded } from '../kit/seeded.js'
import { pattern } from '../kit/store-entries.js'
import { storeFolder } from '../kit/store-folder.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const urls = 150
const sizeOf = (id: number): number => (id % 4 === 0 ? 100_000 + id * 3_000 : (id * 131) % 12_000)
const bodies = Array.from({ length: urls }, (_, id) => pattern(sizeOf(id), id))

/** An origin whose bodies follow from the URL. */
async function origin() {
  return own(
    await originServer((req, res) => {
      const id = Number(/\d+/.exec(req.url ?? '')?.[0])
      const body = bodies[id] as Buffer
      const length = id % 3 === 0 ? [] : ['Content-Length', String(body.length)]
      res.writeHead(200, ['Cache-Control', 'max-age=3600', 'ETag', `"${id}"`, ...length])
      for (let at = 0; at < body.length; at += 30_000) res.write(body.subarray(at, at + 30_000))
      res.end()
    }),
  )
}

/** Asks for a page, by a range at times, and holds what comes against what it must be. Returns whether it was a hit. */
async function ask(client: HttpClient, random: () => number, killed = false): Promise<boolean> {
  const id = Math.floor(random() ** 2 * urls)
  const body = bodies[id] as Buffer
  const from = random() < 0.2 ? Math.floor(random() * body.length) : 0
  const headers = from === 0 ? [] : ['Range', `bytes=${from}-`]
  const { body: got, complete, headers: fields, status } = await client.ask({ path: `/${id}`, headers })
  // Whoever doesn't know the length yet gives all of it.
  const right = status === 206 ? body.subarray(from) : body
  expect([id, from > 0 || status === 200, [200, 206].includes(status)]).toEqual([id, true, true])
  // A killed process breaks off what it was sending: that much is right, too. A disk that fails breaks off nothing: the target has the rest.
  expect([id, complete || killed]).toEqual([id, true])
  expect([id, got.equals(complete ? right : right.subarray(0, got.length))]).toEqual([id, true])
  return value(fields, 'cache-status')?.includes('; hit;') === true
}

it('a proxy that is killed while it stores, and started again, gives no wrong byte', async () => {
  const target = await origin()
  const folder = own(await storeFolder())
  const random = seeded(5)
  const path = fileURLToPath(new URL('cache-file-proxy.mjs', import.meta.url))
  let [hits, killed, left] = [0, 0, 0]
  for (let round = 0; round < 8; round++) {
    const child = own(program([path, target.url, folder.path]))
    const [, port] = await child.says(/port (\d+)/)
    const client = httpClient({ port: Number(port) })
    const enough = 40 + Math.floor(random() * 150)
    let count = 0
    let over = false
    const worker = async (): Promise<void> => {
      while (!over) {
        try {
          if (await ask(client, random, true)) hits++
        } catch (error) {
          // It has been killed; what a test finds wrong is something else.
          if (!over || (error as Error).name === 'AssertionError') throw error
        }
        if (++count === enough) {
          over = true
          child.signalGroup('SIGKILL')
          killed++
        }
      }
    }
    await Promise.all(Array.from({ length: 12 }, worker))
    expect(await child.ended).toBe('SIGKILL')
    await client.close()
    left += folder.files().filter((file) => file.endsWith('.tmp')).length
  }
  expect(killed).toBe(8)
  // Else it never was killed in the middle of a file, or has found nothing again.
  expect(left).toBeGreaterThan(0)
  expect(hits).toBeGreaterThan(100)
  const store = own(fileStore({ folder: folder.path }))
  await store.ready()
  expect(store.stats.entries).toBeGreaterThan(10)
  expect(store.stats.damaged).toBe(0)
})

it('a disk that is full, or fails, costs hits alone', async () => {
  const target = await origin()
  const folder = own(await storeFolder())
  const random = seeded(6)
  let [full, failing, failed] = [false, false, 0]
  const before = ({ call, flags }: FileCall): void => {
    const writes = call === 'write' || (call === 'open' && flags !== 'r')
    const error =
      full && writes
        ? 'ENOSPC'
        : failing && random() < 0.1
          ? (['EIO', 'EMFILE', 'EACCES'] as const)[failed % 3]
          : undefined
    if (error === undefined) return
    failed++
    throw systemError(error, call)
  }
  const store = own(fileStore({ folder: folder.path, maxSize: '16mb' }, { fs: faultyFiles(before) }))
  const built = own(proxyOf({ targets: target.url, cache: { store, storeTimeout: '5s' } }))
  const { port } = await built.proxy.listen()
  const client = own(httpClient({ port }))
  const run = async (count: number): Promise<number> => {
    let [left, hits] = [count, 0]
    const worker = async () => {
      while (left-- > 0) if (await ask(client, random)) hits++
    }
    await Promise.all(Array.from({ length: 12 }, worker))
    return hits
  }
  expect(await run(400)).toBeGreaterThan(50)
  full = true
  // What is there is served, and what isn't comes from the target.
  await run(400)
  expect(failed).toBeGreaterThan(10)
  full = false
  failing = true
  await run(600)
  failing = false
  await run(200)
  expect(await run(400)).toBeGreaterThan(50)
  // An answer doesn't wait until it is written.
  await until(() => store.stats.pending === 0, 'everything to be written')
  expect(target.requests.length).toBeLessThan(2_000)
})
