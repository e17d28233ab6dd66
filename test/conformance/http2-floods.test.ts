import { once } from 'node:events'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { type Hardened, type HardenOptions, harden, serverOptions } from '@sluice/guard'
import { describe, expect, it } from 'vitest'
import { type FrameClient, frameClient, frameTypes, http2Frame, settingsFrame } from '../kit/http2-frames.js'
import { nodeMajor } from '../kit/node-major.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** RFC 9113 section 7. */
const enhanceYourCalm = 11
const cancel = Buffer.from([0, 0, 0, 8])

interface Listening {
  readonly port: number
  readonly hardened: Hardened
  readonly streams: ServerHttp2Stream[]
}

/** A server of HTTP/2 in the clear whose streams stay open until a test says otherwise. */
async function listening(
  options: HardenOptions = {},
  serve: (stream: ServerHttp2Stream) => void = () => {},
): Promise<Listening> {
  const { slow: _, ...limits } = options
  const server = createServer(serverOptions(limits))
  const hardened = harden(server, options)
  const streams: ServerHttp2Stream[] = []
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.on('stream', (stream) => {
    streams.push(stream)
    stream.on('error', () => {})
    serve(stream)
  })
  own({
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, hardened, streams }
}

/** From 22 on Node knows priorities no more, and nghttp2 itself ends who sends many. */
function endedByNode(what: string): boolean {
  return what.startsWith('PRIORITY') && nodeMajor >= 22
}

/** Writes `frame` of each number until the connection has ended, or `most` have gone. @returns how many have gone */
async function flood(client: FrameClient, most: number, frame: (i: number) => Buffer): Promise<number> {
  let sent = 0
  while (sent < most && !client.socket.destroyed) {
    const batch = Array.from({ length: 50 }, () => frame(sent++))
    client.write(Buffer.concat(batch))
    await new Promise((resolve) => setImmediate(resolve))
    // Who reads no more ends the flood, and after a while the connection: however fast it comes.
    const { socket } = client
    if (socket.writableNeedDrain && !socket.destroyed) {
      let goOn = () => {}
      await new Promise<void>((resolve) => {
        goOn = resolve
        socket.once('drain', goOn).once('close', goOn)
      })
      socket.off('drain', goOn).off('close', goOn)
    }
  }
  return sent
}

describe('a connection of HTTP/2', () => {
  it('is broken off after a burst of streams that are reset as soon as they are opened', async () => {
    const { port, hardened, streams } = await listening({ resets: { burst: 20, rate: 1 } })
    const client = own(await frameClient(port))
    const sent = await flood(client, 5_000, (i) =>
      Buffer.concat([
        http2Frame(frameTypes.headers, 5, 2 * i + 1, Buffer.from('828684410161', 'hex')),
        http2Frame(frameTypes.reset, 0, 2 * i + 1, cancel),
      ]),
    )
    await within(client.closed, 'its end')
    expect(sent).toBeLessThan(5_000)
    expect(hardened.refused).toEqual({ 'http2-resets': 1 })
    // Nothing is begun for the rest.
    expect(streams.length).toBeLessThan(60)
    expect(streams.every(({ destroyed }) => destroyed)).toBe(true)
  })

  it('hears why', async () => {
    const { port } = await listening({ resets: { burst: 3, rate: 1 } })
    const client = own(await frameClient(port))
    for (let i = 0; i < 4; i++) {
      client.request(2 * i + 1)
      client.write(http2Frame(frameTypes.reset, 0, 2 * i + 1, cancel))
    }
    await within(client.closed, 'its end')
    expect(client.goaway).toBe(enhanceYourCalm)
  })

  it.each([0, 2, 8])('is broken off as it resets answers that have begun, with code %s', async (code) => {
    const { port, hardened } = await listening({ resets: { burst: 3, rate: 1 } }, (stream) => {
      stream.respond({ ':status': 200 })
      stream.write('half')
    })
    const client = own(await frameClient(port))
    for (let i = 0; i < 4; i++) {
      client.request(2 * i + 1)
      await client.frame(frameTypes.data, 2 * i + 1)
      client.write(http2Frame(frameTypes.reset, 0, 2 * i + 1, Buffer.from([0, 0, 0, code])))
    }
    await within(client.closed, 'its end')
    expect(hardened.refused).toEqual({ 'http2-resets': 1 })
  })

  it.each([
    ['closed', (stream: ServerHttp2Stream): void => stream.close(2)],
    ['destroyed', (stream: ServerHttp2Stream): void => void stream.destroy(new Error('half way'))],
  ])('isn’t blamed for answers that fail half way: %s', async (_what, fail) => {
    const { port, hardened, streams } = await listening({ resets: { burst: 3, rate: 1 } }, (stream) => {
      stream.respond({ ':status': 200 })
      stream.write('half')
      setImmediate(() => fail(stream))
    })
    const client = own(await frameClient(port))
    for (let i = 0; i < 8; i++) {
      client.request(2 * i + 1)
      await until(() => streams[i]?.destroyed, 'its end')
    }
    expect(hardened.refused).toEqual({})
  })

  it('may reset what it has its answer to, and as many as it may have open', async () => {
    const { port, hardened, streams } = await listening({ resets: { burst: 5, rate: 1 } }, (stream) => {
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
    const client = own(await frameClient(port))
    for (let i = 0; i < 20; i++) {
      client.request(2 * i + 1)
      await until(() => streams[i]?.closed, 'its end')
      client.write(http2Frame(frameTypes.reset, 0, 2 * i + 1, cancel))
    }
    client.write(http2Frame(frameTypes.ping, 0, 0, Buffer.alloc(8)))
    await client.frame(frameTypes.ping)
    expect(hardened.refused).toEqual({})
  })

  it.each([
    // RFC 9113 sections 6.9 and 6.9.1.
    ['gives it a window of nothing more', frameTypes.windowUpdate, Buffer.alloc(4)],
    ['gives it more than a window may have', frameTypes.windowUpdate, Buffer.from([0x7f, 0xff, 0xff, 0xff])],
  ])(
    'is broken off where it makes the server reset its streams: %s (CVE-2025-8671)',
    async (_what, type, payload) => {
      const { port, streams } = await listening({ resets: { burst: 20, rate: 1 } })
      const client = own(await frameClient(port))
      await flood(client, 5_000, (i) =>
        Buffer.concat([
          http2Frame(frameTypes.headers, 5, 2 * i + 1, Buffer.from('828684410161', 'hex')),
          http2Frame(type, 0, 2 * i + 1, payload),
        ]),
      )
      await within(client.closed, 'its end')
      expect(streams.length).toBeLessThan(120)
    },
  )

  it.each([
    ['PING (CVE-2019-9512)', () => http2Frame(frameTypes.ping, 0, 0, Buffer.alloc(8))],
    ['SETTINGS (CVE-2019-9515)', () => settingsFrame({ 3: 100 })],
    ['empty SETTINGS', () => settingsFrame()],
    ['PRIORITY (CVE-2019-9513)', () => http2Frame(frameTypes.priority, 0, 1, Buffer.from([0, 0, 0, 0, 1]))],
  ])('is broken off after a burst of %s', async (what, frame) => {
    const { port, hardened } = await listening({ controlFrames: { burst: 100, rate: 1 } })
    const client = own(await frameClient(port))
    client.request(1)
    await flood(client, 50_000, frame)
    await within(client.closed, 'its end')
    expect(hardened.refused).toEqual(endedByNode(what) ? {} : { 'http2-control-frames': 1 })
  })

  it.each([
    [
      'CONTINUATION (CVE-2024-27983)',
      (i: number) =>
        i === 0
          ? http2Frame(frameTypes.headers, 0, 1, Buffer.from('828684410161', 'hex'))
          : http2Frame(frameTypes.continuation, 0, 1, Buffer.from('400178017a', 'hex')),
    ],
    [
      'empty CONTINUATION',
      (i: number) =>
        i === 0
          ? http2Frame(frameTypes.headers, 0, 1, Buffer.from('828684410161', 'hex'))
          : http2Frame(frameTypes.continuation, 0, 1),
    ],
    [
      'empty DATA (CVE-2019-9518)',
      (i: number) =>
        i === 0
          ? http2Frame(frameTypes.headers, 4, 1, Buffer.from('838684410161', 'hex'))
          : http2Frame(frameTypes.data, 0, 1),
    ],
    ['frames that are none', () => http2Frame(frameTypes.ping, 0, 7, Buffer.alloc(3))],
  ])('is broken off by Node after a burst of %s', async (_what, frame) => {
    // Of some Node reads no more and says GOAWAY, and the connection rests.
    const { port, streams } = await listening({ head: 100 })
    const client = own(await frameClient(port))
    // More than the system's buffers hold.
    const sent = await flood(client, 1_000_000, frame)
    await within(client.closed, 'its end')
    expect(sent).toBeLessThan(1_000_000)
    expect(streams.length).toBeLessThanOrEqual(1)
  })

  it('has a stream reset whose head is larger than can be', async () => {
    const { port, streams } = await listening()
    const client = own(await frameClient(port))
    // One field again and again out of the table of HPACK (CVE-2016-6581): a byte each.
    const first = Buffer.concat([
      Buffer.from('828684410161', 'hex'),
      Buffer.from('400178', 'hex'),
      Buffer.from([0x7f, 0x81, 0x1e]),
      Buffer.alloc(4_000, 0x61),
    ])
    const block = Buffer.concat([first, Buffer.alloc(4_000, 0xbe)])
    client.write(http2Frame(frameTypes.headers, 5, 1, block))
    await Promise.race([client.frame(frameTypes.reset, 1), client.frame(frameTypes.goaway)])
    expect(streams).toHaveLength(0)
  })

  it('has no more streams open than it may', async () => {
    const { port, streams } = await listening({ streams: 3 })
    const client = own(await frameClient(port))
    const settings = await client.frame(frameTypes.settings)
    expect(settings.payload.includes(Buffer.from([0, 3, 0, 0, 0, 3]))).toBe(true)
    for (let i = 0; i < 4; i++) client.request(2 * i + 1)
    const refused = await client.frame(frameTypes.reset)
    expect(refused.stream).toBe(7)
    expect(streams).toHaveLength(3)
  })

  it('ends without a first stream, whatever else goes over it', async () => {
    const { port, hardened } = await listening({ head: 60 })
    const client = own(await frameClient(port))
    // A head that never ends.
    client.write(http2Frame(frameTypes.headers, 0, 1, Buffer.from('8286', 'hex')))
    await within(client.closed, 'its end')
    expect(hardened.refused).toEqual({ 'head-timeout': 1 })
  })

  it('ends without a stream after a while, pings or not', async () => {
    const { port, hardened } = await listening({ idle: 80 }, (stream) => {
      stream.respond({ ':status': 200 }, { endStream: true })
    })
    const client = own(await frameClient(port))
    client.request(1)
    const pings = setInterval(() => client.write(http2Frame(frameTypes.ping, 0, 0, Buffer.alloc(8))), 10)
    own({ close: () => clearInterval(pings) })
    await within(client.closed, 'its end')
    expect(client.goaway).toBe(0)
    expect(hardened.refused).toEqual({})
  })
})
