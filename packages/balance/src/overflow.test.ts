import { type Context, ProxyError } from '@sluice/core'
import { createUpstream, type Selected, type Target, type Tried, type Upstream } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../../test/kit/seeded.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import {
  type BalanceOptions,
  type Balancer,
  balance,
  peakEwma,
  ring,
  roundRobin,
  sticky,
  withParts,
} from './index.js'

trapUnhandled()

const ok = () => ({ status: 200, headers: [], body: null })

/** Ten targets of priority 0, five of 1, five of 2. */
function tiered(): Upstream {
  const tier = (priority: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({ url: `http://t${priority}-${i}`, priority }))
  return createUpstream({ name: 'api', targets: [...tier(0, 10), ...tier(1, 5), ...tier(2, 5)] })
}

async function ask(
  upstream: Upstream,
  policy: Balancer | undefined,
  options: BalanceOptions,
  keys: object = {},
): Promise<Target> {
  const ctx = { onClose() {}, ...keys } as unknown as Context & Selected & Tried
  await balance(upstream, policy, options)(ok)(ctx)
  return ctx.target
}

/** The part of the load that each tier gets, in hundredths. */
async function loads(upstream: Upstream, options: BalanceOptions = { overflow: 1.4 }): Promise<number[]> {
  const counts = [0, 0, 0]
  let turn = 0
  const random = () => (turn++ % 1_000) / 1_000 + 0.0005
  const handler = balance(upstream, roundRobin(), { ...options, random })(ok)
  for (let i = 0; i < 1_000; i++) {
    const ctx = { onClose() {} } as unknown as Context & Selected
    await handler(ctx)
    ;(counts[ctx.target.priority] as number) += 1
  }
  return counts.map((count) => Math.round(count / 10))
}

function eject(upstream: Upstream, priority: number, count: number): void {
  const tier = upstream.all.filter((target) => target.priority === priority && target.state !== 'ejected')
  for (const target of tier.slice(0, count)) upstream.eject(target, 'ejection', 'failures')
}

describe('overflow', () => {
  it('gives each tier what those above can not take: the figures of Envoy', async () => {
    const upstream = tiered()
    expect(await loads(upstream)).toEqual([100, 0, 0])
    eject(upstream, 0, 2)
    expect(await loads(upstream)).toEqual([100, 0, 0])
    // 50 % fit: 0.5 × 1.4 = 70 %.
    eject(upstream, 0, 3)
    expect(await loads(upstream)).toEqual([70, 30, 0])
    // 1.4 × 0.1 = 14 %; 1.4 × 0.2 = 28 %; the rest.
    eject(upstream, 0, 4)
    eject(upstream, 1, 4)
    expect(await loads(upstream)).toEqual([14, 28, 58])
    // Too little in all: 14, 28 and 28 of 70.
    eject(upstream, 2, 4)
    expect(await loads(upstream)).toEqual([20, 40, 40])
    eject(upstream, 0, 1)
    expect(await loads(upstream)).toEqual([0, 50, 50])
  })

  it('is off by default: a lower tier is for when nobody above is left', async () => {
    const upstream = tiered()
    eject(upstream, 0, 9)
    expect(await loads(upstream, {})).toEqual([100, 0, 0])
    eject(upstream, 0, 1)
    expect(await loads(upstream, {})).toEqual([0, 100, 0])
  })

  it('does not count who is draining, and takes those that would rather not for unfit', async () => {
    const upstream = tiered()
    for (let i = 0; i < 5; i++) upstream.drain(`http://t0-${i}`)
    expect(await loads(upstream)).toEqual([100, 0, 0])
    for (const target of upstream.all.filter(({ priority, state }) => priority === 0 && state !== 'draining'))
      upstream.degrade(target, true, 'said so')
    expect(await loads(upstream)).toEqual([0, 100, 0])
  })

  it('asks the other tiers where all of the one that was drawn are left out', async () => {
    const upstream = tiered()
    const tried = upstream.all.filter(({ priority }) => priority === 0)
    expect((await ask(upstream, roundRobin(), { overflow: 1.4 }, { tried })).priority).toBe(1)
    upstream.gate(({ priority }) => priority === 2)
    expect((await ask(upstream, roundRobin(), { overflow: 1.4 })).priority).toBe(2)
  })

  it('takes nobody for fit who only is asked in panic', async () => {
    const targets = [{ url: 'http://a' }, { url: 'http://b' }, { url: 'http://c', priority: 1 }]
    const upstream = createUpstream({ name: 'api', targets, panic: 0.8 })
    for (const target of upstream.all.slice(0, 2)) upstream.eject(target, 'ejection', 'failures')
    expect(upstream.panicking).toBe(true)
    expect(await loads(upstream)).toEqual([0, 100, 0])
    expect(await loads(upstream, {})).toEqual([0, 100, 0])
  })

  it('asks tiers in their order when nobody is known to be fit', async () => {
    const upstream = tiered()
    for (const target of upstream.all) upstream.eject(target, 'ejection', 'failures')
    expect(upstream.panicking).toBe(true)
    expect(await loads(upstream)).toEqual([100, 0, 0])
  })

  it.each([
    [{ overflow: 0.5 }, 'balance.overflow: got 0.5, takes a number from 1 to 100, such as 1.4'],
    // As Envoy has it, in percent.
    [{ overflow: 140 }, 'balance.overflow: got 140'],
    [{ overflow: Number.NaN }, 'balance.overflow: got NaN'],
    [{ overflw: 1.4 }, 'balance.overflw: unknown option, did you mean overflow?'],
  ])('refuses %j', (options, says) => {
    expect(() => balance(tiered(), undefined, options as never)).toThrow(says)
  })
})

describe('balance', () => {
  it('answers 500 where a key function throws, and no target hears of it', async () => {
    const upstream = tiered()
    const results: unknown[] = []
    upstream.on('result', (target) => results.push(target))
    const policy = ring(() => {
      throw new Error('a bug')
    })
    await expect(ask(upstream, policy, {})).rejects.toMatchObject({
      code: 'proxy_internal_error',
      status: 500,
      retryable: false,
      message: 'the key function of ring threw',
    })
    expect(results).toEqual([])
    expect(upstream.all.every(({ inFlight }) => inFlight === 0)).toBe(true)
  })

  it('tells the policy once of each attempt, and of a wrapped one too', async () => {
    const upstream = createUpstream({ name: 'api', targets: ['http://a', 'http://b'] })
    let now = 0
    const peak = peakEwma({ clock: () => now, random: seeded(1) })
    const policy = sticky(peak, { secret: 'secret' })
    const closers: (() => void)[] = []
    const seen: string[] = []
    const handler = balance(upstream, policy, { clock: () => now })((ctx) => {
      seen.push(ctx.target.id)
      now += ctx.target.id === 'http://a' ? 500 : 5
      return ok()
    })
    for (let i = 0; i < 20; i++) {
      const onClose = (fn: (end: unknown, arg: unknown) => void, arg: unknown) =>
        closers.push(() => fn({ kind: 'done', bytes: 0 }, arg))
      await handler({ onClose, out: { headers: [] }, scheme: 'http' } as never)
      for (const close of closers.splice(0)) close()
    }
    expect(seen.filter((id) => id === 'http://a').length).toBeLessThan(3)
  })

  it('tells the policy of a failure and of a client that left, each once', async () => {
    const upstream = createUpstream({ name: 'api', targets: ['http://a'] })
    const seen: unknown[] = []
    const policy = withParts(roundRobin(), {
      observe: (target, result) => seen.push([target.id, result?.ok]),
    })
    const closers: (() => void)[] = []
    const onClose = (fn: (end: unknown, arg: unknown) => void, arg: unknown) =>
      closers.push(() => fn({ kind: 'done', bytes: 0 }, arg))
    const answers = [
      ok,
      () => {
        throw new ProxyError('connection_refused')
      },
      () => {
        throw new ProxyError('client_left')
      },
    ]
    for (const answer of answers)
      await Promise.resolve(balance(upstream, policy)(answer)({ onClose } as never)).catch(() => {})
    for (const close of closers) close()
    expect(seen).toEqual([
      ['http://a', true],
      ['http://a', false],
      ['http://a', undefined],
    ])
  })

  it('goes on with the list that it has begun with when a pick replaces it', async () => {
    const upstream = createUpstream({ name: 'api', targets: ['http://a', 'http://b'] })
    const policy: Balancer = (available, _ctx, not) => {
      upstream.replace(['http://c'])
      return available.find((target) => not?.(target) !== true)
    }
    expect((await ask(upstream, policy, {})).id).toBe('http://a')
    expect((await ask(upstream, policy, {})).id).toBe('http://c')
  })

  it('refuses what is no policy', () => {
    expect(() => balance(tiered(), 'ring' as never)).toThrow(
      "balance: got 'ring' as its policy, takes a function",
    )
  })
})
