import { describe, expect, it } from 'vitest'
import { fronts, heapInUse, originServer, owner, seeded, trapUnhandled, until } from '../kit/index.js'

trapUnhandled()
const own = owner()

const aborts = 10_000
const atOnce = 50
const piece = Buffer.alloc(16 * 1024, 'x')

/** One of each protocol: what is tested is the exchange, not the server around it. */
const kinds = fronts.filter(
  ({ name }) => /listen\(\)|http2 without TLS|Express/.test(name) && name.startsWith('createProxy'),
)

describe.each(kinds)('10,000 clients that leave, through $name', (kind) => {
  it('at any point: nothing is left behind, neither leases nor memory, and no more connections than the pool keeps', async () => {
    const origin = own(
      await originServer(async (req, res) => {
        req.on('error', () => {})
        req.resume()
        if (req.url === '/silent') return
        res.writeHead(200)
        for (let i = 0; i < 20 && !res.destroyed; i++) {
          res.write(piece)
          await new Promise((resolve) => setImmediate(resolve))
        }
        res.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: true })
    const random = seeded(1)
    const turns = (count: number): Promise<void> =>
      count <= 0 ? Promise.resolve() : new Promise((resolve) => setImmediate(() => resolve(turns(count - 1))))

    const leave = async (): Promise<void> => {
      const upload = random() < 0.3
      const path = random() < 0.3 ? '/silent' : '/'
      const call = front.client.call({ path, method: upload ? 'POST' : 'GET', open: upload })
      call.head.catch(() => {})
      call.body.on('error', () => {})
      if (upload) for (let i = 0; i < random() * 4; i++) call.body.write(piece)
      await turns(Math.floor(random() * 12))
      if (random() < 0.3 && path === '/') await call.head.catch(() => {})
      call.abort()
      await turns(1)
    }
    const run = async (count: number): Promise<void> => {
      let begun = 0
      const worker = async (): Promise<void> => {
        while (begun++ < count) await leave()
      }
      await Promise.all(Array.from({ length: atOnce }, worker))
      await until(() => front.inFlight === 0, 'all leases to be released')
    }

    // The first part fills what is kept on purpose: pools, caches of compiled code.
    await run(aborts * 0.2)
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: true })
    const before = await heapInUse()
    await run(aborts * 0.8)
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: true })
    // The origin remembers each request of the test; what the proxy would keep of each is more than that.
    ;(origin.requests as unknown[]).length = 0
    expect((await heapInUse()) - before).toBeLessThan(12 * 1024 * 1024)
    // Idle connections to the target stay for a while, never more of them than the pool may have.
    expect(origin.sockets).toBeLessThanOrEqual(128)
  }, 120_000)
})
