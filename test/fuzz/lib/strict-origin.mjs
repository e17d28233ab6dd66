import { createServer } from 'node:net'
import { StrictRequests } from './strict-requests.mjs'

/**
 * A target that reads what arrives as {@link StrictRequests} does, and answers whole requests alone: to anything else it says nothing
 * more.
 * @param {(request: object) => { status?: number, fields?: string[], body?: string | Buffer }} answer
 */
export async function strictOrigin(answer = () => ({ body: 'ok' })) {
  const connections = []
  const sockets = new Set()
  const server = createServer({ noDelay: true }, (socket) => {
    const reader = new StrictRequests((request) => {
      const { status = 200, fields = [], body = '' } = answer(request, connection)
      const lines = [`HTTP/1.1 ${status} x`, ...fields, `Content-Length: ${Buffer.byteLength(body)}`]
      socket.write(`${lines.join('\r\n')}\r\n\r\n`)
      if (request.method !== 'HEAD') socket.write(body)
    })
    const connection = { reader, socket }
    connections.push(connection)
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      reader.push(chunk)
      if (asksFirst(reader.rest)) socket.write('HTTP/1.1 100 Continue\r\n\r\n')
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    connections,
    /** Connections that are open now. */
    get open() {
      return sockets.size
    },
    /** Drops what it has recorded. */
    forget() {
      for (const { reader } of connections) reader.requests.length = 0
      const open = connections.filter(({ socket }) => !socket.destroyed)
      connections.splice(0, connections.length, ...open)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** A head whose sender waits for word before it sends the rest; said as often as it is looked at, which does no harm. */
function asksFirst(rest) {
  const end = rest.indexOf('\r\n\r\n')
  return end === rest.length - 4 && /\r\nexpect: *100-continue\r\n/i.test(rest.toString('latin1'))
}
