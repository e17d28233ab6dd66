// Ports of the loopback interface, for servers that can't say themselves when and where they serve.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** A port for servers that can't say which one they took, so it is chosen for them. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Whether somebody listens on this port of the loopback interface. */
export async function accepts(port) {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
