import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A TCP relay between a client and a server, to be troubled. */
export interface Relay {
  readonly port: number
  /** Connections open now. */
  readonly open: number
  /** Bytes that the client has sent since the start. */
  readonly sent: number
  /** Passes nothing on, in neither direction, until `pass`. */
  stall(): void
  pass(): void
  /** Passes nothing on over the connections that there are, for good and without a word; new ones work. */
  strand(): void
  /** Breaks all connections; new ones are taken. */
  cut(): void
  /** Breaks all connections, and every new one, until `pass`. */
  refuse(): void
  close(): Promise<void>
}

/** Starts one, to a server on a Unix socket or a port. */
export async function relayTo(to: string | number): Promise<Relay> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let state: 'pass' | 'stall' | 'refuse' = 'pass'
  let sent = 0
  const server = createServer((client) => {
    if (state === 'refuse') return void client.destroy()
    const up = typeof to === 'number' ? connect(to, '127.0.0.1') : connect(to)
    const pair = [client, up] as const
    pairs.add(pair)
    client.on('data', (bytes) => {
      sent += bytes.length
    })
    for (const [from, to] of [
      [client, up],
      [up, client],
    ] as const) {
      from.on('error', () => {})
      from.pipe(to)
      from.on('close', () => {
        pairs.delete(pair)
        to.destroy()
      })
      if (state === 'stall') from.unpipe(to).pause()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const cut = (): void => {
    for (const [client, up] of pairs) {
      client.destroy()
      up.destroy()
    }
  }
  const stop = (): void => {
    for (const [client, up] of pairs) {
      client.unpipe(up).pause()
      up.unpipe(client).pause()
    }
  }
  return {
    port,
    get open() {
      return pairs.size
    },
    get sent() {
      return sent
    },
    stall() {
      state = 'stall'
      stop()
    },
    strand: stop,
    pass() {
      const stalled = state === 'stall'
      state = 'pass'
      if (!stalled) return
      for (const [client, up] of pairs) {
        client.pipe(up)
        up.pipe(client)
      }
    },
    cut,
    refuse() {
      state = 'refuse'
      cut()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        cut()
      }),
  }
}
