import { once } from 'node:events'
import { connect as http2Connect, type IncomingHttpHeaders } from 'node:http2'
import { type AddressInfo, connect as connectPlain, Server } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { Handler, Reply } from '@sluice/core'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { deferred, until } from '../../../test/kit/until.js'
import { type X509Pair, x509SelfSigned } from '../../../test/kit/x509.js'
import { createProxy } from './create-proxy.js'
import { createSecureServer, type SecureServer } from './secure-server.js'
import { limitsOf, serverLimits } from './server-limits.js'

const own = owner()
let pair: X509Pair
beforeAll(async () => {
  pair = await x509SelfSigned({ names: ['localhost'] })
})

const short = { ...serverLimits, headersTimeout: 30, connectionsCheckingInterval: 10, quiet: 30, linger: 10 }
const ok: Handler = () => ({ status: 200, headers: [], body: 'ok' })

async function listening(
  handler: Handler = ok,
): Promise<SecureServer & { port: number; open(): Promise<number> }> {
  const secure = createSecureServer({ cert: pair.cert, key: pair.key }, handler, true, short)
  const { server } = secure
  own({
    close: () => {
      server.close()
      secure.closeAllConnections()
    },
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const open = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))
  return { ...secure, port: (server.address() as AddressInfo).port, open }
}

/** A client that speaks when it is told to, and never ends its half. */
async function silent(port: number, protocol: string, says = ''): Promise<TLSSocket> {
  const raw = connectPlain({ port, host: '127.0.0.1', allowHalfOpen: true })
  const socket = connect({ socket: raw, rejectUnauthorized: false, ALPNProtocols: [protocol] })
  own({ close: () => raw.destroy() })
  socket.on('error', () => {}).resume()
  await once(socket, 'secureConnect')
  if (says !== '') socket.write(says, 'latin1')
  return socket
}

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const settings = '\x00\x00\x00\x04\x00\x00\x00\x00\x00'
const goaway = '\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'

describe('createSecureServer', () => {
  it.each([
    ['no request of HTTP/1.1', 'http/1.1', ''],
    ['half a head', 'http/1.1', 'GET / HTTP/1.1\r\nHo'],
    ['no preface of HTTP/2', 'h2', ''],
    ['half a preface', 'h2', preface.slice(0, 19)],
    ['a preface and nothing more', 'h2', preface + settings],
    ['that it goes, and stays', 'h2', preface + settings + goaway],
  ])('ends a client that says %s', async (_what, protocol, says) => {
    const { port, open } = await listening()
    await silent(port, protocol, says)
    await until(async () => (await open()) === 0, 'the end of the connection')
  })

  it('lets a stream of HTTP/2 take its time', async () => {
    const asked = deferred<void>()
    const answer = deferred<Reply>()
    const { port, open } = await listening(() => {
      asked.resolve()
      return answer.promise
    })
    const session = http2Connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    own({ close: () => session.destroy() })
    const stream = session.request({ ':path': '/' })
    await asked.promise
    // It is quiet: the server takes no more streams of it, and goes on with this one.
    await once(session, 'goaway')
    answer.resolve({ status: 200, headers: [], body: 'late' })
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    expect(headers[':status']).toBe(200)
    expect(String(Buffer.concat(await stream.toArray()))).toBe('late')
    await until(async () => (await open()) === 0, 'the end of the connection')
  })
})

describe('serverLimits', () => {
  it('hold on each server of a proxy', async () => {
    const listen = vi.spyOn(Server.prototype, 'listen')
    const proxy = createProxy({
      upstreams: { site: 'http://127.0.0.1:9' },
      tls: { cert: pair.cert, key: pair.key, redirect: 0 },
    })
    own({ close: () => proxy.close({ drain: 0 }) })
    await proxy.listen()
    const servers = listen.mock.contexts as unknown[]
    listen.mockRestore()
    const { headersTimeout, requestTimeout } = limitsOf({})
    expect(headersTimeout).toBeGreaterThan(0)
    expect(servers).toHaveLength(2)
    for (const server of servers) expect(server).toMatchObject({ headersTimeout, requestTimeout })
  })
})
