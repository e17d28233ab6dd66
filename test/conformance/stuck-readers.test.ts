import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { toListener } from '@sluice/core'
import { expect, it } from 'vitest'
import { chainOf } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()
const part = Buffer.alloc(64 * 1024, 'x')
/** A small part, and what frames it as a chunk. */
const small = 16 * 1024 + 16
const many = 16

/** Answers that have no end, by a proxy; what it holds for each of its clients. */
async function rig() {
  const origin = own(
    await listen(
      createServer((_req, res) => {
        res.on('error', () => {})
        const more = (): void => {
          while (!res.destroyed && res.write(part));
        }
        res.on('drain', more)
        more()
      }),
    ),
  )
  const built = own(chainOf({ targets: `http://127.0.0.1:${origin.port}`, retry: false }))
  const served: Socket[] = []
  const server = createServer(toListener(built.handler))
  server.on('connection', (socket) => served.push(socket))
  const { port } = own(await listen(server))
  /** A client that asks and reads nothing, and what waits for it in this process once nothing moves. */
  const stuck = async (): Promise<{ client: Socket; waits: number }> => {
    const client = connect(port, '127.0.0.1').pause()
    client.on('error', () => {})
    own({ close: () => void client.destroy() })
    const before = served.length
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const socket = (await until(() => served[before], 'a connection')) as Socket
    await until(() => socket.writableLength > 0, 'something that waits')
    return { client, waits: await atRest(() => socket.writableLength, 5) }
  }
  return { stuck }
}

it('hold little of a new answer where many others are stuck, and as much as ever once they are gone', async () => {
  const { stuck } = await rig()
  const all = []
  for (let i = 0; i < many; i++) all.push(await stuck())
  // Nobody has known: two large parts each, or one beside the rest of another.
  for (const { waits } of all) expect(waits).toBeGreaterThan(small)
  // The last of them has been stuck for long enough.
  const waits = await until(async () => {
    const { client, waits } = await stuck()
    client.destroy()
    return waits <= small && waits
  }, 'little that waits')
  expect(waits).toBeGreaterThan(0)
  const gone = all.map(({ client }) => {
    const closed = deferred()
    client.once('close', () => closed.resolve())
    client.destroy()
    return within(closed.promise, 'the end of a client')
  })
  await Promise.all(gone)
  await until(async () => {
    const { client, waits } = await stuck()
    client.destroy()
    return waits > small
  }, 'as much as ever')
})
