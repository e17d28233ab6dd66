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

it('ends with what `failed` throws: nothing waits for ever, and nothing is left unhandled', async () => {
  const dropped: number[] = []
  const aborted: boolean[] = []
  const gates: ((value: number) => void)[] = []
  const call = hedging<number>(
    (attempt, signal) =>
      new Promise((resolve) => {
        gates.push(resolve)
        signal.addEventListener('abort', () => aborted.push(signal.aborted))
        if (attempt === 2) gates[0]?.(503)
      }),
    {
      after: 1,
      failed: () => {
        throw new Error('a bug')
      },
      discard: (each) => dropped.push(each),
    },
  )
  await expect(call()).rejects.toThrow('a bug')
  expect([dropped, aborted]).toEqual([[503], [true, true]])
})

it('fails with the error, and refuses wrong options', async () => {
  await expect(
    hedging(async () => {
      throw new Error('no')
    })(),
  ).rejects.toThrow('no')
  expect(() => hedging(async () => 1, { quantile: 2 })).toThrow('hedging.quantile')
  expect(() => hedging(async () => 1, { budget: {} as never })).toThrow('hedging.budget')
})
