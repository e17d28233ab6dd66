import { type Context, type Handler, ProxyError, type Reply } from '@sluice/core'
import {
  createUpstream,
  type Lease,
  type LeaseResult,
  type Target,
  type Tried,
  type Upstream,
} from '@sluice/upstream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ConcurrencyOptions, concurrencyOf } from './index.js'

const urls = ['http://a', 'http://b', 'http://c']

/** As `balance` does: it picks and takes its lease as it is called, and goes back to who was tried before where nobody else is left. */
function balanced(upstream: Upstream, leases: Map<number, Lease>): Handler {
  return (ctx) => {
    const { tried = [] } = ctx as Tried
    const open = upstream.available.filter((each) => upstream.admits(each))
    const target = open.find((each) => !tried.includes(each)) ?? open[0]
    if (target === undefined) throw new ProxyError('destination_unavailable', { message: 'nobody' })
    const { id } = ctx as unknown as { id: number }
    leases.set(id, upstream.lease(target))
    return { status: 200, headers: [], body: null }
  }
}

async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}

function made(options: ConcurrencyOptions, targets = urls.slice(0, 1)) {
  const hands = { now: 0 }
  const timers = new Set<{ at: number; fn: () => void }>()
  const upstream = createUpstream({ name: 'api', targets }, 'upstream', () => hands.now)
  const one = concurrencyOf(upstream, options, {
    after(ms, fn) {
      const timer = { at: hands.now + ms, fn }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
  })
  const leases = new Map<number, Lease>()
  const results: Record<number, string | number> = {}
  const errors: ProxyError[] = []
  const closers = new Map<number, (() => void)[]>()
  const handler = one.middleware(balanced(upstream, leases))
  let count = 0
  return {
    one,
    upstream,
    hands,
    timers,
    leases,
    results,
    errors,
    arrive(keys: Tried = {}): number {
      const id = count++
      const own: (() => void)[] = []
      closers.set(id, own)
      const ctx = {
        ...keys,
        id,
        onClose: (fn: (end: unknown, arg: unknown) => void, arg: unknown) =>
          own.push(() => fn(undefined, arg)),
      } as unknown as Context
      new Promise<Reply>((resolve) => resolve(handler(ctx))).then(
        ({ status }) => {
          results[id] = status
        },
        (error: ProxyError) => {
          results[id] = error.message
          errors.push(error)
        },
      )
      return id
    },
    async end(id: number, result?: LeaseResult): Promise<void> {
      const lease = leases.get(id)
      leases.delete(id)
      lease?.release(result)
      await turns()
    },
    async leave(id: number): Promise<void> {
      for (const close of closers.get(id) ?? []) close()
      await turns()
    },
    async wait(ms: number): Promise<void> {
      hands.now += ms
      for (const timer of [...timers]) if (timer.at <= hands.now && timers.delete(timer)) timer.fn()
      await turns()
    },
  }
}

it('keeps those that wait while another gate opens at any moment, as that of a breaker in its ramp', async () => {
  const { upstream, results, arrive, end, wait, timers, one } = made({ limit: 1, queueTimeout: 0 })
  let open = true
  let opens: number | undefined = 0
  upstream.gate(
    () => open,
    () => opens,
  )
  for (let i = 0; i < 3; i++) arrive()
  open = false
  await end(0)
  await wait(1)
  expect([results, one.waiting]).toEqual([{ 0: 200 }, 2])
  open = true
  await wait(1)
  expect([results, one.waiting]).toEqual([{ 0: 200, 1: 200 }, 1])
  // One that is known to stay shut for longer is `balance`'s to tell of, and to say for how long.
  open = false
  opens = 3_000
  await end(1)
  expect([results, one.waiting, timers.size]).toEqual([{ 0: 200, 1: 200, 2: 'nobody' }, 0, 0])
})

it('looks again when another gate opens by time, of which nothing else tells, though what is in flight lasts', async () => {
  const { upstream, leases, results, arrive, end, wait, timers, one } = made({ limit: 2, queueTimeout: 0 })
  let opens = 0
  upstream.gate(
    () => opens <= 0,
    () => opens,
  )
  for (let i = 0; i < 4; i++) arrive()
  opens = 400
  // One of those under way ends; the other is a tunnel, and lasts.
  await end(0)
  expect([results, one.waiting, timers.size]).toEqual([{ 0: 200, 1: 200 }, 2, 1])
  // A timer that is a little early looks once more.
  opens = 0.5
  await wait(400)
  expect([one.waiting, timers.size]).toEqual([2, 1])
  opens = 0
  await wait(1)
  expect([results, one.waiting, leases.size, timers.size]).toEqual([{ 0: 200, 1: 200, 2: 200 }, 1, 2, 0])
})

it('looks no more at what opens at any moment, once it is disposed of', async () => {
  const { upstream, results, arrive, end, timers, one } = made({ limit: 1, queueTimeout: 0 })
  let open = true
  upstream.gate(
    () => open,
    () => 0,
  )
  for (let i = 0; i < 2; i++) arrive()
  open = false
  await end(0)
  expect(timers.size).toBe(1)
  one[Symbol.dispose]()
  await end(0)
  expect([timers.size, results[1]]).toEqual([0, new ProxyError('proxy_closing').message])
})

it('sends on what has room, lets the rest wait in turn, and refuses one too many', async () => {
  const { one, upstream, leases, results, arrive, end } = made({ limit: 2, queue: 2 })
  for (let i = 0; i < 5; i++) arrive()
  await turns()
  expect([upstream.all[0]?.inFlight, one.waiting]).toEqual([2, 2])
  expect(results).toEqual({ 0: 200, 1: 200, 4: 'upstream api: queue_full' })
  await end(0)
  expect([...leases.keys()]).toEqual([1, 2])
  // Who comes just as a place becomes free joins the end.
  leases.get(1)?.release()
  const late = arrive()
  await turns()
  expect(results[3]).toBe(200)
  expect(results[late]).toBeUndefined()
})

it('lets no try wait that can be done without', async () => {
  const { one, results, arrive } = made({ limit: 1 })
  arrive()
  const spare = arrive({ spare: true })
  await turns()
  expect(results[spare]).toBe('upstream api: no room for a try that can be done without')
  expect(one.waiting).toBe(0)
  arrive()
  expect(one.waiting).toBe(1)
})

it('lets a further try wait for a target that it was not at, and others pass to the one that it may not go to', async () => {
  const { one, upstream, leases, results, arrive, end } = made({ limit: 1 }, urls.slice(0, 2))
  const [a, b] = upstream.all as [Target, Target]
  const under = (): (Target | undefined)[] => [...leases.values()].map(({ target }) => target)
  const first = arrive()
  const second = arrive()
  expect(under()).toEqual([a, b])
  await end(first)
  // Nobody waits, and `a` has room: for anybody but this one.
  const again = arrive({ tried: [a] })
  expect([one.waiting, results[again]]).toEqual([1, undefined])
  const passes = arrive()
  await turns()
  expect([one.waiting, results[passes], under()]).toEqual([1, 200, [b, a]])
  const behind = arrive({ tried: [b] })
  await end(passes)
  expect([one.waiting, results[behind], under()]).toEqual([1, 200, [b, a]])
  await end(behind)
  expect([one.waiting, under()]).toEqual([1, [b]])
  await end(second)
  expect([one.waiting, results[again], under()]).toEqual([0, 200, [b]])
})

it.each(['fifo', 'lifo'] as const)(
  'lets a first try pass those in line that may not go, %s',
  async (order) => {
    const { one, upstream, leases, results, arrive, end } = made({ limit: 1, order }, urls.slice(0, 2))
    const [a, b] = upstream.all as [Target, Target]
    const held = arrive()
    const other = arrive()
    const [before, first, behind] = [arrive({ tried: [a] }), arrive(), arrive({ tried: [a] })]
    await end(held)
    expect([leases.get(first)?.target, one.waiting]).toEqual([a, 2])
    await end(other)
    expect(leases.get(order === 'fifo' ? before : behind)?.target).toBe(b)
    expect([results[order === 'fifo' ? behind : before], one.waiting]).toEqual([undefined, 1])
  },
)

it('a line of further tries costs who comes, joins and is served the same at any length', async () => {
  const { one, upstream, leases, arrive, end } = made({ limit: 1, queue: 10_000 }, urls.slice(0, 2))
  const [a, b] = upstream.all as [Target, Target]
  let asked = 0
  const tried = (...targets: Target[]): Tried => ({
    tried: Object.assign(targets, {
      includes: (target: Target) => {
        asked++
        return targets.indexOf(target) >= 0
      },
    }),
  })
  let held = arrive()
  const other = arrive()
  expect([leases.get(held)?.target, leases.get(other)?.target]).toEqual([a, b])
  for (let i = 0; i < 1_000; i++) arrive(tried(a))
  const second = arrive(tried(b))
  await end(held)
  expect(leases.get(second)?.target).toBe(a)
  await end(second)
  asked = 0
  for (let i = 0; i < 10; i++) {
    held = arrive()
    expect(leases.get(held)?.target).toBe(a)
    await end(held)
    arrive(tried(a))
    await turns()
  }
  expect([one.waiting, asked < 200]).toEqual([1_010, true])
})

it('sends a further try back to where it was, when nobody else would take it with room', async () => {
  const { one, upstream, leases, results, arrive } = made({ limit: 1 }, urls.slice(0, 2))
  const [a, b] = upstream.all as [Target, Target]
  const undo = upstream.gate((target) => target !== a)
  arrive()
  undo()
  const again = arrive({ tried: [a] })
  await turns()
  expect([one.waiting, results[again]]).toEqual([1, undefined])
  upstream.drain('http://b')
  await turns()
  expect([one.waiting, results[again], leases.get(again)?.target]).toEqual([0, 200, a])
  expect(b.inFlight).toBe(1)
})

it('sends a further try back to where it was, when the line has no place for it', async () => {
  const { one, upstream, leases, arrive } = made({ limit: 1, queue: 0 }, urls.slice(0, 2))
  const [a, b] = upstream.all as [Target, Target]
  const undo = upstream.gate((target) => target !== a)
  arrive()
  undo()
  const again = arrive({ tried: [a] })
  expect([one.waiting, leases.get(0)?.target, leases.get(again)?.target]).toEqual([0, b, a])
})

it('lets nobody wait longer than told', async () => {
  const { one, timers, results, arrive, wait } = made({ limit: 1, queueTimeout: 100 })
  arrive()
  arrive()
  await wait(99)
  expect(one.waiting).toBe(1)
  await wait(1)
  expect(results[1]).toBe('upstream api: queue_timeout')
  expect([one.waiting, timers.size]).toEqual([0, 0])
})

it.each<[Partial<ConcurrencyOptions>, number | undefined]>([
  [{ queue: 1 }, 5_000],
  [{ queue: 1, queueTimeout: 700 }, 700],
  [{ queue: 1, queueTimeout: 0 }, undefined],
  [{ queue: 0 }, undefined],
  [{ queue: 0, retryAfter: '2s' }, 2_000],
  [{ queue: 1, retryAfter: 0 }, undefined],
])('tells those that it refuses when to come back: %j', async (options, expected) => {
  const { arrive, errors, wait } = made({ limit: 1, ...options })
  for (let i = 0; i < 3; i++) arrive()
  await wait(5_000)
  expect(errors.length).toBeGreaterThan(0)
  for (const error of errors) expect(error).toMatchObject({ code: 'destination_unavailable' })
  expect(new Set(errors.map(({ retryAfter }) => retryAfter))).toEqual(new Set([expected]))
})

it('a client that leaves frees its place at once', async () => {
  const { one, results, arrive, leave, end } = made({ limit: 1, queue: 1 })
  arrive()
  const gone = arrive()
  await leave(gone)
  expect([one.waiting, results[gone]]).toEqual([0, 'the client left'])
  const next = arrive()
  await end(0)
  expect(results[next]).toBe(200)
  // Its own end is no news to the line.
  await leave(next)
})

it('waits for another target when the one in flight is drained, and for nobody when none is left', async () => {
  const { one, upstream, results, arrive, end } = made({ limit: 1 }, urls.slice(0, 2))
  arrive()
  arrive()
  arrive()
  arrive()
  upstream.drain('http://a')
  await turns()
  expect(one.waiting).toBe(2)
  await end(0)
  expect(one.waiting).toBe(2)
  upstream.undrain('http://a')
  await turns()
  expect([one.waiting, results[2]]).toEqual([1, 200])
  upstream.replace([])
  await turns()
  expect([one.waiting, results[3]]).toEqual([0, 'nobody'])
})

it('serves those that wait when a target joins', async () => {
  const { one, upstream, arrive } = made({ limit: 1 })
  for (let i = 0; i < 4; i++) arrive()
  upstream.replace(urls)
  await turns()
  expect(one.waiting).toBe(1)
  expect(upstream.all.map(({ inFlight }) => inFlight)).toEqual([1, 1, 1])
})

it('does not wait where others than it let nobody through', async () => {
  const { one, upstream, results, arrive, end } = made({ limit: 1 })
  arrive()
  arrive()
  const undo = upstream.gate(() => false)
  await end(0)
  expect([one.waiting, results[1]]).toEqual([0, 'nobody'])
  undo()
})

it('keeps its place in the line while others shut the gate for a moment; who comes then is refused at once', async () => {
  const { one, upstream, results, arrive, end } = made({ limit: 2 })
  arrive()
  arrive()
  const undo = upstream.gate(() => false)
  const refused = arrive()
  await turns()
  expect(results[refused]).toBe('nobody')
  undo()
  const waits = arrive()
  const again = upstream.gate(() => false)
  await end(0)
  expect([one.waiting, results[waits]]).toEqual([1, undefined])
  again()
  await end(1)
  expect(results[waits]).toBe(200)
})

it('hands the error of another’s gate to those that wait, as to those that come', async () => {
  const faults: unknown[] = []
  const note = (fault: unknown): void => void faults.push(fault)
  process.on('uncaughtException', note)
  const { one, upstream, results, arrive, end } = made({ limit: 1 })
  arrive()
  arrive()
  arrive()
  upstream.gate(() => {
    throw new Error('a bug in a gate')
  })
  await end(0)
  arrive()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('uncaughtException', note)
  expect([faults, one.waiting]).toEqual([[], 0])
  expect(results).toEqual({ 0: 200, 1: 'a bug in a gate', 2: 'a bug in a gate', 3: 'a bug in a gate' })
})

it('disposed of, refuses those that wait and limits nothing', async () => {
  const { one, upstream, timers, results, arrive } = made({ limit: 1 })
  arrive()
  arrive()
  one[Symbol.dispose]()
  arrive()
  await turns()
  expect(results).toEqual({ 0: 200, 1: 'the proxy is closing', 2: 200 })
  expect([upstream.gated, timers.size]).toEqual([false, 0])
})

it('finds a limit for each target, which goes with it', async () => {
  const { one, upstream, arrive, end } = made(
    { limit: 'adaptive', adaptive: { initial: 4, max: 8 } },
    urls.slice(0, 2),
  )
  const [a, b] = upstream.all
  if (a === undefined || b === undefined) throw new Error('two targets')
  expect([one.limitOf(a), one.limitOf(b)]).toEqual([4, 4])
  const ids = Array.from({ length: 8 }, arrive)
  for (let i = 0; i < 60; i++) {
    ids.push(arrive())
    await end(ids.shift() as number, { ok: true, status: 200, ttfb: 10 })
  }
  expect(Math.max(one.limitOf(a), one.limitOf(b))).toBeGreaterThan(4)
  for (let i = 0; i < 60; i++) {
    ids.push(arrive())
    await end(ids.shift() as number, { ok: true, status: 503, ttfb: 10 })
  }
  expect(Math.min(one.limitOf(a), one.limitOf(b))).toBeLessThan(4)
  upstream.replace(['http://b'])
  expect([one.limitOf(a), one.limitOf(b) > 0]).toEqual([0, true])
})

it('takes no latency of answers that tell of a fault: those come fastest', async () => {
  const { one, upstream, arrive, end } = made({ limit: 'adaptive', adaptive: { initial: 40 } })
  const [target] = upstream.all
  if (target === undefined) throw new Error('a target')
  const ids: number[] = []
  const answers = async (count: number, status: number, ttfb: number): Promise<number> => {
    for (let i = 0; i < count; i++) {
      while (ids.length < one.limitOf(target)) ids.push(arrive())
      await end(ids.shift() as number, { ok: true, status, ttfb })
    }
    return one.limitOf(target)
  }
  const before = await answers(300, 200, 100)
  await answers(300, 500, 1)
  expect(await answers(300, 200, 100)).toBeGreaterThanOrEqual(before)
})

describe('model', () => {
  it('no place stays free while somebody waits, none is given twice, and all come to an end', async () => {
    const kinds = [
      'arrive',
      'arrive',
      'arrive',
      'again',
      'again',
      'end',
      'end',
      'burst',
      'leave',
      'wait',
      'drain',
      'undrain',
      'replace',
    ] as const
    const action = fc.tuple(fc.constantFrom(...kinds), fc.nat(30))
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
        const world = made({ limit: 2, queue: 4, queueTimeout: 50 }, urls)
        const { one, upstream, leases, results, timers } = world
        let arrived = 0
        const order: number[] = []
        const seen = new Set<number>()
        const tried = new Map<number, readonly Target[]>()
        const waiting = (): number[] =>
          Array.from({ length: arrived }, (_, id) => id).filter((id) => results[id] === undefined)
        const full = ({ inFlight }: Target): boolean => inFlight >= 2
        /** To one that it was not at, if there is any; back to one that it was at, else. */
        const mayGo = (id: number): boolean => {
          const fresh = upstream.available.filter((target) => tried.get(id)?.includes(target) !== true)
          return (fresh.length > 0 ? fresh : upstream.available).some((target) => !full(target))
        }
        for (const [kind, n] of actions) {
          const held = [...leases.keys()]
          const crowded = one.waiting === 4
          if (kind === 'arrive') arrived = world.arrive() + 1
          else if (kind === 'again') {
            tried.set(arrived, n === 0 ? upstream.all : upstream.all.slice(n % 3, (n % 3) + 1 + (n % 2)))
            arrived = world.arrive({ tried: tried.get(arrived) as readonly Target[] }) + 1
          } else if (kind === 'end') await world.end(held[n % Math.max(1, held.length)] ?? -1)
          else if (kind === 'burst') {
            // Several places become free, and somebody comes, all before the line moves.
            for (const id of held.slice(0, n % 4)) {
              leases.get(id)?.release()
              leases.delete(id)
            }
            arrived = world.arrive() + 1
          } else if (kind === 'leave') {
            const who = waiting()
            await world.leave(who[n % Math.max(1, who.length)] ?? -1)
          } else if (kind === 'wait') await world.wait(n)
          else if (kind === 'drain') upstream.drain(urls[n % 3] as string)
          else if (kind === 'undrain') upstream.undrain(urls[n % 3] as string)
          else upstream.replace(urls.slice(n % 3))
          await turns()
          for (const id of leases.keys()) {
            if (seen.has(id)) continue
            seen.add(id)
            // Nobody was sent back while another was merely full, but for want of a place in the line.
            const { target } = leases.get(id) as Lease
            const back =
              tried.get(id)?.includes(target) === true &&
              upstream.available.some((each) => tried.get(id)?.includes(each) === false)
            if (back) expect(crowded && id === arrived - 1).toBe(true)
            else order.push(id)
          }
          for (const target of upstream.all) expect(target.inFlight).toBeLessThanOrEqual(2)
          expect(waiting().filter(mayGo)).toEqual([])
          expect(one.waiting).toBe(arrived - Object.keys(results).length)
          expect(timers.size).toBe(one.waiting)
        }
        // First come, first served, among those that may go to the same targets.
        const kindOf = (id: number): string => (tried.get(id) ?? []).map((target) => target.id).join()
        for (const kind of new Set(order.map(kindOf))) {
          const alike = order.filter((id) => kindOf(id) === kind)
          expect(alike).toEqual([...alike].sort((x, y) => x - y))
        }
        while (leases.size > 0) for (const id of [...leases.keys()]) await world.end(id)
        expect(Object.keys(results)).toHaveLength(arrived)
        expect([one.waiting, timers.size]).toEqual([0, 0])
      }),
      { numRuns: 300 },
    )
  })
})

describe('with what flows for long', () => {
  const adaptive = { limit: 'adaptive', queueTimeout: 0, adaptive: { max: 20 } } as const

  /** Many short calls, ten at once; says how many of them have been let through, and how often the limit has halved. */
  async function traffic({ one, upstream, leases, arrive, end }: ReturnType<typeof made>, calls: number) {
    const target = upstream.all[0] as Target
    const ids = Array.from({ length: 10 }, () => arrive())
    let [done, dips, limit] = [0, 0, 0]
    for (let i = 0; i < calls && ids.some((id) => leases.has(id)); i++) {
      const id = ids.find((each) => leases.has(each)) as number
      ids.splice(ids.indexOf(id), 1, arrive())
      leases.get(id)?.answered(200, 10)
      await end(id, { ok: true, status: 200, ttfb: 10 })
      done++
      if (one.limitOf(target) < limit * 0.6) dips++
      limit = one.limitOf(target)
    }
    return { done, dips }
  }

  it.each([
    ['tunnels', 101, true],
    ['bodies', 200, false],
  ])(
    'an adaptive limit counts until the head of an answer: %s hold no place, and no dip',
    async (_what, status, tunnel) => {
      const all = made(adaptive)
      for (let i = 0; i < 40; i++) {
        const id = all.arrive()
        all.leases.get(id)?.answered(status, 10, tunnel)
      }
      expect([all.leases.size, all.one.waiting]).toEqual([40, 0])
      const { done, dips } = await traffic(all, 3_000)
      expect(done).toBe(3_000)
      expect(dips).toBeGreaterThan(0)
    },
  )

  it('a number counts them as long as they last', async () => {
    const { one, leases, arrive, end } = made({ limit: 2 })
    for (let i = 0; i < 3; i++) leases.get(arrive())?.answered(101, 1, true)
    expect([leases.size, one.waiting]).toEqual([2, 1])
    await end(0)
    expect([leases.size, one.waiting]).toEqual([2, 0])
  })

  it('takes no latency of tunnels, nor their end for a sign of too much', async () => {
    const { one, upstream, leases, arrive, end } = made(adaptive)
    const target = upstream.all[0] as Target
    for (let i = 0; i < 200; i++) {
      const ids = Array.from({ length: 15 }, () => arrive())
      for (const id of ids) leases.get(id)?.answered(101, 1, true)
      for (const id of ids) await end(id, { ok: false, error: new Error('cut') })
    }
    expect(one.limitOf(target)).toBe(20)
  })

  it('takes each answer once: its latency with the head, and a body that breaks as lost', async () => {
    const twice = made(adaptive)
    const target = twice.upstream.all[0] as Target
    for (let i = 0; i < 9; i++) {
      const ids = Array.from({ length: 15 }, () => twice.arrive())
      twice.leases.get(ids[0] as number)?.answered(200, 10)
      await twice.end(ids[0] as number, { ok: true, status: 200, ttfb: 10 })
      for (const id of ids.slice(1)) await twice.end(id)
    }
    expect(twice.one.limitOf(target)).toBe(20)
    const id = twice.arrive()
    twice.leases.get(id)?.answered(200, 10)
    const grown = twice.one.limitOf(target)
    for (let i = 0; i < 10; i++) {
      const broken = twice.arrive()
      twice.leases.get(broken)?.answered(200, 10)
      await twice.end(broken, { ok: false, error: new Error('cut') })
    }
    expect(twice.one.limitOf(target)).toBeLessThan(grown)
  })

  it('serves who waits when another gate opens by the head of an answer, as that of a breaker whose trial it was', async () => {
    const { one, upstream, leases, results, arrive, end } = made({ limit: 2 })
    let open = true
    upstream.gate(() => open)
    upstream.on('answer', () => {
      open = true
    })
    for (let i = 0; i < 3; i++) arrive()
    open = false
    await end(0)
    expect([one.waiting, results[2]]).toEqual([1, undefined])
    leases.get(1)?.answered(200, 5)
    await turns()
    expect([one.waiting, results[2]]).toEqual([0, 200])
  })

  it('serves who waits as soon as there is a head', async () => {
    const { one, leases, arrive } = made({ limit: 'adaptive', adaptive: { initial: 2, max: 2 } })
    for (let i = 0; i < 4; i++) arrive()
    expect([leases.size, one.waiting]).toEqual([2, 2])
    leases.get(0)?.answered(200, 5)
    await turns()
    expect([leases.size, one.waiting]).toEqual([3, 1])
  })
})

it('an adaptive limit lets no place stay free while somebody waits, and all come to an end, whatever it finds', async () => {
  const kinds = [
    'arrive',
    'arrive',
    'answer',
    'tunnel',
    'end',
    'end',
    'busy',
    'break',
    'left',
    'wait',
  ] as const
  const actions = fc.array(fc.tuple(fc.constantFrom(...kinds), fc.nat(30)), { maxLength: 120, size: 'max' })
  await fc.assert(
    fc.asyncProperty(actions, async (list) => {
      const all = made(
        { limit: 'adaptive', queue: 50, queueTimeout: 0, adaptive: { initial: 3, max: 5 } },
        urls.slice(0, 2),
      )
      const { one, upstream, leases, results, timers } = all
      const open = (): boolean =>
        upstream.all.some((target) => target.inFlight - target.answering < one.limitOf(target))
      let arrived = 0
      for (const [kind, n] of list) {
        const held = [...leases.keys()]
        const id = held[n % Math.max(1, held.length)] ?? -1
        if (kind === 'arrive') for (let i = 0; i < 10; i++) arrived = all.arrive() + 1
        else if (kind === 'answer') leases.get(id)?.answered(200, n)
        else if (kind === 'tunnel') leases.get(id)?.answered(101, n, true)
        else if (kind === 'end')
          for (const each of held.slice(n % 5)) await all.end(each, { ok: true, status: 200, ttfb: n * n })
        else if (kind === 'busy') await all.end(id, { ok: true, status: 503, ttfb: 1 })
        else if (kind === 'break') await all.end(id, { ok: false, error: new Error('cut') })
        else if (kind === 'left') await all.end(id)
        else await all.wait(n * 100)
        await turns()
        expect(one.waiting === 0 || !open()).toBe(true)
      }
      // A dip has a timer alone: no call has to end for it to be over.
      await all.wait(20_000)
      expect(timers.size).toBe(0)
      expect(one.waiting === 0 || !open()).toBe(true)
      while (leases.size > 0) for (const id of [...leases.keys()]) await all.end(id)
      expect([Object.keys(results).length, one.waiting]).toEqual([arrived, 0])
      one[Symbol.dispose]()
      expect(timers.size).toBe(0)
    }),
    { numRuns: 200 },
  )
})
