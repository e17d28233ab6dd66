import type { ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer, Server as NetServer, type Socket } from 'node:net'
import type { BodyInit } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { ask, send, targetOf, WrittenBody } from '../../../test/kit/attempt.js'
import { type Http2Origin, http2Origin } from '../../../test/kit/http2-origin.js'
import { leakCheck } from '../../../test/kit/leak-check.js'
import { owner } from '../../../test/kit/owner.js'
import { program } from '../../../test/kit/program.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { type Attempt, type Http2TransportOptions, http2Transport, type Transport } from './index.js'

trapUnhandled()
const own = owner()

function transportOf(options: Http2TransportOptions = {}): Transport {
  const transport = http2Transport(options)
  own({ close: () => transport.close(true) })
  return transport
}

/** Streams that wait to be answered. */
function holding(): { held: ServerHttp2Stream[]; handler: (stream: ServerHttp2Stream) => void } {
  const held: ServerHttp2Stream[] = []
  return { held, handler: (stream) => void held.push(stream) }
}

function answer(stream: ServerHttp2Stream | undefined): void {
  stream?.respond({ ':status': 200 })
  stream?.end('ok')
}

async function heldAt(held: readonly unknown[], count: number): Promise<void> {
  await until(() => held.length === count, `${count} streams`)
}

describe('a connection that is lost with a request on it', () => {
  it('was kept if it had served another, as its error says', async () => {
    const sockets = new Set<Socket>()
    const origin = own(
      await http2Origin((stream, { fields }) => {
        if (fields[':method'] === 'GET') answer(stream)
        else for (const socket of sockets) socket.destroy()
      }),
    )
    origin.server.on('connection', (socket: Socket) => void sockets.add(socket))
    const transport = transportOf()
    const target = targetOf(origin.url)
    const fresh = await send(transport, target, { method: 'POST' }).catch((error: unknown) => error)
    expect(fresh).toMatchObject({ code: 'connection_terminated' })
    expect(fresh).not.toHaveProperty('reused')
    await ask(transport, target)
    const kept = await send(transport, target, { method: 'POST' }).catch((error: unknown) => error)
    expect(kept).toMatchObject({ code: 'connection_terminated', reused: true })
    expect(origin.connections).toBe(2)
  })
})

describe('sessions', () => {
  it('carry many requests at once, and one is enough', async () => {
    const { held, handler } = holding()
    const origin = own(await http2Origin(handler))
    const transport = transportOf()
    const target = targetOf(origin.url)
    const answers = Array.from({ length: 20 }, () => ask(transport, target))
    await heldAt(held, 20)
    for (const stream of held) answer(stream)
    expect(await Promise.all(answers)).toEqual(new Array(20).fill('ok'))
    expect(origin.connections).toBe(1)
  })

  it('are opened when the streams of all are used up, up to the limit; the rest waits in line', async () => {
    const { held, handler } = holding()
    const origin = own(await http2Origin(handler))
    const transport = transportOf({ sessions: 2, streams: 2 })
    const target = targetOf(origin.url)
    const order: number[] = []
    const answers = Array.from({ length: 7 }, async (_, i) => {
      await ask(transport, target)
      order.push(i)
    })
    await heldAt(held, 4)
    expect(origin.connections).toBe(2)
    expect(origin.streams.map(({ session }) => session)).toEqual([0, 0, 1, 1])
    for (let i = 0; i < 7; i++) {
      await heldAt(held, Math.min(4 + i, 7))
      answer(held[i])
      await until(() => order.length === i + 1, `answer ${i}`)
    }
    await Promise.all(answers)
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(origin.connections).toBe(2)
  })

  it('keep to the limit of the target', async () => {
    const { held, handler } = holding()
    const origin = own(await http2Origin(handler, { settings: { maxConcurrentStreams: 3 } }))
    const transport = transportOf({ sessions: 1 })
    const target = targetOf(origin.url)
    const answers = Array.from({ length: 10 }, () => ask(transport, target))
    for (let i = 0; i < 10; i++) {
      await until(() => held.length > i, `stream ${i}`)
      expect(held.filter(({ destroyed }) => !destroyed).length).toBeLessThanOrEqual(3)
      answer(held[i])
    }
    expect(await Promise.all(answers)).toHaveLength(10)
    expect([origin.connections, origin.streams.length]).toEqual([1, 10])
  })

  it('take a new limit of the target to heart', async () => {
    const { held, handler } = holding()
    const origin = own(await http2Origin(handler, { settings: { maxConcurrentStreams: 1 } }))
    const transport = transportOf({ sessions: 1 })
    const target = targetOf(origin.url)
    const answers = [1, 2, 3].map(() => ask(transport, target))
    await heldAt(held, 1)
    for (const session of origin.sessions) session.settings({ maxConcurrentStreams: 3 })
    await heldAt(held, 3)
    for (const stream of held) answer(stream)
    await Promise.all(answers)
  })

  it('leave the line when nobody waits any more', async () => {
    const { held, handler } = holding()
    const origin = own(await http2Origin(handler))
    const transport = transportOf({ sessions: 1, streams: 1 })
    const target = targetOf(origin.url)
    const first = ask(transport, target)
    await heldAt(held, 1)
    await expect(ask(transport, target, {}, { total: 50 })).rejects.toMatchObject({ code: 'total_timeout' })
    answer(held[0])
    expect(await first).toBe('ok')
    const next = ask(transport, target)
    await heldAt(held, 2)
    answer(held[1])
    expect(await next).toBe('ok')
  })

  it('are closed when they have been idle, and opened again', async () => {
    const origin = own(await http2Origin())
    const transport = transportOf({ idle: 60 })
    const target = targetOf(origin.url)
    for (let i = 1; i <= 2; i++) {
      expect(await ask(transport, target)).toBe('ok')
      expect(origin.connections).toBe(i)
      await until(() => origin.sessions.size === 0, 'the idle session to close')
    }
    const { pools } = transport as unknown as { pools: Map<unknown, unknown> }
    await until(() => pools.size === 0, 'the pool to be given up')
  })

  it('end with a ping that is not answered', async () => {
    const sockets = new Set<Socket>()
    // A SETTINGS frame, and never again a word.
    const silent = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.resume()
      socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    })
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    own({
      close: () => {
        for (const socket of sockets) socket.destroy()
        silent.close()
      },
    })
    const target = targetOf(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`)
    const transport = transportOf({ ping: 50 })
    await expect(send(transport, target, { method: 'POST' })).rejects.toMatchObject({
      code: 'connection_terminated',
    })
  })

  it('live on while pings are answered', async () => {
    const pings = deferred()
    const { held, handler } = holding()
    const origin = own(await http2Origin(handler))
    let count = 0
    origin.server.on('session', (session) => session.on('ping', () => ++count === 4 && pings.resolve()))
    const transport = transportOf({ ping: 50 })
    const reply = ask(transport, targetOf(origin.url))
    await within(pings.promise, 'four pings')
    answer(held[0])
    expect(await reply).toBe('ok')
  })

  it('of a target that speaks no HTTP/2 fail before anything was sent, so that another target may be tried', async () => {
    const alien = createServer((socket) => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    })
    await new Promise<void>((resolve) => alien.listen(0, '127.0.0.1', resolve))
    own({ close: () => void alien.close() })
    const target = targetOf(`http://127.0.0.1:${(alien.address() as AddressInfo).port}`)
    await expect(send(transportOf(), target)).rejects.toMatchObject({
      code: 'connection_refused',
      retryable: true,
    })
  })

  it('that can not be opened fail all that wait, and leave nothing behind', async () => {
    const leaks = leakCheck()
    const origin = await http2Origin()
    await origin.close()
    const transport = transportOf()
    const target = targetOf(origin.url)
    const failures = await Promise.allSettled([1, 2, 3].map(() => send(transport, target)))
    expect(failures.map((each) => (each as PromiseRejectedResult).reason.code)).toEqual(
      new Array(3).fill('connection_refused'),
    )
    const { pools } = transport as unknown as { pools: Map<unknown, unknown> }
    expect(pools.size).toBe(0)
    await leaks.settled()
  })

  it('have a connect timeout, which covers the wait for the settings', async () => {
    const sockets = new Set<Socket>()
    const deaf = createServer((socket) => void sockets.add(socket.on('error', () => {})))
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve))
    own({
      close: () => {
        for (const socket of sockets) socket.destroy()
        deaf.close()
      },
    })
    const target = targetOf(`http://127.0.0.1:${(deaf.address() as AddressInfo).port}`)
    const sent = send(transportOf(), target, {}, { connect: 60 })
    await expect(sent).rejects.toMatchObject({ code: 'connection_timeout' })
  })

  it('of a target that allows no stream are none: nobody waits for ever', async () => {
    const origin = own(await http2Origin(undefined, { settings: { maxConcurrentStreams: 0 } }))
    const sent = send(transportOf(), targetOf(origin.url), {}, { connect: '100ms' })
    await expect(within(sent, 'the error')).rejects.toMatchObject({ code: 'connection_timeout' })
  })

  it('are as good as new while large bodies wait for the target to read', async () => {
    const held: ServerHttp2Stream[] = []
    const origin = own(
      await http2Origin((stream, { fields }) => {
        if (fields[':method'] === 'POST') held.push(stream)
        else answer(stream)
      }),
    )
    const transport = transportOf({ sessions: 1 })
    const target = targetOf(origin.url)
    const out = { method: 'POST', body: Buffer.alloc(4 * 1024 * 1024) }
    const uploads = [0, 1, 2].map(() => send(transport, target, out).catch(() => {}))
    await heldAt(held, 3)
    expect(await ask(transport, target)).toBe('ok')
    await transport.close(true)
    await Promise.all(uploads)
  })

  it('hold no process open when they are idle', async () => {
    const origin = own(await http2Origin())
    const code = `
      import { http2Transport, resolveTimeouts } from '@sluice/forward'
      import { createUpstream } from '@sluice/upstream'
      const [target] = createUpstream({ name: 'x', targets: ['${origin.url}'] }).all
      const out = { method: 'GET', path: '/', headers: [], body: null }
      const reply = await http2Transport({ ping: '1s' }).send({ target, out, timeouts: resolveTimeouts(), inform() {} })
      for await (const chunk of reply.body.readable()) console.log(String(chunk))`
    const child = own(program(['--input-type=module', '--eval', code]))
    expect(await within(child.ended, 'the program to end')).toBe(0)
    expect(child.output).toBe('ok\n')
  })

  it('end with close(): idle ones at once, the others after their streams; and with force at once', async () => {
    const { held, handler } = holding()
    const origin = own(await http2Origin(handler))
    const transport = transportOf()
    const target = targetOf(origin.url)
    const running = ask(transport, target)
    await heldAt(held, 1)
    const closed = transport.close()
    await expect(ask(transport, target)).rejects.toMatchObject({ code: 'proxy_closing' })
    answer(held[0])
    expect(await running).toBe('ok')
    await within(closed, 'the transport to be closed')
    await until(() => origin.sessions.size === 0, 'the session to close')

    const forced = transportOf()
    const cut = send(forced, target).catch((error: unknown) => error)
    await heldAt(held, 2)
    await within(forced.close(true), 'the transport to be closed')
    expect(await cut).toMatchObject({ code: 'proxy_closing' })
    await until(() => origin.sessions.size === 0, 'the session to close')
  })
})

it('keeps no pool for an exchange that nobody waits for', async () => {
  const transport = transportOf()
  const { pools } = transport as unknown as { pools: Map<unknown, unknown> }
  const onClose: NonNullable<Attempt['onClose']> = (fn, arg) => fn({ kind: 'client-left', bytes: 0 }, arg)
  const sent = send(transport, targetOf('http://127.0.0.1:9'), {}, {}, { onClose })
  await expect(sent).rejects.toMatchObject({ code: 'client_left' })
  expect(pools.size).toBe(0)
})

it('opens nothing any more after close()', async () => {
  const origin = own(await http2Origin())
  const transport = transportOf()
  await transport.close()
  await expect(send(transport, targetOf(origin.url))).rejects.toMatchObject({ code: 'proxy_closing' })
  expect(origin.connections).toBe(0)
})

describe('what a target has not processed', () => {
  const bodies: [string, BodyInit][] = [
    ['no body', null],
    ['a text', 'text'],
    ['bytes', Buffer.from('text')],
  ]

  /** Refuses the second stream, with `how`: below the first there is no id that a GOAWAY could name. */
  async function refusing(how: (stream: ServerHttp2Stream) => void): Promise<Http2Origin> {
    let count = 0
    return own(
      await http2Origin(async (stream, seen) => {
        if (++count === 2) return how(stream)
        const body = await seen.body()
        stream.respond({ ':status': 200 })
        stream.end(`${seen.fields[':method']} ${body}`)
      }),
    )
  }

  const refuseStream = (stream: ServerHttp2Stream): void => stream.close(7)
  const goAway = (stream: ServerHttp2Stream): void => stream.session?.goaway(0, 1)

  describe.each([
    ['REFUSED_STREAM', refuseStream],
    ['a GOAWAY below it', goAway],
  ])('by %s', (_name, how) => {
    it.each(bodies)('is sent again on another session, with %s', async (_kind, body) => {
      const origin = await refusing(how)
      const transport = transportOf()
      const target = targetOf(origin.url)
      await ask(transport, target)
      expect(await ask(transport, target, { method: 'POST', body })).toBe(`POST ${body ?? ''}`)
      expect(origin.connections).toBe(2)
    })

    it('is left to another target if its body has flowed', async () => {
      const origin = await refusing(how)
      const transport = transportOf()
      const target = targetOf(origin.url)
      await ask(transport, target)
      const body = new WrittenBody()
      body.write('part')
      const sent = send(transport, target, { method: 'POST', body })
      await expect(sent).rejects.toMatchObject({ code: 'http_request_refused', retryable: true })
    })
  })

  it('is not sent to it for ever', async () => {
    const origin = own(await http2Origin((stream) => stream.close(7)))
    const sent = send(transportOf(), targetOf(origin.url))
    await expect(sent).rejects.toMatchObject({ code: 'http_request_refused', retryable: true })
    expect(origin.streams).toHaveLength(3)
  })

  it('is sent again on the only session too', async () => {
    const origin = await refusing(refuseStream)
    const transport = transportOf({ sessions: 1 })
    const target = targetOf(origin.url)
    await ask(transport, target)
    expect(await ask(transport, target)).toBe('GET ')
    expect(origin.connections).toBe(1)
  })

  it('is sent again on the session that refused it if no other can be opened', async () => {
    const origin: Http2Origin = await refusing((stream) => {
      // It listens no more, and nothing else: from Node 24 on the server's own `close` ends sessions too.
      NetServer.prototype.close.call(origin.server)
      refuseStream(stream)
    })
    const transport = transportOf()
    const target = targetOf(origin.url)
    await ask(transport, target)
    expect(await within(ask(transport, target), 'the answer')).toBe('GET ')
    expect(origin.connections).toBe(1)
  })

  it('while it waits for 100 Continue is sent again with its body untouched', async () => {
    const origin = await refusing(refuseStream)
    const body = new WrittenBody()
    body.write('whole')
    body.done()
    const out = { method: 'POST', body, headers: ['Expect', '100-continue'] }
    const transport = transportOf()
    const target = targetOf(origin.url)
    await ask(transport, target)
    expect(await ask(transport, target, out)).toBe('POST whole')
  })

  it('by a target that asks for calm is not sent to it again at once', async () => {
    const origin = await refusing((stream) => stream.session?.goaway(11, 1))
    const transport = transportOf()
    const target = targetOf(origin.url)
    await ask(transport, target)
    const sent = send(transport, target, { method: 'POST' })
    await expect(sent).rejects.toMatchObject({ code: 'http_request_refused', retryable: true })
    expect(origin.streams).toHaveLength(2)
  })
})

describe('a GOAWAY', () => {
  it('lets the streams that run finish, and takes no new ones', async () => {
    const { held, handler } = holding()
    const origin = own(await http2Origin(handler))
    const transport = transportOf({ sessions: 1 })
    const target = targetOf(origin.url)
    const running = [1, 2].map(() => ask(transport, target))
    await heldAt(held, 2)
    const heard = until(() => origin.sessions.size === 1, 'the session')
    await heard
    for (const session of origin.sessions) session.goaway(0, 2 ** 31 - 1)
    // What comes after it goes elsewhere, though one session is the limit: the one that ends doesn't count.
    const later = await until(async () => {
      const next = ask(transport, target)
      const before = held.length
      await heldAt(held, before + 1)
      const { session } = origin.streams[before] as { session: number }
      answer(held[before])
      expect(await next).toBe('ok')
      return session === 1
    }, 'a stream on a new session')
    expect(later).toBe(true)
    for (const stream of held.slice(0, 2)) answer(stream)
    expect(await Promise.all(running)).toEqual(['ok', 'ok'])
    await until(() => origin.sessions.size === 1, 'the first session to close')
  })

  it('with an error ends what the target may have processed: no second try, and 502', async () => {
    const origin = own(await http2Origin((stream) => stream.session?.goaway(2, stream.id as number)))
    const sent = send(transportOf(), targetOf(origin.url), { method: 'POST' })
    await expect(sent).rejects.toMatchObject({ code: 'connection_terminated', retryable: false })
    expect(origin.streams).toHaveLength(1)
  })

  it('during many requests loses none of those that can be sent again', async () => {
    let count = 0
    const origin = own(
      await http2Origin((stream) => {
        if (++count % 50 === 0) stream.session?.goaway(0, stream.id as number)
        answer(stream)
      }),
    )
    const transport = transportOf({ sessions: 2, streams: 20 })
    const target = targetOf(origin.url)
    const answers = await Promise.all(
      Array.from({ length: 400 }, () => ask(transport, target, { method: 'POST' })),
    )
    expect(answers).toEqual(new Array(400).fill('ok'))
    expect(origin.connections).toBeGreaterThan(2)
  })
})

describe('a target that restarts', () => {
  it('is found again each time, with requests under way and without', async () => {
    const leaks = leakCheck()
    const { held, handler } = holding()
    let origin = await http2Origin(handler)
    const { port, url } = origin
    const transport = transportOf()
    const target = targetOf(url)
    for (let i = 0; i < 10; i++) {
      const whole = ask(transport, target)
      await heldAt(held, 1)
      answer(held[0])
      expect(await whole).toBe('ok')
      if (i % 2 === 0) {
        const cut = ask(transport, target, { method: 'POST' })
        await heldAt(held, 2)
        await origin.close()
        await expect(cut).rejects.toMatchObject({ code: 'connection_terminated' })
      } else {
        await origin.close()
      }
      held.length = 0
      origin = await http2Origin(handler, { port })
    }
    await origin.close()
    await expect(ask(transport, target)).rejects.toMatchObject({ code: 'connection_refused' })
    await leaks.settled()
  })
})
