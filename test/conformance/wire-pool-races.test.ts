import diagnostics from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { ProxyError, Reply } from '@sluice/core'
import { toReadable } from '@sluice/core'
import { type Attempt, resolveTimeouts, type Transport, wireTransport } from '@sluice/forward'
import { createUpstream, type Target } from '@sluice/upstream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WrittenBody } from '../kit/attempt.js'
import { leakCheck } from '../kit/leak-check.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { type RawConnection, type RawOrigin, rawOrigin } from '../kit/raw-origin.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()
// A connection counts as rested by this clock alone.
beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

const targetOf = (url: string): Target => createUpstream({ name: 'u', targets: [url] }).all[0] as Target

function send(transport: Transport, target: Target, method: string, signal?: AbortSignal): Promise<Reply> {
  const attempt: Attempt = {
    target,
    out: { method, path: '/', headers: [], body: method === 'POST' ? 'x' : null },
    timeouts: resolveTimeouts({ head: 0 }),
    inform() {},
    ...(signal === undefined ? {} : { signal }),
  }
  return transport.send(attempt)
}

async function textOf(reply: Promise<Reply>): Promise<string> {
  let text = ''
  for await (const chunk of toReadable((await reply).body)) text += String(chunk)
  return text
}

const codeOf = (reply: Promise<Reply>): Promise<string> =>
  reply.then(
    () => 'answered',
    (error: unknown) => (error as ProxyError).code,
  )

/** Ends what the origin has open, as a server does that closes idle connections. */
function hangUp(origin: Origin): void {
  origin.server.closeAllConnections()
}

/**
 * A connection that has rested: an unsafe request looks first whether it still lives. What is read next is read between here
 * and the first look.
 */
async function rested(transport: Transport, target: Target): Promise<void> {
  expect(await textOf(send(transport, target, 'GET'))).toBe('ok')
  vi.advanceTimersByTime(1_500)
  await new Promise((resolve) => setImmediate(resolve))
}

describe('a kept connection that ends at the moment in which an unsafe request looks whether it lives', () => {
  it('is replaced, and the new one is the pool’s: it closes with the transport', async () => {
    const leaks = leakCheck()
    const origin = own(await originServer())
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const target = targetOf(origin.url)
    await rested(transport, target)
    const reply = send(transport, target, 'POST')
    hangUp(origin)
    expect(await within(textOf(reply), 'the answer')).toBe('ok')
    expect(origin.connections).toBe(2)
    await transport.close()
    await until(() => origin.sockets === 0, 'the connection to close')
    await origin.close()
    await leaks.settled()
  })

  it('is not given to the next in line if the request has been given up', async () => {
    const origin = own(await originServer())
    const transport = wireTransport({ connections: 1 })
    own({ close: () => transport.close(true) })
    const target = targetOf(origin.url)
    await rested(transport, target)
    const leaver = new AbortController()
    const left = codeOf(send(transport, target, 'POST', leaver.signal))
    const next = [1, 2, 3].map(() => textOf(send(transport, target, 'GET')))
    hangUp(origin)
    leaver.abort()
    expect(await left).toBe('client_left')
    expect(await within(Promise.all(next), 'the answers to those in line')).toEqual(['ok', 'ok', 'ok'])
    await transport.close()
    await until(() => origin.sockets === 0, 'the connection to close')
  })

  it('is not replaced once the transport closes by force', async () => {
    const origin = own(await originServer())
    const transport = wireTransport()
    const target = targetOf(origin.url)
    await rested(transport, target)
    const reply = codeOf(send(transport, target, 'POST'))
    await transport.close(true)
    expect(await within(reply, 'the answer')).toBe('proxy_closing')
    await until(() => origin.sockets === 0, 'the connection to close')
    expect(origin.connections).toBe(1)
  })
})

describe('what comes on a kept connection before its next request has been written', () => {
  const stray = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray'

  it.each([
    ['an answer that nobody has asked for', (socket: Socket) => void socket.write(stray)],
    ['an end', (socket: Socket) => void socket.end()],
  ])('%s: the request goes out on another one, an unsafe one too, and only there', async (_, spoil) => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      }),
    )
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const target = targetOf(origin.url)
    expect(await textOf(send(transport, target, 'GET'))).toBe('ok')
    const first = await origin.connection(0)
    const reply = new Promise<string>((resolve) => {
      // From an immediate the reads of a turn come first, and behind them its writes.
      setImmediate(() => {
        spoil(first.socket)
        resolve(textOf(send(transport, target, 'POST')))
      })
    })
    expect(await within(reply, 'the answer')).toBe('ok')
    expect(origin.connections.length).toBe(2)
    expect(first.text).not.toContain('POST')
  })
})

it('an answer that nobody has asked for is none to a request whose first bytes wait for the end of the turn', async () => {
  const origin = own(
    await rawOrigin(async (connection) => {
      await connection.head()
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    }),
  )
  const transport = wireTransport()
  own({ close: () => transport.close(true) })
  const target = targetOf(origin.url)
  expect(await textOf(send(transport, target, 'GET'))).toBe('ok')
  const first = await origin.connection(0)
  const code = new Promise<string>((resolve) => {
    setImmediate(() => {
      first.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray')
      const body = new WrittenBody()
      body.write('whole')
      body.done()
      const out = { method: 'POST', path: '/', headers: [], body }
      resolve(codeOf(transport.send({ target, out, timeouts: resolveTimeouts({}), inform() {} })))
    })
  })
  // Its body has been taken, so it can't go out again by itself.
  expect(await within(code, 'the end of it')).toBe('connection_terminated')
  expect(first.text).not.toContain('POST')
})

it('a request that is given up before it has been written leaves the kept connection to others', async () => {
  const origin = own(await originServer())
  const transport = wireTransport({ connections: 1 })
  own({ close: () => transport.close(true) })
  const target = targetOf(origin.url)
  expect(await textOf(send(transport, target, 'GET'))).toBe('ok')
  const leaver = new AbortController()
  const left = codeOf(send(transport, target, 'POST', leaver.signal))
  const next = textOf(send(transport, target, 'GET'))
  leaver.abort()
  expect(await left).toBe('client_left')
  expect(await within(next, 'the answer to the next in line')).toBe('ok')
  expect(await textOf(send(transport, target, 'GET'))).toBe('ok')
  expect(origin.connections).toBe(1)
  await transport.close()
  await until(() => origin.sockets === 0, 'the connection to close')
})

describe('a connection that is lost with a request on it that can not be sent again', () => {
  const ways = [
    ['ended', (connection: RawConnection) => connection.end()],
    ['reset', (connection: RawConnection) => connection.reset()],
  ] as const

  /** Answers so many requests of each connection; on the next one's head it loses the connection. */
  async function losing(answers: number, lose: (connection: RawConnection) => void): Promise<RawOrigin> {
    return own(
      await rawOrigin(async (connection) => {
        for (let i = 1; i <= answers; i++) {
          await until(() => heads(connection) === i, 'a head')
          await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        }
        await until(() => heads(connection) === answers + 1, 'the last head')
        lose(connection)
      }),
    )
  }

  const heads = ({ text }: RawConnection): number => text.split('\r\n\r\n').length - 1
  const errorOf = (reply: Promise<Reply>): Promise<unknown> => reply.catch((error: unknown) => error)

  it.each(ways)('was kept when it was %s, as its error says', async (_, lose) => {
    const origin = await losing(1, lose)
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const target = targetOf(origin.url)
    expect(await textOf(send(transport, target, 'GET'))).toBe('ok')
    expect(await errorOf(send(transport, target, 'POST'))).toMatchObject({
      code: 'connection_terminated',
      reused: true,
    })
    expect(origin.connections).toHaveLength(1)
  })

  it.each(ways)('was a new one when it was %s, and then nothing is said', async (_, lose) => {
    const origin = await losing(0, lose)
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const error = await errorOf(send(transport, targetOf(origin.url), 'POST'))
    expect(error).toMatchObject({ code: 'connection_terminated' })
    expect((error as ProxyError).reused).toBe(undefined)
  })

  it('was kept also where it has only rested: what is safe goes out again', async () => {
    // The first connection answers late, the second is opened meanwhile and finds that nobody waits any more.
    const late = deferred()
    const origin = own(
      await rawOrigin(async (connection) => {
        await until(() => heads(connection) === 1, 'a head')
        if (connection.index === 1) return connection.reset()
        if (connection.index === 0) await late.promise
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      }),
    )
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const target = targetOf(origin.url)
    const sockets: Socket[] = []
    const made = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket)
    diagnostics.subscribe('net.client.socket', made)
    own({ close: () => diagnostics.unsubscribe('net.client.socket', made) })
    const first = textOf(send(transport, target, 'GET'))
    await origin.connection(0)
    const leaver = new AbortController()
    const left = codeOf(send(transport, target, 'GET', leaver.signal))
    leaver.abort()
    expect(await left).toBe('client_left')
    await until(() => sockets[1]?.readyState === 'open', 'the second connection to rest')
    expect(await within(textOf(send(transport, target, 'GET')), 'the answer')).toBe('ok')
    expect(origin.connections).toHaveLength(3)
    late.resolve()
    expect(await first).toBe('ok')
  })
})
