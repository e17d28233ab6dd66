import { describe, expect, it } from 'vitest'
import { type Front, type FrontKind, twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { type Observer, observer } from '../kit/observer.js'
import { owner } from '../kit/owner.js'
import { type RawConnection, type RawOrigin, rawOrigin } from '../kit/raw-origin.js'
import { type RawClient, rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Short enough not to wait for, long enough to come after everything else. */
const short = '150ms'
const MiB = 1024 * 1024

interface Scene {
  readonly front: Front
  readonly origin: RawOrigin
  readonly seen: Observer
  /** Nothing may be open when all has been closed. */
  end(): Promise<void>
}

async function scene(
  kind: FrontKind,
  script: (connection: RawConnection) => unknown,
  timeouts: NonNullable<Parameters<FrontKind['start']>[0] & object>['timeouts'] = {},
): Promise<Scene> {
  const leaks = leakCheck()
  const seen = observer()
  const origin = own(await rawOrigin(script))
  const front = own(await kind.start({ targets: origin.url, timeouts, use: [seen.layer], retry: false }))
  return {
    front,
    origin,
    seen,
    async end() {
      await until(() => front.inFlight === 0, 'all leases to be released')
      await until(() => origin.sockets === 0, 'the connections to the target to close')
      await front.close()
      await origin.close()
      await leaks.settled()
    },
  }
}

/** Sends the same piece until the connection closes, as fast as the other end takes it; counts the bytes that have left. */
async function forEver(
  connection: RawConnection,
  piece: string | Buffer,
  sent: { bytes: number },
): Promise<void> {
  const bytes = Buffer.from(piece as string)
  while (!connection.socket.destroyed) {
    await connection.write(bytes)
    sent.bytes += bytes.length
  }
}

/** A byte each 10 ms: between two of them everything else has its turn. */
async function slowly(connection: RawConnection, piece: string): Promise<number> {
  let sent = 0
  while (!connection.socket.destroyed) {
    await connection.write(piece[sent % piece.length] as string)
    sent++
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return sent
}

const getting = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe.each(twoFronts)('through $name', (kind) => {
  it('a target that accepts and says nothing: 504 by the head’s timeout, for whatever was sent', async () => {
    const { front, seen, end } = await scene(kind, () => {}, { head: short })
    for (const ask of [{}, { method: 'POST', body: 'x' }, { method: 'POST', body: 'xyz', chunked: true }]) {
      expect(await front.client.ask(ask)).toMatchObject({ status: 504, complete: true })
    }
    expect(seen.codes).toEqual(Array(3).fill('http_response_timeout'))
    await end()
  })

  it('a target that says nothing to a handshake: 504 by the connection’s timeout', async () => {
    const leaks = leakCheck()
    const seen = observer()
    const origin = own(await rawOrigin())
    const targets = `https://127.0.0.1:${origin.port}`
    const front = own(
      await kind.start({ targets, timeouts: { connect: short }, use: [seen.layer], retry: false }),
    )
    expect(await front.client.ask()).toMatchObject({ status: 504, complete: true })
    expect(seen.codes).toEqual(['connection_timeout'])
    await until(() => origin.sockets === 0 && front.inFlight === 0, 'the connection to be given up')
    await front.close()
    await origin.close()
    await leaks.settled()
  })

  it('a target that does not read: 504 by the body’s timeout', async () => {
    const { front, seen, end, origin } = await scene(
      kind,
      async (connection) => {
        connection.socket.pause()
        await connection.closed
      },
      { requestBody: short },
    )
    const call = front.client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    const more = (): void => {
      for (let i = 0; i < 64 && call.body.write(Buffer.alloc(256 * 1024)); i++);
    }
    call.body.on('drain', more)
    more()
    expect((await within(call.head, 'the answer')).status).toBe(504)
    expect(seen.codes).toEqual(['connection_write_timeout'])
    call.abort()
    // Who doesn't read doesn't hear of the end.
    for (const { socket } of origin.connections) socket.resume()
    await end()
  })

  it('a head that comes byte by byte: 504 by the head’s timeout, however much of it has come', async () => {
    const { front, seen, end } = await scene(
      kind,
      (connection) => slowly(connection, `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(10_000)}`),
      { head: short },
    )
    expect(await front.client.ask()).toMatchObject({ status: 504, complete: true })
    expect(seen.codes).toEqual(['http_response_timeout'])
    await end()
  })

  it('1xx that come without end and slowly: 504 by the head’s timeout', async () => {
    const { front, seen, end } = await scene(
      kind,
      (connection) => slowly(connection, 'HTTP/1.1 102 Processing\r\n\r\n'),
      {
        head: short,
      },
    )
    expect(await front.client.ask()).toMatchObject({ status: 504, complete: true })
    expect(seen.codes).toEqual(['http_response_timeout'])
    await end()
  })

  it.each([
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n', 'x'],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
    ['without a length', 'HTTP/1.1 200 OK\r\n\r\n', 'x'],
    ['of trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: ', 'a'],
  ])('a body %s that comes byte by byte is cut by the total time', async (_, head, piece) => {
    const { front, seen, end } = await scene(
      kind,
      async (connection) => {
        await connection.head()
        await connection.write(head)
        await slowly(connection, piece)
      },
      { total: '250ms' },
    )
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: false })
    expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code: 'total_timeout' } })
    await end()
  })

  it.each([
    [
      'head',
      'HTTP/1.1 200 OK\r\n',
      'X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n',
      'http_response_header_section_size',
    ],
    [
      'head in one line',
      'HTTP/1.1 200 OK\r\nX-A: ',
      'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
      'http_response_header_section_size',
    ],
    ['status line', 'HTTP/1.1 200 ', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'http_response_header_section_size'],
    ['number of 1xx', '', 'HTTP/1.1 102 Processing\r\n\r\n', 'http_protocol_error'],
    [
      'number of long hints',
      '',
      `HTTP/1.1 103 Early Hints\r\nLink: <${'a'.repeat(8000)}>\r\n\r\n`,
      'http_response_header_section_size',
    ],
  ])('an endless %s: 502 by its limit', async (_, head, piece, code) => {
    const sent = { bytes: 0 }
    const { front, seen, end } = await scene(kind, async (connection) => {
      await connection.head()
      await connection.write(head)
      await forEver(connection, piece.repeat(Math.ceil(4096 / piece.length)), sent)
    })
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 502, complete: true })
    expect(seen.codes).toEqual([code])
    await end()
  })

  it.each([
    ['chunk extension', '1;a="', 'a'.repeat(1000), 'http_protocol_error'],
    ['chunk size', '0', '0'.repeat(1000), 'http_protocol_error'],
    ['section of trailers', '0\r\n', 'X-A: a\r\n'.repeat(100), 'http_response_header_section_size'],
    ['trailer', '0\r\nX-A: ', 'a'.repeat(1000), 'http_response_header_section_size'],
  ])('an endless %s: cut by its limit', async (_, start, piece, code) => {
    const sent = { bytes: 0 }
    const { front, seen, end } = await scene(kind, async (connection) => {
      await connection.head()
      await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n')
      // The body's bytes are on their way to the client when what is endless begins.
      await until(() => reader.text.includes('body'), 'the client to read')
      await connection.write(start)
      await forEver(connection, piece, sent)
    })
    const reader: RawClient = await rawClient(front.port)
    reader.write(getting)
    await within(reader.closed, 'the connection to be cut')
    expect(reader.text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n4\r\nbody\r\n$/)
    expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code } })
    await end()
  })

  it.each([
    [
      'with a length',
      'HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n',
      Buffer.alloc(64 * 1024, 'x'),
    ],
    [
      'in large chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      `10000\r\n${'x'.repeat(65_536)}\r\n`,
    ],
    [
      'in small chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      '5\r\nsmall\r\n'.repeat(5_000),
    ],
    ['without a length', 'HTTP/1.1 200 OK\r\n\r\n', Buffer.alloc(64 * 1024, 'x')],
  ])(
    'an endless body %s to a client that does not read waits, and goes when the client goes',
    async (_, head, piece) => {
      const sent = { bytes: 0 }
      // Not the target is idle, but the client: nothing ends before it leaves.
      const { front, origin, seen, end } = await scene(
        kind,
        async (connection) => {
          await connection.head()
          await connection.write(head)
          await forEver(connection, piece, sent)
        },
        { body: short },
      )
      const client = await rawClient(front.port)
      client.socket.pause()
      client.write(getting)
      const connection = await origin.connection()
      const stuck = await atRest(() => sent.bytes, 40)
      // What the system's buffers of two connections hold, and little more.
      expect(stuck).toBeLessThan(32 * MiB)
      expect(stuck).toBeGreaterThan(0)
      expect(seen.outcomes).toEqual([])
      expect(connection.socket.destroyed).toBe(false)
      client.reset()
      expect(await seen.outcome()).toMatchObject({ kind: 'client-left' })
      await within(connection.closed, 'the connection to the target to close')
      await end()
    },
  )

  it('endless hints to a client that does not read: no more than a head’s bytes wait for it', async () => {
    const hint = `HTTP/1.1 103 Early Hints\r\nLink: <${'a'.repeat(10_000)}>\r\n\r\n`
    const sent = { bytes: 0 }
    const { front, seen, end } = await scene(kind, async (connection) => {
      await connection.head()
      await forEver(connection, hint, sent)
    })
    const client = await rawClient(front.port)
    client.socket.pause()
    client.write(getting)
    await until(() => seen.codes.length > 0, 'the limit to be met')
    expect(seen.codes).toEqual(['http_response_header_section_size'])
    client.socket.resume()
    await client.until('HTTP/1.1 502')
    expect(client.text.length).toBeLessThan(64 * 1024)
    client.reset()
    await end()
  })
})
