import { ProxyError } from '@sluice/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Concurrency,
  type ConcurrencyOptions,
  concurrency,
  type QueueError,
  type QueueOptions,
  queue,
} from './index.js'

/** Timers that a test moves on by itself. */
function timers() {
  const set = new Set<{ at: number; fn: () => void }>()
  const hands = { now: 0 }
  return {
    set,
    hands,
    after(ms: number, fn: () => void) {
      const timer = { at: hands.now + ms, fn }
      set.add(timer)
      return () => void set.delete(timer)
    },
    wait(ms: number) {
      hands.now += ms
      for (const timer of [...set].sort((a, b) => a.at - b.at)) {
        if (timer.at > hands.now || !set.delete(timer)) continue
        timer.fn()
      }
    },
  }
}

/** Calls that end when told. */
function calls(of: Concurrency) {
  const begun: number[] = []
  const ends = new Map<number, { resolve(): void; reject(error: Error): void }>()
  const results: Record<number, string> = {}
  let count = 0
  return {
    begun,
    ends,
    results,
    start(signal?: AbortSignal): number {
      const id = count++
      of.run(() => {
        begun.push(id)
        return new Promise<void>((resolve, reject) => ends.set(id, { resolve, reject }))
      }, signal).then(
        () => {
          results[id] = 'done'
        },
        (error: QueueError) => {
          results[id] = error.code ?? error.message
        },
      )
      return id
    },
    async end(id: number, error?: Error): Promise<void> {
      const end = ends.get(id)
      ends.delete(id)
      if (error === undefined) end?.resolve()
      else end?.reject(error)
      await turns()
    },
  }
}

function ownCause(): Error {
  const error = new Error('x')
  error.cause = error
  return error
}

async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}

it.each<[QueueOptions, number | undefined]>([
  [{ length: 0 }, undefined],
  [{ length: 1 }, undefined],
  [{ length: 1, timeout: '2s' }, 2_000],
  [{ length: 1, timeout: '2s', retryAfter: '9s' }, 9_000],
])('an error says when to come back, where that is known: %j', async (options, retryAfterMs) => {
  const one = queue(options)
  const ends = [0, 1, 2].map(() => one.run(() => new Promise(() => {})))
  for (const end of ends) end.catch(() => {})
  await expect(ends[2]).rejects.toMatchObject({ code: 'queue_full', retryAfterMs })
  one.close()
  await expect(one.run(() => 1)).rejects.toMatchObject({ code: 'queue_closed', retryAfterMs: undefined })
})

describe('concurrency', () => {
  it('lets as many run as it is told, the others wait in turn, and one too many is refused', async () => {
    const one = concurrency({ limit: 2, queue: 2 })
    const { begun, results, start, end } = calls(one)
    for (let i = 0; i < 5; i++) start()
    await turns()
    expect([begun, one.inFlight, one.waiting, results]).toEqual([[0, 1], 2, 2, { 4: 'queue_full' }])
    await end(1)
    expect(begun).toEqual([0, 1, 2])
    await end(0, new Error('broken'))
    expect(begun).toEqual([0, 1, 2, 3])
    await end(2)
    await end(3)
    expect(results).toEqual({ 0: 'broken', 1: 'done', 2: 'done', 3: 'done', 4: 'queue_full' })
    expect([one.inFlight, one.waiting]).toEqual([0, 0])
  })

  it('serves the newest first where told so', async () => {
    const { begun, start, end } = calls(concurrency({ limit: 1, order: 'lifo' }))
    for (let i = 0; i < 4; i++) start()
    await end(0)
    await end(3)
    await end(2)
    expect(begun).toEqual([0, 3, 2, 1])
  })

  it('lets nobody wait longer than told, and holds no timer of one who was served', async () => {
    const clock = timers()
    const one = concurrency({ limit: 1, queueTimeout: 100 }, { after: clock.after })
    const { results, start, end } = calls(one)
    start()
    start()
    clock.wait(50)
    start()
    await end(0)
    expect(clock.set.size).toBe(1)
    clock.wait(100)
    await turns()
    expect(results).toEqual({ 0: 'done', 2: 'queue_timeout' })
    expect([one.waiting, clock.set.size]).toEqual([0, 0])
  })

  it('frees the place of one who gives up', async () => {
    const one = concurrency({ limit: 1, queue: 1 })
    const { begun, results, start, end } = calls(one)
    const controller = new AbortController()
    start()
    start(controller.signal)
    controller.abort(new Error('gave up'))
    start()
    start(AbortSignal.abort(new Error('never began')))
    await end(0)
    expect(begun).toEqual([0, 2])
    expect(results).toEqual({ 0: 'done', 1: 'gave up', 3: 'never began' })
  })

  it('closed, refuses those that wait and all that come; those in flight go on', async () => {
    const one = concurrency({ limit: 1 })
    const { results, start, end } = calls(one)
    start()
    start()
    one.close()
    start()
    await end(0)
    expect(results).toEqual({ 0: 'done', 1: 'queue_closed', 2: 'queue_closed' })
  })

  it('finds its limit by latencies; what a caller gave up counts for nothing', async () => {
    const clock = timers()
    const one = concurrency(
      { limit: 'adaptive', adaptive: { initial: 10 } },
      { clock: () => clock.hands.now, after: clock.after },
    )
    const { start, end, ends } = calls(one)
    const round = async (error?: Error): Promise<void> => {
      while (one.waiting < 5) start()
      clock.hands.now += 10
      for (const id of [...ends.keys()]) {
        const before = one.inFlight
        await end(id, error)
        // Room that has grown is filled, and where it has shrunk nobody is let in.
        if (one.waiting > 0) expect(one.inFlight).toBeGreaterThanOrEqual(one.limit)
        expect(one.inFlight).toBeLessThanOrEqual(Math.max(before - 1, one.limit))
      }
    }
    for (let i = 0; i < 5; i++) await round(new ProxyError('client_left'))
    expect(one.limit).toBe(10)
    for (let i = 0; i < 20; i++) await round()
    const up = one.limit
    expect(up).toBeGreaterThan(11)
    for (let i = 0; i < 20; i++) await round(new DOMException('late', 'TimeoutError'))
    expect(one.limit).toBeLessThan(up / 2)
  })

  it('takes no latency of answers that tell of a fault: those come fastest', async () => {
    const clock = timers()
    const one = concurrency(
      { limit: 'adaptive', adaptive: { initial: 40 } },
      { clock: () => clock.hands.now, after: clock.after },
    )
    const rounds = async (count: number, status: number, ms: number): Promise<number> => {
      for (let i = 0; i < count; i++) {
        const ends: ((answer: { status: number }) => void)[] = []
        const all = Array.from({ length: one.limit }, () =>
          one.run(() => new Promise((resolve) => ends.push(resolve))),
        )
        clock.hands.now += ms
        for (const end of ends) end({ status })
        await Promise.all(all)
      }
      return one.limit
    }
    const before = await rounds(5, 200, 100)
    await rounds(5, 500, 1)
    expect(await rounds(5, 404, 100)).toBeGreaterThanOrEqual(before)
  })

  it.each<[string, boolean, () => unknown]>([
    ['a timeout', true, () => Promise.reject(new DOMException('late', 'TimeoutError'))],
    [
      'a connection refused beneath fetch',
      true,
      () =>
        Promise.reject(
          new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ECONNREFUSED' }) }),
        ),
    ],
    ['a target that is gone', true, () => Promise.reject(new ProxyError('connection_terminated'))],
    ['503', true, () => ({ status: 503 })],
    ['an error of the call’s own', false, () => Promise.reject(new Error('no such order'))],
    [
      'one with a code of its own',
      false,
      () => Promise.reject(Object.assign(new Error('duplicate key'), { code: '23505' })),
    ],
    [
      'one of a wrong argument',
      false,
      () => Promise.reject(Object.assign(new Error('x'), { code: 'ERR_INVALID_URL' })),
    ],
    ['one that is its own cause', false, () => Promise.reject(ownCause())],
    ['nothing', false, () => Promise.reject(undefined)],
  ])('%s is a sign of too much: %j', async (_what, sign, fn) => {
    const one = concurrency({ limit: 'adaptive' }, { clock: () => 0 })
    for (let i = 0; i < 10; i++) await Promise.allSettled([one.run(fn)])
    expect(one.limit < 20).toBe(sign)
  })

  it('loses nobody, whatever comes', async () => {
    const action = fc.oneof(
      fc.constant('start' as const),
      fc.constant('start' as const),
      fc.constant('end' as const),
      fc.constant('fail' as const),
      fc.constant('leave' as const),
      fc.constant('wait' as const),
    )
    const settings = fc.record({
      limit: fc.integer({ min: 1, max: 4 }),
      queue: fc.integer({ min: 0, max: 5 }),
      order: fc.constantFrom('fifo' as const, 'lifo' as const),
    })
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(fc.tuple(action, fc.nat(20)), { maxLength: 60 }),
        async (options, actions) => {
          const clock = timers()
          const one = concurrency({ ...options, queueTimeout: 50 }, { after: clock.after })
          const { begun, ends, results, start, end } = calls(one)
          const signals: AbortController[] = []
          // What should be: those in flight, and those that wait with the time until which they do.
          const running = new Set<number>()
          let line: { id: number; until: number }[] = []
          const fill = (): void => {
            while (running.size < options.limit && line.length > 0)
              running.add((options.order === 'fifo' ? line.shift() : line.pop())?.id as number)
          }
          for (const [kind, n] of actions) {
            if (kind === 'start') {
              const controller = new AbortController()
              signals.push(controller)
              const id = start(controller.signal)
              if (running.size < options.limit) running.add(id)
              else if (line.length < options.queue) line.push({ id, until: clock.hands.now + 50 })
            } else if (kind === 'wait') {
              clock.wait(n)
              line = line.filter(({ until }) => until > clock.hands.now)
            } else if (kind === 'leave') {
              const waiter = line[n % Math.max(1, line.length)]
              if (waiter === undefined) continue
              signals[waiter.id]?.abort(new Error('left'))
              line = line.filter((each) => each !== waiter)
            } else {
              const id = [...running][n % Math.max(1, running.size)]
              if (id === undefined) continue
              running.delete(id)
              fill()
              await end(id, kind === 'fail' ? new Error('failed') : undefined)
            }
            await turns()
            expect([...ends.keys()].sort()).toEqual([...running].sort())
            expect([one.inFlight, one.waiting]).toEqual([running.size, line.length])
            expect(clock.set.size).toBe(line.length)
          }
          while (ends.size > 0) for (const id of [...ends.keys()]) await end(id)
          expect(Object.keys(results)).toHaveLength(signals.length)
          expect(new Set(begun).size).toBe(begun.length)
          expect([one.inFlight, one.waiting, clock.set.size]).toEqual([0, 0, 0])
        },
      ),
      { numRuns: 200 },
    )
  })

  it.each<[unknown, string]>([
    [{}, 'concurrency.limit: got nothing'],
    [{ limit: 0 }, "concurrency.limit: got 0, takes a whole number, 1 or more, or 'adaptive'"],
    [{ limit: 'auto' }, 'concurrency.limit'],
    [{ limit: 1, queue: -1 }, 'concurrency.queue: got -1'],
    [{ limit: 1, order: 'random' }, 'concurrency.order'],
    [{ limit: 'adaptive', adaptive: { min: 5, max: 4 } }, 'takes a min that is no more than max'],
    [{ limit: 1, size: 1 }, 'concurrency.size: unknown option'],
  ])('refuses %j', (options, says) => {
    expect(() => concurrency(options as ConcurrencyOptions)).toThrow(says)
  })
})

describe('queue', () => {
  it('serves a long line of calls that end at once, in turn, with a stack of the same height', async () => {
    const length = 20_000
    const one = queue({ length })
    let go = (): void => {}
    const first = one.run(
      () =>
        new Promise<void>((resolve) => {
          go = resolve
        }),
    )
    const order: number[] = []
    const all = Promise.allSettled(
      Array.from({ length }, (_, i) =>
        one.run(() => {
          order.push(i)
          throw new Error('at once')
        }),
      ),
    )
    go()
    await first
    const texts = (await all).map((end) => (end.status === 'rejected' ? (end.reason as Error).message : ''))
    expect(new Set(texts)).toEqual(new Set(['at once']))
    expect(order).toEqual(Array.from({ length }, (_, i) => i))
    expect([one.inFlight, one.waiting]).toEqual([0, 0])
  })

  it('is one at a time, unless told otherwise', async () => {
    const one = queue()
    const { begun, start, end } = calls(one)
    start()
    start()
    expect([begun, one.limit]).toEqual([[0], 1])
    await end(0)
    expect(begun).toEqual([0, 1])
    expect(queue({ concurrency: 3 }).limit).toBe(3)
  })

  it('hands results and errors through', async () => {
    const one = queue({ length: 5 })
    const bug = (): never => {
      throw new Error('at once')
    }
    expect(await Promise.allSettled([one.run(() => 1), one.run(bug), one.run(async () => 3)])).toMatchObject([
      { value: 1 },
      { reason: { message: 'at once' } },
      { value: 3 },
    ])
  })

  it('refuses wrong options', () => {
    expect(() => queue({ concurrency: 0, length: 1.5 })).toThrow(/queue.concurrency: got 0.*\n.*queue.length/)
  })
})
