import { expect, it } from 'vitest'
import { hedging, retryBudget } from './index.js'

const never = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

it('a slow first try loses to the second, and is cancelled', async () => {
  let cancelled: unknown
  const call = hedging(
    async (attempt, signal) => {
      if (attempt === 2) return attempt
      signal.addEventListener('abort', () => {
        cancelled = signal.reason
      })
      return never(signal)
    },
    { after: 1 },
  )
  expect(await call()).toBe(2)
  expect(cancelled).toMatchObject({ name: 'AbortError' })
})

it('a first try that is good in time stays alone, its signal untouched', async () => {
  const signals: AbortSignal[] = []
  const call = hedging(
    async (attempt, signal) => {
      signals.push(signal)
      return attempt
    },
    { after: '1h' },
  )
  expect(await call()).toBe(1)
  expect(signals.map(({ aborted }) => aborted)).toEqual([false])
})

it('ends the winner’s result, which may flow on, when its caller leaves', async () => {
  for (const winner of [1, 2]) {
    const signals: AbortSignal[] = []
    const caller = new AbortController()
    const call = hedging(
      async (attempt, signal) => {
        signals.push(signal)
        return attempt === winner ? new Response('x') : never(signal)
      },
      { after: winner === 1 ? '1h' : 1 },
    )
    const response = await call(caller.signal)
    caller.abort(new Error('left'))
    expect([response.ok, signals[winner - 1]?.reason]).toEqual([true, new Error('left')])
  }
})

it('lets go of a result that comes too late', async () => {
  let late: (value: string) => void = () => {}
  const dropped: string[] = []
  const call = hedging<string>(
    (attempt) =>
      attempt === 1
        ? new Promise((resolve) => {
            late = resolve
          })
        : Promise.resolve('second'),
    { after: 1, discard: (each) => dropped.push(each) },
  )
  expect(await call()).toBe('second')
  late('first')
  await Promise.resolve()
  await new Promise(setImmediate)
  expect(dropped).toEqual(['first'])
})

it('takes a failed result only if the other fares no better', async () => {
  const dropped: number[] = []
  const options = {
    after: 1,
    failed: (each: number) => each === 503,
    discard: (each: number) => dropped.push(each),
  }
  const gates: ((value: number) => void)[] = []
  const call = hedging<number>(
    (attempt) =>
      new Promise((resolve) => {
        gates.push(resolve)
        if (attempt === 2) {
          gates[0]?.(503)
          setImmediate(() => resolve(200))
        }
      }),
    options,
  )
  expect(await call()).toBe(200)
  expect(dropped).toEqual([503])
})

it('cancels the body of a Response that has lost, unless told otherwise', async () => {
  let cancelled = 0
  const gates: ((value: Response) => void)[] = []
  const body = () => new ReadableStream({ cancel: () => void cancelled++ })
  const call = hedging<Response>(
    (attempt) =>
      new Promise((resolve) => {
        gates.push(resolve)
        if (attempt === 1) return
        gates[0]?.(new Response(body(), { status: 503 }))
        setImmediate(() => resolve(new Response('good')))
      }),
    { after: 1, failed: ({ status }) => status === 503 },
  )
  expect(await (await call()).text()).toBe('good')
  await new Promise(setImmediate)
  expect(cancelled).toBe(1)
})

it('without budget there is no second try; a caller that leaves ends it', async () => {
  let calls = 0
  const caller = new AbortController()
  const budget = {
    ...retryBudget(),
    request: () => {},
    take: () => {
      setImmediate(() => caller.abort(new Error('left')))
      return false
    },
  }
  const call = hedging(
    (_attempt, signal) => {
      calls++
      return never(signal)
    },
    { after: 1, budget },
  )
  await expect(call(caller.signal)).rejects.toThrow('left')
  await expect(call(caller.signal)).rejects.toThrow('left')
  expect(calls).toBe(1)
})

it.each([
  [1, 2],
  [2, 1],
])("of two errors it tells the first try's, whichever came first (%i before %i)", async (first, last) => {
  const ends: (() => void)[] = []
  const call = hedging(
    (attempt) =>
      new Promise<never>((_resolve, reject) => {
        ends[attempt] = () => reject(new Error(`try ${attempt}`))
        if (attempt < 2) return
        ends[first]?.()
        setImmediate(() => ends[last]?.())
      }),
    { after: 1 },
  )
  await expect(call()).rejects.toThrow('try 1')
})

it('a say on results that throws is the failure of that try', async () => {
  const dropped: number[] = []
  let first: (value: number) => void = () => {}
  const call = hedging<number>(
    (attempt) => (attempt === 1 ? new Promise((resolve) => (first = resolve)) : Promise.resolve(2)),
    {
      after: 1,
      failed: () => {
        setImmediate(() => first(1))
        throw new Error('a bug')
      },
      discard: (each) => dropped.push(each),
    },
  )
  expect(await call()).toBe(1)
  expect(dropped).toEqual([2])
})

it('fails with the error, and refuses wrong options', async () => {
  await expect(
    hedging(async () => {
      throw new Error('no')
    })(),
  ).rejects.toThrow('no')
  expect(() => hedging(async () => 1, { quantile: 2 })).toThrow('hedging.quantile')
})

it('what throws in its budget rejects the call, ends its try and lets go of its late result', async () => {
  const bug = (): never => {
    throw new Error('a bug')
  }
  const [signals, dropped]: [AbortSignal[], number[]] = [[], []]
  let late: (value: number) => void = () => {}
  const fn = (_attempt: number, signal: AbortSignal): Promise<number> => {
    signals.push(signal)
    return new Promise((resolve) => {
      late = resolve
    })
  }
  const discard = (each: number): void => void dropped.push(each)
  const slow = hedging(fn, { after: 0, discard, budget: { request() {}, take: bug } })
  await expect(slow()).rejects.toThrow('a bug')
  late(1)
  await new Promise(setImmediate)
  expect([signals.map(({ aborted }) => aborted), dropped]).toEqual([[true], [1]])
  await expect(hedging(fn, { budget: { request: bug, take: () => true } })()).rejects.toThrow('a bug')
  expect(signals).toHaveLength(1)
})

it('a clock that throws rejects the call, and the result is let go of', async () => {
  const dropped: number[] = []
  let asked = 0
  const clock = (): number => {
    if (asked++ === 0) return 0
    throw new Error('a bug')
  }
  const call = hedging(async () => 1, { after: '1h', discard: (each) => dropped.push(each), clock })
  await expect(call()).rejects.toThrow('a bug')
  expect(dropped).toEqual([1])
})
