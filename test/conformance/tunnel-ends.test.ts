import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { Outcome } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { attachedFronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { testCertificate } from '../kit/certificate.js'
import type { Front, FrontKind } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { observer } from '../kit/observer.js'
import { owner } from '../kit/owner.js'
import { type RawConnection, rawOrigin } from '../kit/raw-origin.js'
import { rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const accepted = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n'

/** A client's end of a tunnel, whichever way it was opened. */
interface End {
  readonly duplex: Duplex
  readonly text: string
  reset(): void
}

/** A tunnel of HTTP/1.1, by an upgrade. */
async function overSocket(front: Front): Promise<End> {
  const client = own(await rawClient(front.port, { allowHalfOpen: true }))
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n')
  await client.until('\r\n\r\n')
  const head = client.text.indexOf('\r\n\r\n') + 4
  return {
    duplex: client.socket,
    get text() {
      return client.text.slice(head)
    },
    reset: () => client.reset(),
  }
}

/** A tunnel of HTTP/2, by an extended CONNECT. */
async function overStream(session: ClientHttp2Session): Promise<End> {
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'raw', ':scheme': 'http', ':path': '/', ':authority': 'a' },
    { endStream: false },
  )
  let text = ''
  stream.on('error', () => {})
  stream.on('data', (chunk: Buffer) => {
    text += String(chunk)
  })
  await within(once(stream, 'response'), 'the response')
  return {
    duplex: stream,
    get text() {
      return text
    },
    // `close()` would send the end of its half ahead of the reset.
    reset: () => void stream.destroy(Object.assign(new Error('leaving'), { name: 'AbortError' })),
  }
}

async function opener(kind: FrontKind, front: Front): Promise<() => Promise<End>> {
  if (!kind.http2) return () => overSocket(front)
  const ca = kind.tls ? testCertificate()?.cert : undefined
  const session = connectHttp2(`${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`, ca ? { ca } : {})
  session.on('error', () => {})
  own({ close: () => session.destroy() })
  await within(once(session, 'remoteSettings'), 'the settings')
  return () => overStream(session)
}

const kinds = [...attachedRawFronts, ...attachedFronts.filter(({ http2 }) => http2)]

describe.each(kinds)('a tunnel through $name', (kind) => {
  /** Opens tunnels one after another, lets `act` end each, and sees that all goes back to where it was. */
  async function endings(
    act: (client: End, target: RawConnection) => unknown,
    timeouts: { tunnel?: number } = {},
  ): Promise<Outcome> {
    const seen = observer()
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        // Its half ends when the test says so.
        connection.socket.removeAllListeners('end')
        await connection.write(accepted)
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer], timeouts }))
    const open = await opener(kind, front)
    const leaks = leakCheck()
    const rounds = 3
    for (let i = 0; i < rounds; i++) {
      const client = await open()
      const target = await origin.connection(i)
      client.duplex.write('from the client')
      await target.until('from the client')
      await target.write('from the target')
      await until(() => client.text === 'from the target', 'the bytes of the target')
      expect(front.inFlight).toBe(1)
      const closed = new Promise((resolve) => client.duplex.once('close', resolve))
      await act(client, target)
      await within(Promise.all([closed, target.closed]), 'both ends')
      await until(() => front.inFlight === 0, 'the lease to be released')
    }
    await leaks.settled()
    return seen.outcome(rounds - 1)
  }

  const lateWords = async (client: End, target: RawConnection): Promise<void> => {
    await target.write(' and late')
    await until(() => client.text.endsWith(' and late'), 'what the target says late')
  }

  it('ends when the client ends its half, and then the target', async () => {
    const end = await endings(async (client, target) => {
      const ended = once(target.socket, 'end')
      client.duplex.end(' goodbye')
      await within(ended, 'the end of the client’s half')
      expect(target.text).toMatch(/ goodbye$/)
      await lateWords(client, target)
      target.end()
    })
    expect(end).toMatchObject({ kind: 'done' })
  })

  it('ends when the target ends its half, and then the client', async () => {
    const end = await endings(async (client, target) => {
      const ended = once(client.duplex, 'end')
      client.duplex.resume()
      target.end()
      await within(ended, 'the end of the target’s half')
      client.duplex.write(' still here')
      await target.until(' still here')
      client.duplex.end()
    })
    expect(end).toMatchObject({ kind: 'done' })
  })

  it('ends when both end at once', async () => {
    const end = await endings((client, target) => {
      client.duplex.end()
      target.end()
    })
    expect(end).toMatchObject({ kind: 'done' })
  })

  it('ends for the target when the client resets', async () => {
    const end = await endings((client) => client.reset())
    expect(end).toMatchObject({ kind: 'client-left', error: { code: 'client_left' } })
  })

  it('ends for the client when the target resets', async () => {
    const end = await endings(async (client, target) => {
      target.reset()
      await until(() => client.duplex.destroyed || client.duplex.readableEnded, 'the end')
      if (kind.http2) {
        // RFC 8441 section 5: it can be told from an end.
        expect((client.duplex as { rstCode?: number }).rstCode).toBe(constants.NGHTTP2_CANCEL)
      }
      client.duplex.destroy()
    })
    expect(end).toMatchObject({ kind: 'error', error: { code: 'http_upgrade_failed' } })
  })

  it('ends when it was idle for too long', async () => {
    const end = await endings(
      async (client, target) => {
        target.socket.once('end', () => target.end())
        await until(() => client.duplex.destroyed || client.duplex.readableEnded, 'the end')
        client.duplex.destroy()
      },
      { tunnel: 300 },
    )
    expect(end).toMatchObject({ kind: 'error', error: { code: 'http_upgrade_failed' } })
  })

  it('ends when the client leaves', async () => {
    const end = await endings((client, target) => {
      target.socket.once('end', () => target.end())
      // Of HTTP/2 the stream alone; the test of the session is below.
      client.duplex.destroy()
    })
    expect(['done', 'client-left']).toContain(end.kind)
  })
})

describe.each(kinds.filter(({ http2 }) => http2))('tunnels through $name', (kind) => {
  it('end with their session', async () => {
    const seen = observer()
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(accepted)
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const leaks = leakCheck()
    const ca = kind.tls ? testCertificate()?.cert : undefined
    const session = connectHttp2(`${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`, ca ? { ca } : {})
    own({ close: () => session.destroy() })
    await within(once(session, 'remoteSettings'), 'the settings')
    for (let i = 0; i < 10; i++) await overStream(session)
    expect(front.inFlight).toBe(10)
    session.destroy()
    await until(() => front.inFlight === 0, 'all leases to be released')
    await until(() => origin.sockets === 0, 'the connections to the target to close')
    await leaks.settled()
  })
})
