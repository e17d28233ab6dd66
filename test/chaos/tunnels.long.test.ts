import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { attached, listening } from '../kit/fronts.js'
import { heapInUse } from '../kit/heap.js'
import { leakCheck } from '../kit/leak-check.js'
import { owner } from '../kit/owner.js'
import { type RawClient, rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const rounds = 10_000
const atOnce = 10

const handshake = [
  'GET /ws HTTP/1.1',
  'Host: a',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]
const accepted = [
  'HTTP/1.1 101 Switching Protocols',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  '\r\n',
].join('\r\n')

/** `hi` in a frame of the client's (masked with zeros) and in one of the target's. */
const fromClient = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])
const fromTarget = Buffer.from([0x81, 2, 0x68, 0x69])

/** A target that opens every WebSocket and sends one frame for one frame; how it ends, the test says. */
interface Target {
  readonly url: string
  readonly sockets: number
  /** The target's end of the WebSocket with this number, which has spoken. */
  spoken(number: string): Promise<Socket>
  close(): Promise<void>
}

async function target(): Promise<Target> {
  const sockets = new Set<Socket>()
  const spoken = new Map<string, ReturnType<typeof deferred<Socket>>>()
  const of = (number: string): ReturnType<typeof deferred<Socket>> => {
    const found = spoken.get(number) ?? deferred<Socket>()
    spoken.set(number, found)
    return found
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    let head = ''
    let frame = 0
    socket.on('data', (chunk: Buffer) => {
      if (head.endsWith('\r\n\r\n')) frame += chunk.length
      else {
        head += chunk.toString('latin1')
        const end = head.indexOf('\r\n\r\n') + 4
        if (end === 3) return
        frame += head.length - end
        head = head.slice(0, end)
        socket.write(accepted, 'latin1')
      }
      if (frame < fromClient.length) return
      socket.write(fromTarget)
      of(/^x-number: (.*)\r$/im.exec(head)?.[1] as string).resolve(socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get sockets() {
      return sockets.size
    },
    async spoken(number) {
      const socket = await within(of(number).promise, `a frame at the target of WebSocket ${number}`)
      spoken.delete(number)
      return socket
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** Ways in which it ends, once both sides have heard each other. */
const endings: Record<string, (client: RawClient, socket: Socket) => void> = {
  'the client first': (client) => void client.socket.end(),
  'the target first': (_client, socket) => void socket.end(),
  'both at once': (client, socket) => {
    client.socket.end()
    socket.end()
  },
  'the client, with a reset': (client) => client.reset(),
  'the target, with a reset': (_client, socket) => void socket.resetAndDestroy(),
  'both at once, with a reset': (client, socket) => {
    client.reset()
    socket.resetAndDestroy()
  },
  'the client, with a reset right behind a frame': (client) => {
    client.write(fromClient)
    client.reset()
  },
  'the target, with a reset behind more than fits': (_client, socket) => {
    for (let i = 0; i < 4; i++) socket.write(Buffer.alloc(64 * 1024))
    socket.resetAndDestroy()
  },
}

describe.each([listening, attached])(`${rounds} WebSockets that open and close, through $name`, (kind) => {
  it(`${Object.keys(endings).join('; ')}: nothing is left`, async () => {
    const leaks = leakCheck()
    const origin = own(await target())
    const front = own(await kind.start(origin.url))
    const heard: Record<string, number> = {}

    const once = async (index: number): Promise<void> => {
      const client = await rawClient(front.port, { allowHalfOpen: true })
      client.socket.on('end', () => client.socket.end())
      const number = String(index)
      const head = [...handshake, `X-Number: ${number}`, '\r\n'].join('\r\n')
      // The first frame comes behind the head, or right with it.
      if (index % 2 === 0) {
        client.write(head)
        await client.until('\r\n\r\n')
        client.write(fromClient)
      } else client.write(Buffer.concat([Buffer.from(head), fromClient]))
      const socket = await origin.spoken(number)
      await client.until(fromTarget.toString('latin1', 1))
      expect(client.text.split('\r\n')[0]).toBe('HTTP/1.1 101 Switching Protocols')
      const names = Object.keys(endings)
      const name = names[(index >> 1) % names.length] as string
      const closed = new Promise<void>((resolve) =>
        socket.destroyed ? resolve() : socket.on('close', resolve),
      )
      ;(endings[name] as (typeof endings)[string])(client, socket)
      await within(Promise.all([client.closed, closed]), `both ends to close: ${name}`)
      heard[name] = (heard[name] ?? 0) + 1
    }
    const run = async (from: number, count: number): Promise<void> => {
      let next = from
      const worker = async (): Promise<void> => {
        for (let index = next++; index < from + count; index = next++) await once(index)
      }
      await Promise.all(Array.from({ length: atOnce }, worker))
      await until(() => front.inFlight === 0, 'all leases to be released')
    }

    await run(0, rounds * 0.2)
    const before = await heapInUse()
    await run(rounds * 0.2, rounds * 0.8)
    let more = 0
    await until(
      async () => {
        more = (await heapInUse()) - before
        return more < 4 * 1024 * 1024
      },
      () => `the heap to be as it was; it has ${more} bytes more`,
    )
    for (const name of Object.keys(endings)) expect([name, heard[name]]).toEqual([name, rounds / 8])
    expect(origin.sockets).toBe(0)
    for (const { inFlight } of front.upstream.all) expect(inFlight).toBe(0)
    await front.close()
    await origin.close()
    await leaks.settled()
  }, 120_000)
})
