import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

/** An address that refuses connections. */
export interface DeadTarget {
  readonly url: string
  readonly port: number
  close(): void
}

/**
 * Nobody else gets its port as long as it isn't closed, as with one that was merely used before: it is the near end of a
 * connection of its own.
 */
export async function deadTarget(): Promise<DeadTarget> {
  const far = createServer().listen(0, '127.0.0.1')
  await once(far, 'listening')
  const { port: to } = far.address() as AddressInfo
  // Bound first: the port of a connection that goes somewhere else may be given to this one as well.
  const near = connect({ port: to, host: '127.0.0.1', localAddress: '127.0.0.1' })
  const [[there]] = await Promise.all([once(far, 'connection'), once(near, 'connect')])
  const port = near.localPort as number
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    close() {
      near.destroy()
      there.destroy()
      far.close()
    },
  }
}
