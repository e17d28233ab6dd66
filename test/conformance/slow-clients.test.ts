import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { createSecureServer as createHttp2Secure } from 'node:http2'
import { createServer as createHttps } from 'node:https'
import { connect, type Server, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { type HardenedServer, hardenedServer, http2Kinds, type ServerKind } from '../kit/hardened-server.js'
import { frameClient, frameTypes, http2Frame } from '../kit/http2-frames.js'
import { nodeMajor } from '../kit/node-major.js'
import { owner } from '../kit/owner.js'
import { parseResponses } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'
import { type X509Pair, x509SelfSigned } from '../kit/x509.js'

trapUnhandled()
const own = owner()
let pair: X509Pair
beforeAll(async () => {
  pair = await x509SelfSigned({ names: ['localhost'] })
})

const slow = { minRate: 1_000_000, grace: 60, readGrace: 60 }
const half = Buffer.alloc(64 * 1024)

const http1: ServerKind[] = [
  { name: 'http', tls: false, make: (options, listener) => createServer(options, listener) },
  { name: 'https', tls: true, make: (options, listener) => createHttps({ ...options, ...pair }, listener) },
  {
    name: 'http2 with allowHTTP1',
    tls: true,
    make: (options, listener) =>
      createHttp2Secure({ ...options, ...pair, allowHTTP1: true }, listener as never) as Server,
  },
]
const http2 = http2Kinds(() => pair)

const listening = async (...args: Parameters<typeof hardenedServer>): Promise<HardenedServer> =>
  own(await hardenedServer(...args))

interface SlowClient {
  readonly socket: Socket
  readonly closed: Promise<void>
  readonly text: string
  write(text: string): void
}

async function client(port: number, tls: boolean): Promise<SlowClient> {
  const socket = tls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : connect({ port, host: '127.0.0.1' })
  own({ close: () => socket.destroy() })
  const closed = deferred()
  let text = ''
  socket.on('error', () => {})
  socket.on('close', () => closed.resolve())
  await once(socket, tls ? 'secureConnect' : 'connect')
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  return {
    socket,
    closed: closed.promise,
    get text() {
      return text
    },
    write: (bytes) => void socket.write(bytes, 'latin1'),
  }
}

/** A byte every few milliseconds: always something, and never enough. */
function drip(write: () => void): void {
  const timer = setInterval(write, 5)
  own({ close: () => clearInterval(timer) })
}

/** Writes until its client takes no more, and goes on when it does. */
const endless: RequestListener = (_req, res) => {
  const more = (): void => {
    while (!res.destroyed && res.write(half));
  }
  res.on('drain', more)
  more()
}

/** Reads what is sent, and answers when all has come. */
const reading: RequestListener = (req, res) => {
  req.on('end', () => res.end('all of it')).resume()
}

describe.each(http1)('over $name', (kind) => {
  const { tls } = kind

  it('a head in drips is answered 408', async () => {
    const { port, refused } = await listening(kind, reading, { head: 60 })
    const slowly = await client(port, tls)
    slowly.write('GET / HTTP/1.1\r\nHost: a\r\n')
    drip(() => slowly.write('X: y\r\n'))
    await within(slowly.closed, 'its end')
    expect(parseResponses(Buffer.from(slowly.text)).map(({ status }) => status)).toEqual([408])
    expect(refused).toEqual({ 'request-timeout': 1 })
  })

  it('a later head in drips is answered 408 as well', async () => {
    const { port, refused } = await listening(kind, reading, { head: 60 })
    const slowly = await client(port, tls)
    slowly.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => slowly.text.includes('all of it'), 'the first answer')
    slowly.write('GET / HTTP/1.1\r\nHost: a\r\n')
    drip(() => slowly.write('X: y\r\n'))
    await within(slowly.closed, 'its end')
    expect(parseResponses(Buffer.from(slowly.text)).map(({ status }) => status)).toEqual([200, 408])
    expect(refused).toEqual({ 'request-timeout': 1 })
  })

  it('a connection that rests ends', async () => {
    const { port, refused } = await listening(kind, reading, { keepAlive: 60 })
    const calm = await client(port, tls)
    calm.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await within(calm.closed, 'its end')
    expect(parseResponses(Buffer.from(calm.text)).map(({ status }) => status)).toEqual([200])
    expect(refused).toEqual({})
  })

  it('the time between requests is no head’s', async () => {
    const { look, port, refused, turn } = await listening(kind, reading, { head: 60_000, slow }, true)
    const calm = await client(port, tls)
    for (let i = 1; i <= 3; i++) {
      calm.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      await until(() => calm.text.split('all of it').length > i, 'an answer')
      look(70_000)
      while (turn());
    }
    expect(refused).toEqual({})
  })

  it('a client that says nothing hears nothing', async () => {
    const { port, refused } = await listening(kind, reading, { head: 60 })
    const silent = await client(port, tls)
    await within(silent.closed, 'its end')
    expect(silent.text).toBe('')
    expect(refused).toEqual({})
  })

  it.each([
    ['a length', 'Content-Length: 100000', 'x'],
    ['chunks', 'Transfer-Encoding: chunked', '1\r\nx\r\n'],
  ])('a body with %s in drips is answered 408', async (_what, field, piece) => {
    const gone = deferred()
    const { port, refused } = await listening(
      kind,
      (req, res) => {
        res.on('close', () => gone.resolve())
        reading(req, res)
      },
      { slow },
    )
    const slowly = await client(port, tls)
    slowly.write(`POST / HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`)
    drip(() => slowly.write(piece))
    await within(slowly.closed, 'its end')
    await within(gone.promise, 'the end of its exchange')
    expect(parseResponses(Buffer.from(slowly.text)).map(({ status }) => status)).toEqual([408])
    expect(refused).toEqual({ 'body-too-slow': 1 })
  })

  it('many bodies in drips are read in turn, and none is lost', async () => {
    const drips = new Map<string, string>()
    const { look, port, refused, turn } = await listening(
      kind,
      (req, res) => {
        req.on('data', (chunk: Buffer) => drips.set(req.url ?? '', (drips.get(req.url ?? '') ?? '') + chunk))
        reading(req, res)
      },
      { slow: { minRate: 1_000_000, grace: 60_000, readGrace: 60_000 } },
      true,
    )
    const seen = (text: string): number => [...drips.values()].filter((each) => each === text).length
    const all = await Promise.all(Array.from({ length: 64 }, () => client(port, tls)))
    const say = (text: (i: number) => string): void => {
      for (const [i, each] of all.entries()) each.write(text(i))
    }
    const post = (i: number): string => `POST /${i} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n`
    say((i) => `${post(i)}a`)
    await until(() => seen('a') === all.length, 'the first drips')
    look(30)
    say(() => 'b')
    const other = await client(port, tls)
    for (let asked = 1; asked <= 5; asked++) {
      other.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      await until(() => other.text.split('all of it').length > asked, 'an answer to somebody else')
    }
    expect(seen('ab')).toBe(0)
    for (let read = 1; read <= all.length; read++) {
      expect(turn()).toBe(true)
      await until(() => seen('ab') >= read, 'a drip')
      expect(seen('ab')).toBe(read)
    }
    say(() => 'c')
    for (let done = 1; done <= all.length; done++) {
      turn()
      await until(() => seen('abc') === done, 'the rest of a body')
    }
    await until(() => all.every(({ text }) => text.includes('all of it')), 'their answers')
    // Who has sent all is read as it comes, at once.
    say((i) => `${post(i)}new`)
    await until(() => seen('abcnew') === all.length, 'the next requests')
    expect(refused).toEqual({})
  })

  it('a tunnel of one whose body was read in turn waits for whoever reads it', async () => {
    let tunnel: Socket | undefined
    const { look, port, server, turn } = await listening(
      kind,
      reading,
      { slow: { minRate: 1_000_000, grace: 60_000, readGrace: 60_000 } },
      true,
    )
    server.on('upgrade', (_req, socket: Socket) => {
      tunnel = socket
    })
    const all = await Promise.all(Array.from({ length: 64 }, () => client(port, tls)))
    let begun = 0
    server.on('request', () => begun++)
    for (const each of all) each.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na')
    await until(() => begun === all.length, 'the requests')
    look(30)
    all[0]?.write('bGET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: any\r\n\r\n')
    await until(() => turn() && tunnel !== undefined, 'the upgrade')
    look(30)
    expect(tunnel?.readableFlowing).not.toBe(true)
    all[0]?.write('early')
    const [bytes] = await once(tunnel as Socket, 'data')
    expect(String(bytes)).toBe('early')
  })

  it('a reader that takes nothing is cut off', async () => {
    const gone = deferred()
    const { port, refused } = await listening(
      kind,
      (req, res) => {
        res.on('close', () => gone.resolve())
        endless(req, res)
      },
      { slow },
    )
    const slowly = await client(port, tls)
    slowly.socket.pause()
    slowly.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await within(gone.promise, 'the end of its exchange')
    expect(refused).toEqual({ 'reader-too-slow': 1 })
  })

  it('many that are late at once are ended by and by, and none that isn’t late by then', async () => {
    const open: Socket[] = []
    let ended = 0
    const { look, port, refused, turn } = await listening(
      kind,
      (req, res) => {
        open.push(req.socket)
        req.on('end', () => ended++)
        reading(req, res)
      },
      { slow },
      true,
    )
    const clients = await Promise.all(Array.from({ length: 5 }, () => client(port, tls)))
    for (const each of clients) each.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx')
    await until(() => open.length === 5, 'their requests')
    look(200)
    expect(refused).toEqual({})
    expect(turn()).toBe(true)
    // Between two looks there is time for two turns.
    expect(refused).toEqual({ 'body-too-slow': 3 })
    // All of it has come while the others had their turn.
    const waiting = open.find(({ writableEnded }) => !writableEnded)
    const saved = clients.find((each) => each.socket.localPort === waiting?.remotePort)
    saved?.write('y')
    await until(() => ended === 1, 'the rest of one body')
    while (turn());
    expect(refused).toEqual({ 'body-too-slow': 4 })
    await until(() => saved?.text.includes('all of it'), 'its answer')
  })

  it('a handler that answers late is nobody else’s fault', async () => {
    const go = deferred()
    const asked = deferred()
    const { look, port, refused } = await listening(
      kind,
      (req, res) => {
        asked.resolve()
        // It isn't read.
        void go.promise.then(() => {
          req.resume()
          res.end('late')
        })
      },
      { slow },
      true,
    )
    const patient = await client(port, tls)
    patient.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
    await asked.promise
    look(1_000)
    go.resolve()
    await until(() => patient.text.includes('late'), 'its answer')
    expect(refused).toEqual({})
  })

  it('an answer with nothing to say, and a tunnel, are let be', async () => {
    const { look, port, refused, server } = await listening(
      kind,
      (req, res) => {
        req.resume()
        res.write('event')
      },
      { slow },
      true,
    )
    server.on('upgrade', (_req, socket: Socket) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
    })
    const events = await client(port, tls)
    // An answer has begun while there is more to ask: either may be silent.
    events.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    const tunnel = await client(port, tls)
    tunnel.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
    await until(() => events.text.includes('event') && tunnel.text.includes('101'), 'both')
    look(1_000)
    expect(refused).toEqual({})
    expect(events.socket.destroyed || tunnel.socket.destroyed).toBe(false)
  })

  it('who sends fast, or takes fast, has all the time', async () => {
    let read = 0
    let written = 0
    const { look, port, refused } = await listening(
      kind,
      (req, res) => {
        req.on('data', (part: Buffer) => {
          read += part.length
        })
        req.on('end', () => {
          res.on('drain', () => {
            written++
          })
          endless(req, res)
        })
      },
      { slow: { minRate: 1_000, grace: 60, readGrace: 60 } },
      true,
    )
    const fast = await client(port, tls)
    fast.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n')
    for (let i = 1; i <= 10; i++) {
      fast.write('x'.repeat(100))
      await until(() => read === 100 * i, 'what it has sent')
      look(45)
    }
    for (let i = 0; i < 10; i++) {
      const before = written
      await until(() => written > before, 'that it takes some')
      look(45)
    }
    expect(refused).toEqual({})
  })
})

describe.each(http2)('over $name', (kind) => {
  const { tls } = kind

  it.each([
    ['', {}],
    [', also where there is no room for a byte', { 4: 0 }],
  ])('a body in drips is answered 408%s', async (_where, settings) => {
    const heard: string[] = []
    const { port, refused } = await listening(
      kind,
      (req, res) => {
        for (const event of ['aborted', 'close', 'end']) req.on(event, () => heard.push(event))
        reading(req, res)
      },
      { slow },
    )
    const slowly = own(await frameClient(port, { tls, settings }))
    slowly.request(1, true)
    drip(() => slowly.write(http2Frame(frameTypes.data, 0, 1, Buffer.from('x'))))
    const head = await slowly.frame(frameTypes.headers, 1)
    // `:status` 408 isn't in HPACK's table: its digits stand there, Huffman coded.
    expect(head.payload.toString('hex')).toMatch(/^48826403|^4803343038/)
    // END_STREAM: the answer is whole.
    expect(head.flags & 1).toBe(1)
    expect((await slowly.frame(frameTypes.reset, 1)).payload.readUInt32BE(0)).toBe(0)
    expect(refused).toEqual({ 'body-too-slow': 1 })
    // Not whole before anything else: half a body must not pass for all of it.
    await until(() => heard.includes('close'), 'the end of its exchange')
    expect(heard.slice(0, 2)).toEqual(['aborted', 'close'])
  })

  it.each([
    ['gives its stream no room', { 4: 0 }],
    ['takes a byte at a time', { 4: 1 }],
  ])('a reader that %s has its stream reset, and no other', async (_what, settings) => {
    const { port, refused } = await listening(
      kind,
      (req, res) => {
        if (req.method === 'POST') reading(req, res)
        else endless(req, res)
      },
      { slow: { ...slow, minRate: 240, grace: 60_000 } },
    )
    const slowly = own(await frameClient(port, { tls, settings }))
    slowly.request(1)
    slowly.request(3, true)
    drip(() => slowly.write(http2Frame(frameTypes.windowUpdate, 0, 1, Buffer.from([0, 0, 0, 1]))))
    const reset = await slowly.frame(frameTypes.reset, 1)
    expect(reset.payload.readUInt32BE(0)).toBe(8)
    expect(refused).toEqual({ 'reader-too-slow': 1 })
    expect(slowly.socket.destroyed).toBe(false)
  })

  it('a reader that doesn’t take what comes over its connection is cut off', async () => {
    const { port, refused } = await listening(kind, endless, { slow })
    const slowly = own(await frameClient(port, { tls, settings: { 4: 2 ** 31 - 1 } }))
    slowly.write(http2Frame(frameTypes.windowUpdate, 0, 0, Buffer.from([0x7f, 0, 0, 0])))
    await slowly.frame(frameTypes.settings)
    slowly.socket.pause()
    slowly.request(1)
    await until(() => refused['reader-too-slow'] === 1, 'its end')
    slowly.socket.resume()
    await within(slowly.closed, 'the end of the connection')
  })

  it('a reader that takes all is let be, however alike what waits for it is at each look', async () => {
    const streams: Writable[] = []
    const { look, port, refused } = await listening(
      kind,
      (_req, res) => {
        streams.push((res as never as { stream: Writable }).stream)
        res.write(half)
      },
      { slow },
      true,
    )
    const fast = own(await frameClient(port, { tls, settings: { 4: half.length } }))
    fast.write(http2Frame(frameTypes.windowUpdate, 0, 0, Buffer.from([0x7f, 0, 0, 0])))
    fast.request(1)
    await until(() => streams[0]?.writableLength === 0, 'that it has taken all')
    for (let i = 0; i < 10; i++) {
      const [stream] = streams as [Writable]
      // It has no room for this before it says so.
      stream.write(half)
      look(15)
      const drained = once(stream, 'drain')
      fast.write(http2Frame(frameTypes.windowUpdate, 0, 1, Buffer.from([0, 1, 0, 0])))
      await within(drained, 'that it takes this')
    }
    expect(refused).toEqual({})
  })

  describe('that Node has given up after an error of the whole connection', () => {
    /** DATA on a stream that was never opened. */
    const broken = http2Frame(frameTypes.data, 0, 5, Buffer.from('x'))

    it.each([
      ['whose body is late', (): void => {}, { 'body-too-slow': 1, 'http2-connection-error': 1 }],
      [
        'whose answer has begun',
        (res: ServerResponse): void => void res.write('event'),
        { 'http2-connection-error': 1 },
      ],
    ])('a stream %s ends, and its connection', async (_what, serve, expected) => {
      const gone = deferred()
      const { look, port, refused, turn } = await listening(
        kind,
        (req, res) => {
          res.on('close', () => gone.resolve())
          req.resume()
          serve(res)
        },
        { slow },
        true,
      )
      const wrong = own(await frameClient(port, { tls }))
      wrong.request(1, true)
      await wrong.frame(frameTypes.settings)
      wrong.write(broken)
      await wrong.frame(frameTypes.goaway)
      wrong.socket.end()
      for (let i = 0; i < 400; i++) {
        look(150)
        while (turn());
      }
      await within(gone.promise, 'the end of its exchange')
      await within(wrong.closed, 'the end of the connection')
      // From 22 on Node ends them itself, and nobody has to.
      expect(refused).toEqual(nodeMajor >= 22 ? {} : expected)
    })

    it('and no other: one that says nothing is asked, and lives', async () => {
      const { look, port, refused, turn } = await listening(kind, (_req, res) => res.write('event'), {}, true)
      const calm = own(await frameClient(port, { tls }))
      calm.request(1)
      await calm.frame(frameTypes.data, 1)
      // Two looks may follow each other at once.
      look(31_000)
      look(31_000)
      await calm.frame(frameTypes.ping)
      while (turn());
      look(150)
      expect(refused).toEqual({})
      expect(calm.socket.destroyed).toBe(false)
    })
  })

  it('calls of gRPC and answers with nothing to say are let be, and no other bodies of that type', async () => {
    let calls = 0
    const { look, port, refused, turn } = await listening(
      kind,
      (req, res) => {
        calls++
        req.resume()
        if (req.method === 'GET') res.write('event')
      },
      { slow },
      true,
    )
    const calm = own(await frameClient(port, { tls }))
    calm.request(1)
    // POST, http, /, a, and `content-type: application/grpc` (index 31).
    const type = Buffer.concat([Buffer.from([0x5f, 16]), Buffer.from('application/grpc')])
    const head = Buffer.concat([Buffer.from('838684410161', 'hex'), type])
    const te = Buffer.concat([
      Buffer.from([0, 2]),
      Buffer.from('te'),
      Buffer.from([8]),
      Buffer.from('trailers'),
    ])
    // `content-length: 9` (index 28).
    const length = Buffer.from([0x5c, 1, 0x39])
    calm.write(http2Frame(frameTypes.headers, 4, 3, Buffer.concat([head, te])))
    await calm.frame(frameTypes.data, 1)
    await until(() => calls === 2, 'the call')
    look(1_000)
    expect(refused).toEqual({})
    expect(calm.socket.destroyed).toBe(false)
    calm.write(http2Frame(frameTypes.headers, 4, 5, head))
    calm.write(http2Frame(frameTypes.headers, 4, 7, Buffer.concat([head, te, length])))
    await until(() => calls === 4, 'the two others')
    look(1_000)
    look(1_000)
    while (turn());
    expect(refused).toEqual({ 'body-too-slow': 2 })
    expect(calm.socket.destroyed).toBe(false)
  })
})
