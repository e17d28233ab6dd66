import { PassThrough } from 'node:stream'
import type { ProxyError } from '@sluice/core'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { hedging, retrying } from './index.js'
import { later } from './queue-timer.js'
import { TryTime } from './try-time.js'

// A timer is over, and before its immediate what was unread says otherwise.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())
const read = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('later: what is undone meanwhile is not called', async () => {
  const called: string[] = []
  const undo = later(10, () => called.push('undone'))
  later(10, () => called.push('kept'))
  vi.advanceTimersByTime(10)
  expect(called).toEqual([])
  undo()
  await read()
  expect(called).toEqual(['kept'])
})

it.each([
  ['perTry', 10, undefined],
  ['total', 0, 10],
])('TryTime: one that has ended meanwhile is not told of its end by %s', async (_name, perTry, total) => {
  const told: string[] = []
  const time = new TryTime(perTry, total, null, ({ code }: ProxyError) => void told.push(code))
  vi.advanceTimersByTime(10)
  time.stop()
  await read()
  expect(told).toEqual([])
})

it('TryTime: a body that was sent meanwhile gives its target all of the time', async () => {
  const told: string[] = []
  const body = new PassThrough()
  body.resume().write('x')
  await read()
  const time = new TryTime(10, undefined, body, ({ code }: ProxyError) => void told.push(code))
  vi.advanceTimersByTime(10)
  body.emit('end')
  await read()
  expect(told).toEqual([])
  vi.advanceTimersByTime(10)
  await read()
  expect(told).toEqual(['http_response_timeout'])
  time.stop()
})

it('hedging: a first try that ends meanwhile has no second one beside it', async () => {
  let end: (n: number) => void = () => {}
  let tries = 0
  const result = hedging(
    () => {
      tries++
      return new Promise<number>((resolve) => {
        end = resolve
      })
    },
    { after: 10 },
  )()
  vi.advanceTimersByTime(10)
  end(1)
  await read()
  expect([await result, tries]).toEqual([1, 1])
})

it('retrying: the signal of a try that ends meanwhile does not abort', async () => {
  let end: (n: number) => void = () => {}
  let tried: AbortSignal | undefined
  const result = retrying(
    (_n, signal) => {
      tried = signal
      return new Promise<number>((resolve) => {
        end = resolve
      })
    },
    { perTry: 10 },
  )
  vi.advanceTimersByTime(10)
  end(1)
  await read()
  expect([await result, tried?.aborted]).toEqual([1, false])
})
