import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createProxyServer } from '@sluice/http-proxy'
import { describe, expect, it } from 'vitest'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** A target that sends the beginning of an answer, and leaves. */
async function breakingOff(): Promise<string> {
  const origin = own(
    await rawOrigin(async (connection) => {
      await connection.head()
      await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
      connection.reset()
    }),
  )
  return origin.url
}

describe('the drop-in, where an answer breaks off', () => {
  it.each(['without listeners', 'with a listener of proxyRes'])(
    'ends the connection of a Unix socket, which knows no reset, and nothing else (%s)',
    async (how) => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
      own({ close: () => rmSync(folder, { recursive: true }) })
      const proxy = own(createProxyServer({ target: await breakingOff() }))
      if (how.includes('proxyRes')) proxy.on('proxyRes', () => {})
      const server = createServer(proxy.web).listen(join(folder, 'app.sock'))
      own({ close: () => void server.close() })
      await once(server, 'listening')
      const client = own(closable(connect(join(folder, 'app.sock'))))
      // As nginx asks its upstreams by default: the body ends with the connection.
      client.socket.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
      await within(once(client.socket, 'close'), 'the end of the connection')
      expect(client.text()).toContain('hello')
    },
  )
})

function closable(socket: Socket): { socket: Socket; text(): string; close(): void } {
  let text = ''
  socket.on('data', (part: Buffer) => {
    text += part.toString('latin1')
  })
  socket.on('error', () => {})
  return { socket, text: () => text, close: () => void socket.destroy() }
}
