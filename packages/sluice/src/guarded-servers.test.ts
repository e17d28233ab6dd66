import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Handler } from '@sluice/core'
import { beforeAll, describe, expect, it } from 'vitest'
import { frameClient, frameTypes, http2Frame } from '../../../test/kit/http2-frames.js'
import { owner } from '../../../test/kit/owner.js'
import { parseResponses, rawClient, rawRequest } from '../../../test/kit/raw-request.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { type X509Pair, x509SelfSigned } from '../../../test/kit/x509.js'
import { createProxy } from './create-proxy.js'
import { Listeners } from './listeners.js'
import { createSecureServer } from './secure-server.js'
import { type ListenGuard, limitsOf } from './server-limits.js'

trapUnhandled()
const own = owner()
let pair: X509Pair
beforeAll(async () => {
  pair = await x509SelfSigned({ names: ['localhost'] })
})

const ok: Handler = () => ({ status: 200, headers: [], body: 'ok' })
const shortHeads: ListenGuard = { server: { head: 60 } }
const fewResets: ListenGuard = { server: { resets: { burst: 5, rate: 1 } } }
const fastBodies: ListenGuard = { slow: { minRate: 1_000_000, grace: 60, readGrace: 60 } }

async function plain(handler: Handler, guard?: ListenGuard): Promise<number> {
  const listeners = new Listeners(handler, { tls: undefined, proxies: undefined }, guard)
  own({
    close: async () => {
      const shut = listeners.shut()
      listeners.end()
      await shut
    },
  })
  return (await listeners.listen(0, '127.0.0.1')).port
}

async function secure(handler: Handler, guard: ListenGuard): Promise<number> {
  const { server, closeAllConnections } = createSecureServer(
    { cert: pair.cert, key: pair.key },
    handler,
    true,
    limitsOf(guard),
    guard,
  )
  own({
    close: () => {
      server.close()
      closeAllConnections()
    },
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** Reads all of its body, and tells why it couldn't. */
function reading(failed: (code: unknown) => void): Handler {
  return async (ctx) => {
    try {
      const { toReadable } = await import('@sluice/core')
      for await (const _ of toReadable(ctx.out.body) ?? []);
      return ok(ctx)
    } catch (error) {
      failed((error as { code?: unknown }).code)
      throw error
    }
  }
}

describe('a server of a proxy', () => {
  it('answers what its parser refuses as errors are answered', async () => {
    const proxy = createProxy({ upstreams: { site: 'http://127.0.0.1:9' } })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen()
    const [response] = (await rawRequest(port, 'GET / HTTP/1.1\r\nHost : a\r\n\r\n')).responses
    expect(response?.status).toBe(400)
    expect(String(response?.body)).toBe('400 Bad Request\n')
    expect(response?.headers).toContain('no-store')
  })

  it('leaves that to Node where the guard is off', async () => {
    const port = await plain(ok, { server: false })
    const { text } = await rawRequest(port, 'GET / HTTP/1.1\r\nHost : a\r\n\r\n')
    expect(text).toBe('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
  })

  it.each<[string, ListenGuard, number]>([
    ['by default', {}, 262_144],
    ['as it is told', { server: { window: '1mb' } }, 1_048_576],
    ['without a guard', { server: false }, 262_144],
  ])('lets bodies of HTTP/2 come ahead of their reader, %s', async (_name, guard, window) => {
    const client = own(await frameClient(await secure(ok, guard), { tls: true }))
    const { payload } = await client.frame(frameTypes.settings, 0)
    expect(client.frames[0]?.type).toBe(frameTypes.settings)
    const settings = new Map<number, number>()
    for (let at = 0; at < payload.length; at += 6)
      settings.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
    expect(settings.get(4)).toBe(window)
    // Beyond the 65,535 bytes that a connection begins with (RFC 9113 section 6.9.2).
    const { payload: more } = await client.frame(frameTypes.windowUpdate, 0)
    expect(more.readUInt32BE(0) + 65_535).toBe(16 * window)
  })

  it
    .skipIf(skipUnless(process.platform === 'linux', 'the timers of connections are read from /proc'))
    .each<[string, boolean, ListenGuard]>([
      ['of plain HTTP', false, {}],
      ['of TLS', true, {}],
      ['of plain HTTP without a guard', false, { server: false }],
      ['of TLS without a guard', true, { server: false }],
    ])('has the system ask whether a client is still there: %s', async (_name, tls, guard) => {
    const port = tls ? await secure(ok, guard) : await plain(ok, guard)
    const { socket } = own(await rawClient(port, { allowHalfOpen: true }))
    const ends = [port, socket.localPort as number].map((each) =>
      `0100007f:${each.toString(16).padStart(4, '0')}`.toUpperCase(),
    )
    // Its columns: a number, our address, its address, the state, queues, and the timer that runs: 02 is keepalive.
    const timer = (): string | undefined =>
      readFileSync('/proc/net/tcp', 'latin1')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .find(([, ours, its]) => ours === ends[0] && its === ends[1])?.[5]
    await until(
      () => timer()?.startsWith('02:') === true,
      () => `its keepalive, and not ${timer()}`,
    )
  })

  it('ends heads and bodies in drips, and the exchange hears that its client has left', async () => {
    const failed = deferred<unknown>()
    const head = own(await rawClient(await plain(ok, shortHeads)))
    head.write('GET / HTTP/1.1\r\nHo')
    const body = own(await rawClient(await plain(reading(failed.resolve), fastBodies)))
    body.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf')
    for (const { closed } of [head, body]) await within(closed, 'its end')
    const statuses = [head, body].map(({ received }) => parseResponses(received).map(({ status }) => status))
    expect(statuses).toEqual([[408], [408]])
    expect(await within(failed.promise, 'the end of the exchange')).toBe('client_left')
  })

  it('does so over TLS, on both protocols', async () => {
    const failed = deferred<unknown>()
    const body = own(await frameClient(await secure(reading(failed.resolve), fastBodies), { tls: true }))
    body.request(1, true)
    body.write(http2Frame(frameTypes.data, 0, 1, Buffer.from('half')))
    await body.frame(frameTypes.headers, 1)
    expect(await within(failed.promise, 'the end of the exchange')).toBe('client_left')
    const port = await secure(ok, shortHeads)
    const head = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    own({ close: () => head.destroy() })
    head.on('error', () => {}).write('GET / HTTP/1.1\r\nHo')
    const [answer] = (await within(once(head, 'data'), 'its answer')) as [Buffer]
    expect(String(answer)).toMatch(/^HTTP\/1\.1 408 /)
    // One that has its handshake and says nothing, of HTTP/2 too.
    const silent = own(await frameClient(port, { tls: true, settings: false }))
    silent.socket.resume()
    await within(silent.closed, 'its end')
  })

  it('breaks a connection of HTTP/2 off that resets its streams', async () => {
    const port = await secure(() => new Promise(() => {}), fewResets)
    const client = own(await frameClient(port, { tls: true }))
    for (let i = 0; i < 6; i++) {
      client.request(2 * i + 1)
      client.write(http2Frame(frameTypes.reset, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8])))
    }
    await within(client.closed, 'its end')
  })

  it('has a wrong option told by its name', async () => {
    const guard = { server: { head: 'soon' } } as never
    await expect(plain(ok, guard)).rejects.toThrow("guard.server.head: got 'soon'")
  })
})
