import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { Handler, Reply } from '@sluice/core'
import { beforeAll, expect, it } from 'vitest'
import { frameClient, frameTypes } from '../../../test/kit/http2-frames.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { type X509Pair, x509SelfSigned } from '../../../test/kit/x509.js'
import { createSecureServer } from './secure-server.js'
import { serverLimits } from './server-limits.js'

trapUnhandled()
const own = owner()

let pair: X509Pair

beforeAll(async () => {
  pair = await x509SelfSigned({ names: ['localhost', '127.0.0.1'] })
})

async function listening(handler: Handler, quiet = serverLimits.quiet): Promise<number> {
  const { server, closeAllConnections } = createSecureServer(
    { cert: pair.cert, key: pair.key },
    handler,
    true,
    { ...serverLimits, quiet },
  )
  own({
    close: () => {
      server.close()
      closeAllConnections()
    },
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const empty = (): Reply => ({ status: 204, headers: [], body: null })

it('ends a connection of HTTP/2 on which nothing is said', async () => {
  const port = await listening(empty, 20)
  const silent = connectTls({
    port,
    host: '127.0.0.1',
    ca: pair.cert,
    servername: 'localhost',
    ALPNProtocols: ['h2'],
  })
  own({ close: () => silent.destroy() })
  await within(once(silent.resume(), 'close'), 'its end')
})

it('says GOAWAY where a connection of HTTP/2 rests, and lets its stream finish', async () => {
  const go = deferred()
  const port = await listening(async () => {
    await go.promise
    return empty()
  }, 500)
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: pair.cert })
  own({ close: () => session.destroy() })
  const stream = session.request({ ':path': '/' })
  await within(once(session, 'goaway'), 'GOAWAY')
  const gone = once(session, 'close')
  const head = once(stream, 'response')
  go.resolve()
  expect((await head)[0][':status']).toBe(204)
  stream.resume()
  await within(gone, 'the end of the connection')
})

/** An answer with a byte from time to time, for as long as somebody takes it. */
const beating: Handler = (ctx) => {
  const body = new PassThrough()
  const beat = setInterval(() => body.write('.'), 20)
  ctx.onClose(() => clearInterval(beat), undefined)
  return { status: 200, headers: [], body }
}

it('ends a connection of HTTP/2 whose client is gone, although something is written to it from time to time', async () => {
  const port = await listening(beating, 200)
  const gone = own(await frameClient(port, { tls: true }))
  gone.request(1)
  await gone.frame(frameTypes.data, 1)
  await gone.frame(frameTypes.ping)
  await within(gone.closed, 'its end')
})

it('asks such a one that lives, and says no GOAWAY', async () => {
  const port = await listening(beating, 200)
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: pair.cert })
  own({ close: () => session.destroy() })
  const stream = session.request({ ':path': '/' })
  let pings = 0
  let goaways = 0
  session.on('ping', () => pings++).on('goaway', () => goaways++)
  stream.resume()
  await until(() => pings >= 3, 'pings')
  expect({ goaways, isOpen: !stream.closed && !session.closed }).toEqual({ goaways: 0, isOpen: true })
})

it('ends a connection of HTTP/2 whose client breaks the protocol, and what is on it', async () => {
  const over = deferred()
  const port = await listening((ctx) => {
    ctx.onClose(() => over.resolve(), undefined)
    return new Promise(() => {})
  }, 50)
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    ca: pair.cert,
    servername: 'localhost',
    ALPNProtocols: ['h2'],
  })
  own({ close: () => socket.destroy() })
  const gone = once(socket.resume(), 'close')
  // The preface, SETTINGS, and a GET of `/` from `a`; then SETTINGS whose length is none (RFC 9113 section 6.5).
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  socket.write(Buffer.from('000000040000000000' + '000006010500000001' + '828784410161', 'hex'))
  socket.write(Buffer.from('000004040000000000' + '01020304', 'hex'))
  await within(over.promise, 'the end of the exchange')
  await within(gone, 'the end of the connection')
})

it('bounds the streams of a connection', async () => {
  const port = await listening(empty)
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: pair.cert })
  own({ close: () => session.destroy() })
  await once(session, 'remoteSettings')
  expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 250, enableConnectProtocol: true })
})
