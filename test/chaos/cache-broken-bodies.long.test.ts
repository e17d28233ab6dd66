import { fileStore, memoryStore, type Store } from '@sluice/cache'
import { describe, expect, it } from 'vitest'
import { statusOf } from '../kit/cached-site.js'
import { httpClient } from '../kit/client.js'
import { proxyOf } from '../kit/fronts.js'
import { owner } from '../kit/owner.js'
import { type RawConnection, rawOrigin } from '../kit/raw-origin.js'
import { pattern } from '../kit/store-entries.js'
import { storeFolder } from '../kit/store-folder.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const bytes = pattern(20_000, 21)
const ok = (fields: string) =>
  `HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: "v1"\r\n${fields}\r\n\r\n`
const said = (length: number) => ok(`Content-Length: ${length}`)
const whole = async (connection: RawConnection): Promise<void> => {
  await connection.write(
    Buffer.concat([Buffer.from(ok(`Content-Length: ${bytes.length}\r\nConnection: close`)), bytes]),
  )
  connection.end()
}
const chunk = (part: Buffer) =>
  Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')])

/** What the target sends, of which only the last is the whole. */
interface Breach {
  readonly name: string
  send(connection: RawConnection, at: number): Promise<void>
}

const breaches: readonly Breach[] = [
  {
    name: 'a reset in a body of said length',
    async send(connection, at) {
      await connection.write(Buffer.concat([Buffer.from(said(bytes.length)), bytes.subarray(0, at)]))
      connection.reset()
    },
  },
  {
    name: 'an end in a body of said length',
    async send(connection, at) {
      await connection.write(Buffer.concat([Buffer.from(said(bytes.length)), bytes.subarray(0, at)]))
      connection.end()
    },
  },
  {
    name: 'an end in a chunk',
    async send(connection, at) {
      const framed = chunk(bytes).subarray(0, at + 6)
      await connection.write(Buffer.concat([Buffer.from(ok('Transfer-Encoding: chunked')), framed]))
      connection.end()
    },
  },
  {
    name: 'an end after a chunk, with no last one',
    async send(connection, at) {
      const framed = at === 0 ? Buffer.alloc(0) : chunk(bytes.subarray(0, at))
      await connection.write(Buffer.concat([Buffer.from(ok('Transfer-Encoding: chunked')), framed]))
      connection.end()
    },
  },
  {
    name: 'a chunk that is none',
    async send(connection, at) {
      const framed = at === 0 ? Buffer.alloc(0) : chunk(bytes.subarray(0, at))
      await connection.write(
        Buffer.concat([Buffer.from(ok('Transfer-Encoding: chunked')), framed, Buffer.from('zz\r\n')]),
      )
    },
  },
]

const stores: [string, () => Promise<Store>][] = [
  ['memoryStore', async () => own(memoryStore())],
  ['fileStore', async () => own(fileStore({ folder: own(await storeFolder()).path }))],
]

describe.each(stores)('a body that breaks off, over a %s', (_name, makeStore) => {
  it.each(breaches)('is never stored as whole: $name', async ({ send }) => {
    let at: number | undefined = 0
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        if (at !== undefined) return send(connection, at)
        return whole(connection)
      }),
    )
    const store = await makeStore()
    const built = own(proxyOf({ targets: origin.url, retry: false, cache: { store } }))
    const { port } = await built.proxy.listen()
    const client = own(httpClient({ port }))
    for (at = 0; at < bytes.length; at += 1_000) {
      const path: string = `/${at}`
      const before = origin.connections.length
      // Two at once share what breaks off, and one after them finds nothing.
      for (const answers of [
        await Promise.all([client.ask({ path }), client.ask({ path })]),
        [await client.ask({ path })],
      ])
        for (const { body, complete, status } of answers) {
          expect([at, status === 200 && complete]).toEqual([at, false])
          if (status === 200) expect([at, body.equals(bytes.subarray(0, body.length))]).toEqual([at, true])
        }
      expect(origin.connections.length - before).toBeGreaterThan(1)
      at = undefined
      for (const hit of [false, true]) {
        const answer = await client.ask({ path })
        expect([path, answer.complete, answer.body.equals(bytes)]).toEqual([path, true, true])
        expect(statusOf(answer)).toMatch(hit ? /; (hit|collapsed);/ : /; stored;/)
      }
      at = Number(path.slice(1))
    }
    await until(() => built.upstream.all.every(({ inFlight }) => inFlight === 0), 'the leases to be released')
  })

  it('is served from what was stored before, whole, or not at all', async () => {
    let how: number | undefined
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        if (how === undefined) await whole(connection)
        else await breaches[0]?.send(connection, how)
      }),
    )
    let now = Date.now()
    const store = await makeStore()
    const built = own(proxyOf({ targets: origin.url, retry: false, cache: { store, clock: () => now } }))
    const { port } = await built.proxy.listen()
    const client = own(httpClient({ port }))
    await client.ask()
    for (let at = 0; at < bytes.length; at += 1_000) {
      how = at
      now += 61_000
      const { body, complete, status } = await client.ask()
      // It breaks off, or is the old one from a head that has never come.
      if (complete && status === 200) expect([at, body.equals(bytes)]).toEqual([at, true])
      how = undefined
      const again = await client.ask()
      expect([at, again.complete, again.body.equals(bytes)]).toEqual([at, true, true])
    }
  })

  it('is taken as it is framed where it says another length than it has', async () => {
    const lengths = [0, 1, 19_000, 19_999, 20_001, 21_000]
    const origin = own(
      await rawOrigin(async (connection) => {
        const head = await connection.head()
        const length = Number(/^GET \/(\d+)/.exec(head)?.[1])
        await connection.write(Buffer.concat([Buffer.from(said(length)), bytes]))
        connection.end()
      }),
    )
    const store = await makeStore()
    const built = own(proxyOf({ targets: origin.url, retry: false, cache: { store } }))
    const { port } = await built.proxy.listen()
    const client = own(httpClient({ port }))
    for (const length of lengths) {
      const asks = [1, 2, 3].map(() => client.ask({ path: `/${length}` }))
      for (const { body, complete, status } of await Promise.all(asks)) {
        if (!complete || status !== 200) continue
        // More than was said is no part of it.
        expect([length, body.equals(bytes.subarray(0, length)), length <= bytes.length]).toEqual([
          length,
          true,
          true,
        ])
      }
    }
  })
})
