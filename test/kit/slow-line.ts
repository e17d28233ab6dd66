import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A line to a server over which answers come as fast as a test says; what is asked goes at once. */
export interface SlowLine {
  readonly port: number
  /** Bytes that are on their way. */
  readonly held: number
  /** Lets so many of them arrive, or all that there are. */
  pass(bytes: number): void
  close(): void
}

/** Lays one, for one connection. */
export async function slowLine(to: number): Promise<SlowLine> {
  let held = Buffer.alloc(0)
  let near: Socket | undefined
  const ends = new Set<Socket>()
  const server = createServer((client) => {
    const far = connect(to, '127.0.0.1')
    near = client
    for (const each of [client, far]) {
      ends.add(each)
      each.on('error', () => {})
      each.on('close', () => {
        client.destroy()
        far.destroy()
      })
    }
    client.pipe(far)
    far.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes])
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    get held() {
      return held.length
    },
    pass: (bytes) => {
      near?.write(held.subarray(0, bytes))
      held = held.subarray(bytes)
    },
    close: () => {
      server.close()
      for (const each of ends) each.destroy()
    },
  }
}
