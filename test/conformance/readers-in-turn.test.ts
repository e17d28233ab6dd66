import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { SlowOptions } from '@sluice/guard'
import { beforeAll, describe, expect, it } from 'vitest'
import { hardenedServer, http2Kinds, type ServerKind } from '../kit/hardened-server.js'
import { frameClient, frameTypes, http2Frame } from '../kit/http2-frames.js'
import { owner } from '../kit/owner.js'
import { slowLine } from '../kit/slow-line.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'
import { type X509Pair, x509SelfSigned } from '../kit/x509.js'

trapUnhandled()
const own = owner()
let pair: X509Pair
beforeAll(async () => {
  pair = await x509SelfSigned({ names: ['localhost'] })
})

const windowOfConnection = 65_535
const half = Buffer.alloc(64 * 1024)

/** More than anybody takes; to a POST a head, and no body. */
const endless: RequestListener = (req, res) => {
  if (req.method === 'POST') {
    req.resume()
    return void res.end()
  }
  const more = (): void => {
    while (!res.destroyed && res.write(half));
  }
  res.on('drain', more)
  more()
}

/** Room for so many bytes more (RFC 9113 section 6.9). @param stream 0: of the whole connection */
function room(bytes: number, stream: number): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(bytes)
  return http2Frame(frameTypes.windowUpdate, 0, stream, size)
}

/** A connection that is no socket, as what an app makes of one. */
function duplexOver(socket: Socket): Duplex {
  const duplex = new Duplex({
    read: () => void socket.resume(),
    write: (bytes, _encoding, done) => void socket.write(bytes, () => done()),
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (bytes) => duplex.push(bytes))
  socket.on('close', () => duplex.destroy())
  socket.on('error', () => {})
  return duplex
}

it('resets streams for which no room is made, over what is no socket too', async () => {
  const kind = http2Kinds(() => pair)[0] as ServerKind
  const { look, refused, server, turn } = own(
    await hardenedServer(kind, endless, { slow: { readGrace: 60 } }, true),
  )
  const front = createServer((socket) => void server.emit('connection', duplexOver(socket)))
  own({ close: () => front.close() })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  let count = 0
  for (const window of [20_000, windowOfConnection]) {
    count++
    const client = own(await frameClient((front.address() as AddressInfo).port, { settings: { 4: window } }))
    client.request(1)
    let taken = 0
    await until(() => {
      taken = client.frames.reduce((sum, each) => sum + (each.type === 0 ? each.payload.length : 0), 0)
      return taken === window
    }, 'all that there is room for')
    for (let i = 0; i < 7 && (refused['reader-too-slow'] ?? 0) < count; i++) {
      look(15)
      while (turn());
    }
    expect((await client.frame(frameTypes.reset, 1)).payload.readUInt32BE(0)).toBe(8)
  }
  expect(refused).toEqual({ 'reader-too-slow': 2 })
})

it('looks at the streams of many connections in several turns', async () => {
  const kind = http2Kinds(() => pair)[0] as ServerKind
  let open = 0
  const { look, port, refused, turn } = own(await hardenedServer(kind, () => void open++, {}, true))
  const clients = await Promise.all([1, 2, 3].map(async () => own(await frameClient(port))))
  for (const client of clients) for (let i = 0; i < 60; i++) client.request(1 + 2 * i)
  await until(() => open === 180, 'all requests')
  look(15)
  // The connections and two sessions; the third.
  expect([turn(), turn()]).toEqual([true, false])
  expect(refused).toEqual({})
})

describe.each(http2Kinds(() => pair))(
  'over $name, a client whose streams share what room there is',
  (kind) => {
    const { tls } = kind

    /** Three answers that never end. @param window of each stream */
    async function reader(slow: SlowOptions, window: number) {
      const all = own(await hardenedServer(kind, endless, { slow }, true))
      // HPACK has no table: each field stands there in full.
      const client = own(await frameClient(all.port, { tls, settings: { 1: 0, 4: window } }))
      const count = (type: number): number => client.frames.filter((each) => each.type === type).length
      const taken = (): number =>
        client.frames.reduce(
          (sum, { payload, type }) => sum + (type === frameTypes.data ? payload.length : 0),
          0,
        )
      for (const stream of [1, 3, 5]) client.request(stream)
      const most = Math.min(windowOfConnection, 3 * window)
      await until(() => taken() === most, 'all that there is room for')
      const look = (): void => {
        all.look(15)
        while (all.turn());
      }
      /** All that was written before has been read. */
      const heard = async (): Promise<void> => {
        const before = count(frameTypes.ping)
        client.write(http2Frame(frameTypes.ping, 0, 0, Buffer.alloc(8)))
        await until(() => count(frameTypes.ping) > before, 'an answer to a ping')
      }
      /** For what has no body. */
      const ask = (stream: number) => {
        client.request(stream, true)
        client.write(http2Frame(frameTypes.data, 1, stream, Buffer.alloc(0)))
        return client.frame(frameTypes.headers, stream)
      }
      return { ask, client, heard, look, most, refused: all.refused, taken }
    }

    it('has 50 answers over a slow line, however long each waits for its turn', async () => {
      const body = Buffer.alloc(100_000)
      const { look, port, refused, turn } = own(
        await hardenedServer(kind, (_req, res) => void res.end(body), {}, true),
      )
      const line = own(await slowLine(port))
      const session: ClientHttp2Session = connect(`${tls ? 'https' : 'http'}://localhost:${line.port}`, {
        rejectUnauthorized: false,
      })
      own({ close: () => session.destroy() })
      session.on('error', () => {})
      const sizes: number[] = []
      let seconds = 0
      session.on('connect', () => {
        for (let i = 0; i < 50; i++) {
          let size = 0
          const stream = session.request({ ':path': '/' })
          stream.on('error', () => {})
          stream.on('data', (bytes: Buffer) => {
            size += bytes.length
          })
          stream.on('close', () => sizes.push(size))
        }
      })
      while (sizes.length < 50) {
        await until(() => line.held > 0 || sizes.length === 50, 'what comes next')
        line.pass(40_000)
        look(2_000)
        while (turn());
        seconds += 2
      }
      expect(refused).toEqual({})
      expect(new Set(sizes)).toEqual(new Set([body.length]))
      // Five megabytes: all of them have waited for longer than one alone may stand.
      expect(seconds).toBeGreaterThan(200)
    })

    it.each([
      ['', 0],
      [', and after many small answers', 200],
    ])('is let be while it makes some, however long a stream waits for its turn%s', async (_when, small) => {
      const { ask, client, look, most, refused, taken } = await reader(
        { minRate: 240, grace: 60, readGrace: 60 },
        windowOfConnection,
      )
      look()
      await Promise.all(Array.from({ length: small }, (_, i) => ask(7 + 2 * i)))
      for (let i = 1; i <= 20; i++) {
        client.write(room(100, 0))
        await until(() => taken() === most + i * 100, 'what there is room for')
        look()
      }
      expect(refused).toEqual({})
    })

    it('is let be while it takes answers whose heads have more in them than their bodies', async () => {
      const body = Buffer.alloc(600)
      const policy = 'x'.repeat(1_000)
      const all = own(
        await hardenedServer(
          kind,
          (_req, res) => void res.writeHead(200, { 'content-security-policy': policy }).end(body),
          { slow: { minRate: 240, grace: 60, readGrace: 60 } },
          true,
        ),
      )
      const client = own(await frameClient(all.port, { tls }))
      const taken = (): number =>
        client.frames.reduce(
          (sum, each) => sum + (each.type === frameTypes.data ? each.payload.length : 0),
          0,
        )
      let next = 1
      const ask = (): void => {
        client.request(next)
        next += 2
      }
      for (let i = 0; i < 130; i++) ask()
      await until(() => taken() === windowOfConnection, 'all that there is room for')
      for (let i = 1; i <= 8; i++) {
        all.look(15)
        while (all.turn());
        for (let each = 0; each < 12; each++) ask()
        client.write(room(12 * body.length, 0))
        const most = windowOfConnection + i * 12 * body.length
        await until(
          () => taken() === most || all.refused['reader-too-slow'] !== undefined,
          'what there is room for',
        )
      }
      expect(all.refused).toEqual({})
    })

    type Reader = Awaited<ReturnType<typeof reader>>
    it.each<[string, number, number, (reader: Reader, i: number) => Promise<unknown>]>([
      ['makes none', windowOfConnection, 240, () => Promise.resolve()],
      ['makes none, and asks whether we live', windowOfConnection, 240, ({ heard }) => heard()],
      ['makes none, and asks for what has no body', windowOfConnection, 240, ({ ask }, i) => ask(7 + 2 * i)],
      [
        'makes some for its streams and for itself in turn, a byte at a time',
        20_000,
        24_000,
        async ({ client, heard, most, taken }, i) => {
          if (i === 0) {
            // The room of the connection that its streams had none for.
            client.write(room(windowOfConnection - most, 3))
            await until(() => taken() === windowOfConnection, 'all of it')
          } else if (i % 2 === 1) {
            client.write(room(1, 0))
            await heard()
          } else {
            client.write(room(1, 1))
            await until(() => taken() === windowOfConnection + i / 2, 'a byte')
          }
        },
      ],
    ])('has its streams reset where it %s', async (_what, window, minRate, step) => {
      const slow = { minRate, grace: 60, readGrace: 60 }
      const given = await reader(slow, window)
      const { client, refused } = given
      for (let i = 0; i < 7 && refused['reader-too-slow'] === undefined; i++) {
        await step(given, i)
        given.look()
      }
      expect(refused).toEqual({ 'reader-too-slow': 3 })
      for (const stream of [1, 3, 5])
        expect((await client.frame(frameTypes.reset, stream)).payload.readUInt32BE(0)).toBe(8)
      expect(client.socket.destroyed).toBe(false)
    })
  },
)
