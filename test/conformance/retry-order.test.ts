import { createServer } from 'node:http'
import { balance, roundRobin } from '@sluice/balance'
import { attach, type Context, chain, discard, type Handler } from '@sluice/core'
import { forward, wireTransport } from '@sluice/forward'
import { hedge, retry } from '@sluice/resilience'
import { createUpstream, type Selected } from '@sluice/upstream'
import { expect, it } from 'vitest'
import { deadTarget } from '../kit/dead-target.js'
import { listen, type Mounted } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { warningsOf } from '../kit/warnings.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')

/** @param layers as one who falls back to a second chain: a target and a lease of the first are there */
async function serve(handler: Handler, layers: number): Promise<Mounted> {
  let all = handler
  for (let i = 0; i < layers; i++) {
    const once = all
    all = async (ctx) => {
      discard(await once(ctx))
      return once(ctx.fork())
    }
  }
  const server = createServer()
  attach(server, all)
  return own(await listen(server))
}

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
  const front = await serve(
    order === 'inside'
      ? chain().use(picks).use(tries).handle(end)
      : chain().use(tries).use(picks).handle(end),
    layers,
  )
  const got: number[] = []
  for (let i = 0; i < 6; i++) got.push((await front.client.ask({})).status)
  return got
}

it('a retry inside of balance is told of once: its tries all go to one target', async () => {
  expect((await statuses('inside', 0)).sort()).toEqual([200, 200, 200, 502, 502, 502])
  expect(warnings).toEqual([expect.stringMatching(/^retry: it stands inside of balance\(\)/)])
})

/** How many tries two requests make, each slow as soon as a target has it. */
async function hedged(order: 'inside' | 'outside', layers: number): Promise<number> {
  let tries = 0
  const slow: (() => void)[] = []
  const answer = (_req: unknown, res: { end(): void }): void => {
    for (const fn of slow.splice(0)) fn()
    res.end()
  }
  const targets = [own(await originServer(answer)).url, own(await originServer(answer)).url]
  const upstream = createUpstream({ name: 'a', targets })
  const transport = wireTransport()
  own({ close: () => transport.close(true) })
  const after = (_ms: number, fn: () => void): (() => void) => {
    slow.push(fn)
    return () => {}
  }
  const second = hedge({}, { after })
  const picks = balance(upstream, roundRobin())
  const sent = forward({ transport })
  const end = (ctx: Context & Selected) => {
    tries++
    return sent(ctx)
  }
  const front = await serve(
    order === 'inside'
      ? chain().use(picks).use(second).handle(end)
      : chain().use(second).use(picks).handle(end),
    layers,
  )
  for (let i = 0; i < 2; i++) expect(await front.client.ask({})).toMatchObject({ status: 200 })
  return tries
}

it('a hedge inside of balance is told of once: it never has a second try', async () => {
  expect(await hedged('inside', 0)).toBe(2)
  expect(warnings).toEqual([expect.stringMatching(/^hedge: it stands inside of balance\(\)/)])
})

it.each([
  [0, 4],
  // The second chain finds both targets tried.
  [1, 6],
])('a hedge outside of it tells nothing, whatever went before (%d)', async (layers, tries) => {
  expect(await hedged('outside', layers)).toBe(tries)
  expect(warnings).toEqual([])
})

it.each([0, 1])('a retry outside of it tells nothing, whatever went before (%d)', async (layers) => {
  expect(await statuses('outside', layers)).toEqual([200, 200, 200, 200, 200, 200])
  expect(warnings).toEqual([])
})
