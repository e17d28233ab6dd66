import { WebSocketServer } from 'ws'

/** Makes a `node:http` server send each WebSocket message back. */
export function echo(server) {
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    // A contender that was stopped resets its connections.
    socket.on('error', () => socket.terminate())
  })
  return server
}
