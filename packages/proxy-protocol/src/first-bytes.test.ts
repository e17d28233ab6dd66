import { createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { listen } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { rawClient } from '../../../test/kit/raw-request.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until } from '../../../test/kit/until.js'
import { beforeServed, firstBytes, type NoBeginning } from './index.js'

trapUnhandled()
const own = owner()

interface Served {
  readonly socket: Socket
  readonly why: NoBeginning | undefined
  /** Listeners before and after. */
  readonly listeners: [number[], number[]]
  text: string
  ended: boolean
}

const events = ['readable', 'data', 'end', 'error', 'close']
const counts = (socket: Socket): number[] => events.map((event) => socket.listenerCount(event))

/** How whoever is next begins. */
type Begin = (socket: Socket, take: () => void) => void

const atOnce: Begin = (_socket, take) => take()

/** A server that reads up to the first `|` of each connection, and then keeps what comes. */
async function server({ timeout = 60_000, begin = atOnce }: { timeout?: number; begin?: Begin } = {}) {
  const served: Served[] = []
  const seen: string[] = []
  const begun: Socket[] = []
  const tcp = createServer({ allowHalfOpen: true })
  const { port } = own(await listen(tcp as never))
  beforeServed(tcp, (socket) => {
    begun.push(socket)
    const before = counts(socket)
    const read = (bytes: Buffer): number | undefined => {
      seen.push(bytes.toString('latin1'))
      const at = bytes.indexOf('|')
      return at === -1 ? undefined : at + 1
    }
    firstBytes(socket, timeout, read, (why) => {
      const one: Served = { socket, why, listeners: [before, counts(socket)], text: '', ended: false }
      served.push(one)
      begin(socket, () => {
        socket.on('error', () => {})
        socket.on('data', (chunk: Buffer) => {
          one.text += chunk.toString('latin1')
        })
        socket.on('end', () => {
          one.ended = true
          socket.end()
        })
      })
    })
  })
  return { port, served, seen, begun }
}

describe('the beginning of a connection', () => {
  it.each([false, true])(
    'is what is used up; the rest is there for whoever is next, later: %s',
    async (later) => {
      const { port, served } = await server({ begin: later ? (_socket, take) => setImmediate(take) : atOnce })
      const client = await rawClient(port)
      client.write('abc|de')
      const one = await until(() => served[0], 'the beginning')
      expect(one.why).toBeUndefined()
      expect(one.listeners[1]).toEqual(one.listeners[0])
      client.write('fg')
      await until(
        () => one.text === 'defg',
        () => `the rest, and not ${one.text}`,
      )
      client.socket.end()
      await until(() => one.ended, 'its end')
      client.close()
    },
  )

  it('is found in every split of the bytes, with an end that comes along', async () => {
    const { port, served, begun } = await server()
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.string({ maxLength: 12, unit: 'grapheme-ascii' }),
        fc.boolean(),
        async (split, rest, together) => {
          const [client, count] = [await rawClient(port, { allowHalfOpen: true }), served.length]
          const socket = await until(() => begun[count], 'the connection')
          const bytes = Buffer.from(`header|${rest}!`)
          let at = 0
          for (const size of [...split, bytes.length]) {
            if (at >= bytes.length) break
            client.write(bytes.subarray(at, at + size))
            at += size
            // Each part by itself, as far as it shows.
            if (!together) await until(() => socket.bytesRead >= Math.min(at, bytes.length), 'the part')
          }
          client.socket.end()
          const one = await until(() => served[count], 'the beginning')
          await until(() => one.ended, 'the end')
          expect(one.text).toBe(`${rest}!`)
          expect(one.listeners[1]).toEqual(one.listeners[0])
          client.close()
        },
      ),
      { numRuns: 60 },
    )
  })

  it('leaves one that pauses first paused', async () => {
    const { port, served } = await server({
      begin: (socket, take) => {
        socket.pause()
        take()
      },
    })
    const client = await rawClient(port)
    client.write('|rest')
    const one = await until(() => served[0], 'the beginning')
    // The tick in which Node would let it flow is over.
    await new Promise((resolve) => setImmediate(resolve))
    expect(one.text).toBe('')
    client.write('more')
    one.socket.resume()
    await until(() => one.text === 'restmore', 'all bytes')
    client.close()
  })
})

describe('a connection without a beginning', () => {
  it('that has no more time is told so, with its bytes put back', async () => {
    const { port, served } = await server({ timeout: 20 })
    const client = await rawClient(port)
    client.write('abc')
    const one = await until(() => served[0], 'the deadline')
    expect(one.why).toBe('timeout')
    await until(() => one.text === 'abc', 'the bytes')
    client.close()
  })

  it.each(['', 'abc'])('that ends after %j is told so', async (bytes) => {
    const { port, served } = await server()
    const client = await rawClient(port, { allowHalfOpen: true })
    client.socket.end(bytes)
    const one = await until(() => served[0], 'the end')
    expect(one.why).toBe('end')
    expect(one.listeners[1]).toEqual(one.listeners[0])
    client.close()
  })

  it('that ends with its beginning has nothing for anybody', async () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    // All of it is there before anybody looks.
    stream.push('abc|')
    stream.push(null)
    const ended = deferred<NoBeginning | undefined>()
    firstBytes(stream as unknown as Socket, 60_000, (bytes) => bytes.length, ended.resolve)
    expect(await ended.promise).toBe('end')
  })

  it('that is reset, or that its server gives up, is told of as gone', async () => {
    const { port, served, seen, begun } = await server()
    const client = await rawClient(port)
    client.write('abc')
    await until(() => seen.length === 1, 'the bytes')
    client.reset()
    await until(() => served[0], 'the reset')
    await rawClient(port)
    const socket = await until(() => begun[1], 'the other one')
    socket.destroy()
    await until(() => served[1], 'its end')
    expect(served.map(({ why }) => why)).toEqual(['gone', 'gone'])
    expect(served).toHaveLength(2)
  })
})

it('leaves no timer behind, however a connection goes on', async () => {
  const set = vi.spyOn(globalThis, 'setTimeout')
  const cleared = vi.spyOn(globalThis, 'clearTimeout')
  try {
    // A time that nothing else here has.
    const { port, served } = await server({ timeout: 54_321 })
    for (const [i, bytes] of ['a|b', '|', 'abc'].entries()) {
      const client = await rawClient(port)
      client.write(bytes)
      client.socket.end()
      await until(() => served.length > i, 'the beginning, or the end')
      client.close()
    }
    const timers = set.mock.results.filter((_result, i) => set.mock.calls[i]?.[1] === 54_321)
    expect(timers).toHaveLength(3)
    const gone = cleared.mock.calls.map(([timer]) => timer)
    for (const { value } of timers) expect(gone.includes(value as never)).toBe(true)
  } finally {
    vi.restoreAllMocks()
  }
})
