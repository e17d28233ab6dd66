import { createServer } from 'node:http'
import { balance, roundRobin } from '@sluice/balance'
import { attach, chain, discard, type Handler } from '@sluice/core'
import { forward, wireTransport } from '@sluice/forward'
import { retry } from '@sluice/resilience'
import { createUpstream } from '@sluice/upstream'
import { expect, it } from 'vitest'
import { deadTarget } from '../kit/dead-target.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { warningsOf } from '../kit/warnings.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')

/** Statuses of six requests over a dead target and one that lives. */
async function statuses(order: 'inside' | 'outside', layers: number): Promise<number[]> {
  const origin = own(await originServer())
  const dead = own(await deadTarget())
  const upstream = createUpstream({ name: 'a', targets: [dead.url, origin.url] })
  const transport = wireTransport()
  own({ close: () => transport.close(true) })
  const tries = retry({ budget: false })
  const picks = balance(upstream, roundRobin())
  const end = forward({ transport })
  let handler: Handler =
    order === 'inside' ? chain().use(picks).use(tries).handle(end) : chain().use(tries).use(picks).handle(end)
  // As one who falls back to a second chain: a target and a lease of the first are there.
  for (let i = 0; i < layers; i++) {
    const once = handler
    handler = async (ctx) => {
      discard(await once(ctx))
      return once(ctx.fork())
    }
  }
  const server = createServer()
  attach(server, handler)
  const front = own(await listen(server))
  const got: number[] = []
  for (let i = 0; i < 6; i++) got.push((await front.client.ask({})).status)
  return got
}

it('a retry inside of balance is told of once: its tries all go to one target', async () => {
  expect((await statuses('inside', 0)).sort()).toEqual([200, 200, 200, 502, 502, 502])
  expect(warnings).toEqual([expect.stringMatching(/^retry: it stands inside of balance\(\)/)])
})

it.each([0, 1])('a retry outside of it tells nothing, whatever went before (%d)', async (layers) => {
  expect(await statuses('outside', layers)).toEqual([200, 200, 200, 200, 200, 200])
  expect(warnings).toEqual([])
})
