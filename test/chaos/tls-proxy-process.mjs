// A proxy with TLS before an origin, in a process of its own. Argument: its options of `tls`, as JSON. Told `'stats'` it says what it holds.
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { wireTransport } from '@sluice/forward'
import { createProxy } from 'sluice'

const told = (error) => process.send({ fault: String(error?.stack ?? error) })
process.on('uncaughtException', told).on('unhandledRejection', told)

const origin = createServer((req, res) => {
  req.resume()
  res.end('ok')
})
origin.on('upgrade', (req, socket) => {
  const key = `${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
  const accept = createHash('sha1').update(key).digest('base64')
  socket.on('error', () => {})
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  socket.pipe(socket)
})
await new Promise((resolve) => origin.listen(0, '127.0.0.1', resolve))

const proxy = createProxy({
  upstreams: {
    default: {
      targets: [`http://127.0.0.1:${origin.address().port}`],
      // What is counted is connections of clients: those to the origin shall be gone soon.
      transport: wireTransport({ idle: '1s' }),
    },
  },
  tls: JSON.parse(process.argv[2]),
})
const { port } = await proxy.listen()

process.on('message', async (what) => {
  if (what === 'stats') {
    for (let i = 0; i < 3; i++) {
      globalThis.gc()
      await new Promise((resolve) => setImmediate(resolve))
    }
    const { rss, heapUsed } = process.memoryUsage()
    const names = proxy.tls.certificates().flatMap((info) => info.names)
    process.send({ stats: { rss, heapUsed, descriptors: readdirSync('/proc/self/fd').length, names } })
  } else {
    await proxy.close()
    origin.close()
    process.disconnect()
  }
})
process.send({ port })
