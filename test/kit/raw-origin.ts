import { type AddressInfo, createServer, type Socket } from 'node:net'
import { deferred, until } from './until.js'

/** One connection of a raw origin: what came in, and what to do to the other end. */
export interface RawConnection {
  readonly index: number
  /** Every byte so far. */
  readonly received: Buffer
  /** The same as text, one character a byte. */
  readonly text: string
  readonly socket: Socket
  /** Waits until what was received holds `mark` (as text, or as a number of bytes). Rejects when it closes before. */
  until(mark: string | number): Promise<void>
  /** Waits for the end of a head, and gives it with its blank line. */
  head(): Promise<string>
  /** Sends bytes; a string is latin1. Resolves when they have left or the connection has closed. */
  write(bytes: string | Uint8Array): Promise<void>
  /** Sends bytes one by one, in a packet each as far as the system lets them be. */
  dribble(bytes: string): Promise<void>
  /** Ends this half in the ordinary way. */
  end(): void
  /** Ends it with a reset. */
  reset(): void
  /** When the connection has closed. */
  readonly closed: Promise<void>
}

/** A server of bytes for proxies to talk to. */
export interface RawOrigin {
  readonly port: number
  readonly url: string
  readonly connections: readonly RawConnection[]
  /** Connections open now. */
  readonly sockets: number
  /** The connection number `index`, as soon as it is there. */
  connection(index?: number): Promise<RawConnection>
  close(): Promise<void>
}

/**
 * Starts a server that does with each connection what `script` says. Without a script it says nothing. What a script throws
 * (for instance since the other end has left) ends its connection.
 */
export async function rawOrigin(
  script: (connection: RawConnection) => unknown = () => {},
): Promise<RawOrigin> {
  const connections: RawConnection[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const connection = connect(socket, connections.length)
    connections.push(connection)
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    Promise.resolve()
      .then(() => script(connection))
      .catch(() => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    connections,
    get sockets() {
      return sockets.size
    },
    connection: (index = 0) => until(() => connections[index], `connection ${index} at the origin`),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** A script that waits for a request's head and answers with these bytes; then the connection stays open. */
export function answering(bytes: string | Uint8Array): (connection: RawConnection) => Promise<void> {
  return async (connection) => {
    await connection.head()
    await connection.write(bytes)
  }
}

function connect(socket: Socket, index: number): RawConnection {
  let received = Buffer.alloc(0)
  const closed = deferred()
  const watchers = new Set<() => void>()
  const look = (): void => {
    for (const watcher of watchers) watcher()
  }
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    look()
  })
  // The proxy closes: so do we, unless a script has ended it already.
  socket.on('end', () => socket.end())
  socket.on('close', () => {
    closed.resolve()
    look()
  })
  const waitFor = (found: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const watcher = (): void => {
        if (found()) resolve()
        else if (socket.destroyed) reject(new Error('the connection closed'))
        else return
        watchers.delete(watcher)
      }
      watchers.add(watcher)
      watcher()
    })
  const write = (bytes: string | Uint8Array): Promise<void> =>
    new Promise((resolve) => {
      if (socket.destroyed) return resolve()
      socket.once('close', resolve)
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => {
        socket.off('close', resolve)
        resolve()
      })
    })
  return {
    index,
    socket,
    closed: closed.promise,
    get received() {
      return received
    },
    get text() {
      return received.toString('latin1')
    },
    until: (mark) =>
      waitFor(() => (typeof mark === 'number' ? received.length >= mark : received.includes(mark))),
    async head() {
      await waitFor(() => received.includes('\r\n\r\n'))
      return received.subarray(0, received.indexOf('\r\n\r\n') + 4).toString('latin1')
    },
    write,
    async dribble(bytes) {
      for (const byte of bytes) {
        await write(byte)
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
    end: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
  }
}
