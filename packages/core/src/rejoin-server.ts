import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'

/** Servers that never listen: each parses for another one what that one has given up as an upgrade. */
const readers = new WeakMap<Server, Server>()

/**
 * Gives a request back to its server, as one that has asked for no upgrade. Node's parser stops behind the head of an upgrade, so the
 * body of one that nobody takes up (RFC 9110 section 7.8) would be read by nobody. The connection ends with the answer: Node itself,
 * where it is told to take such a request for none (`shouldUpgradeCallback`), loses what comes in one packet behind the body.
 * @param head what has come behind the head of the request
 */
export function rejoinServer(server: Server, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  if (socket.destroyed) return
  let reader = readers.get(server)
  if (reader === undefined) {
    reader = readerFor(server)
    readers.set(server, reader)
  }
  socket.unshift(Buffer.concat([withoutUpgrade(req), head]))
  reader.emit('connection', socket)
  // Who looks there wants the one that listens.
  ;(socket as Duplex & { server?: Server }).server = server
}

function readerFor(server: Server): Server {
  // What the first parser has taken whole has room in the second.
  const reader = createServer({ maxHeaderSize: 1024 * 1024 })
  reader.maxHeadersCount = server.maxHeadersCount
  reader.maxRequestsPerSocket = 1
  // Not in the types: whether a client that has ended its half still gets its answer.
  const { httpAllowHalfOpen } = server as { httpAllowHalfOpen?: boolean }
  Object.assign(reader, { httpAllowHalfOpen })
  for (const event of ['request', 'checkContinue', 'checkExpectation', 'clientError']) {
    if (server.listenerCount(event) > 0) reader.on(event, (...args) => server.emit(event, ...args))
  }
  return reader
}

/** The head as it came, but for what it asks to go over to. */
function withoutUpgrade(req: IncomingMessage & { readonly originalUrl?: string }): Buffer {
  const { method, originalUrl, url, httpVersion, rawHeaders } = req
  let text = `${method} ${originalUrl ?? url} HTTP/${httpVersion}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if ((rawHeaders[i] as string).toLowerCase() !== 'upgrade')
      text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  }
  return Buffer.from(`${text}\r\n`, 'latin1')
}
