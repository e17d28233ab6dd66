import { toBody } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { fronts } from '../kit/fronts.js'
import { heapInUse } from '../kit/heap.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const large = 'x'.repeat(100_000)

/** The first over each transport, and one of HTTP/2: what is looked at is the connections, and the heap takes its time. */
const kinds = fronts.filter(({ transport, http2 }, i) => {
  const first = fronts.findIndex((one) => one.transport === transport && one.http2 === http2)
  return first === i && (!http2 || transport === 'wire')
})

const held = (refs: readonly WeakRef<object>[]): number =>
  refs.filter((ref) => ref.deref() !== undefined).length

describe.each(kinds)('connections that are idle, through $name', (kind) => {
  it('hold nothing of the request that they have carried, on neither side', async () => {
    const contexts: WeakRef<object>[] = []
    const bodies: WeakRef<object>[] = []
    const origin = own(
      await originServer(async (_req, res, request) => {
        await request.body()
        res.end('ok')
      }),
    )
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          (next) => (ctx) => {
            contexts.push(new WeakRef(ctx))
            // As one that has waited for the whole of it.
            const body = Buffer.alloc(large.length, 'x')
            toBody(ctx.out.body)?.cancel(new Error('in memory'))
            ctx.out.body = body
            bodies.push(new WeakRef(body))
            return next(ctx)
          },
        ],
      }),
    )
    for (let i = 0; i < 3; i++)
      expect(await front.client.ask({ method: 'POST', body: 'x' })).toMatchObject({ status: 200, text: 'ok' })
    await until(
      async () => {
        await heapInUse()
        return held(contexts) + held(bodies) === 0
      },
      () => `nothing to be held; ${held(contexts)} contexts and ${held(bodies)} bodies are`,
    )
    // They are there, and are used again.
    expect(origin.sockets).toBe(1)
    expect(await front.client.ask()).toMatchObject({ status: 200 })
    expect(origin.connections).toBe(1)
  })

  it('hold nothing of a request without a body, as long as no other comes', async () => {
    const refs: WeakRef<object>[] = []
    const ports = new Set<number>()
    const origin = own(await originServer((_req, res) => void res.end('ok')))
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          (next) => (ctx) => {
            refs.push(new WeakRef(ctx), new WeakRef(ctx.req))
            ports.add(ctx.peer.port)
            return next(ctx)
          },
        ],
      }),
    )
    for (let i = 0; i < 3; i++) expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok' })
    await until(
      async () => {
        await heapInUse()
        return held(refs) === 0
      },
      () => `nothing to be held; ${held(refs)} of ${refs.length} are`,
    )
    // Its connection is still there: with that it would be gone as well.
    expect(await front.client.ask()).toMatchObject({ status: 200 })
    expect(ports.size).toBe(1)
  })
})
