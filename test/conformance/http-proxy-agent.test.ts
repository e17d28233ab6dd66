import { Agent, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createProxyServer } from '@sluice/http-proxy'
import { describe, expect, it } from 'vitest'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Of no class of Node's: it opens the connections itself. */
class OwnAgent extends Agent {}

async function fronting(target: string): Promise<number> {
  const agent = new OwnAgent({ keepAlive: true })
  own({ close: () => agent.destroy() })
  const proxy = own(createProxyServer({ target, agent }))
  const server = createServer(proxy.web).on('upgrade', proxy.ws).listen(0, '127.0.0.1')
  own({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  await until(() => server.listening, 'the server')
  return (server.address() as AddressInfo).port
}

const get = (more = ''): string => `GET / HTTP/1.1\r\nHost: a\r\n${more}\r\n`
const changed = (protocol: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`
const handshake =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'

describe('the drop-in, over connections of an agent', () => {
  it('takes no 101 that nobody has asked for, and ends its connection (RFC 9110 section 7.8)', async () => {
    const smuggled = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
    const origin = own(await rawOrigin(answering(changed('evil') + smuggled)))
    const client = own(await rawClient(await fronting(origin.url)))
    client.write(get())
    expect((await client.responses())[0]).toMatchObject({ status: 502 })
    await within((await origin.connection()).closed, "the end of the target's connection")
    expect(client.text).not.toContain('evil')
  })

  it('takes no change to another protocol than the client has asked for', async () => {
    const origin = own(await rawOrigin(answering(changed('h2c'))))
    const client = own(await rawClient(await fronting(origin.url)))
    client.write(get(handshake))
    await within(client.closed, 'the end of the connection')
    await within((await origin.connection()).closed, "the end of the target's connection")
    expect(client.text).not.toContain('101')
  })

  it('leaves out of trailers what has no business there (RFC 9110 section 6.5.1)', async () => {
    const trailers =
      'Transfer-Encoding: chunked\r\nConnection: x\r\nX: named\r\nSet-Cookie: a=b\r\nHost: h\r\nX-Late: a\r\n'
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
    const origin = own(await rawOrigin(answering(`${head}2\r\nok\r\n0\r\n${trailers}\r\n`)))
    const client = own(await rawClient(await fronting(origin.url)))
    client.write(get())
    expect((await client.responses())[0]).toMatchObject({ status: 200, trailers: ['X-Late', 'a'] })
  })

  it.each(['gzip, chunked', 'gzip'])('hands on no content in a coding that it drops (%s)', async (coding) => {
    const head = `HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n`
    const origin = own(await rawOrigin(answering(`${head}5\r\ncoded\r\n0\r\n\r\n`)))
    const client = own(await rawClient(await fronting(origin.url)))
    client.write(get())
    expect((await client.responses())[0]).toMatchObject({ status: 502 })
    await within((await origin.connection()).closed, "the end of the target's connection")
    expect(client.text).not.toContain('coded')
  })

  it.each(['with its last bytes', 'later'])(
    'takes no reset for the end of a body without length (%s)',
    async (when) => {
      const got = deferred()
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.head()
          await connection.write('HTTP/1.1 200 OK\r\n\r\nhalf')
          if (when === 'later') await got.promise
          connection.reset()
        }),
      )
      const client = own(await rawClient(await fronting(origin.url)))
      client.write(get('Connection: close\r\n'))
      if (when === 'later') await client.until('half')
      got.resolve()
      await within(client.closed, 'the end of the connection')
      expect(client.text).not.toContain('\r\n0\r\n\r\n')
    },
  )
})
