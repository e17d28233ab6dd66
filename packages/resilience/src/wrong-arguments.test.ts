import { type Context, ProxyError } from '@sluice/core'
import { createUpstream, type Target } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { breaker, breakers, concurrency, concurrencyOf, hedging, queue, retry, retrying } from './index.js'

trapUnhandled()

const no = 'http://a' as never

describe('what is no function', () => {
  it('is refused before anything is called', async () => {
    expect(() => retrying(no)).toThrow("retrying: got 'http://a', takes a function")
    expect(() => hedging(no)).toThrow("hedging: got 'http://a', takes a function")
    expect(() => breaker().on('state', undefined as never)).toThrow(
      "on('state'): got nothing, takes a function",
    )
    await expect(queue().run(no)).rejects.toThrow("concurrency.run: got 'http://a', takes a function")
    await expect(concurrency({ limit: 1 }).run(no)).rejects.toThrow('takes a function')
  })

  it('is no failure of what a breaker protects', async () => {
    const one = breaker({ volume: 1 })
    await expect(one.run(no)).rejects.toThrow("breaker.run: got 'http://a', takes a function")
    expect(one.state).toBe('closed')
  })
})

it('an async listener that rejects is a warning', async () => {
  const told: string[] = []
  const note = ({ message }: Error) => void told.push(message)
  process.on('warning', note)
  const upstream = createUpstream({ name: 'api', targets: ['http://a', 'http://b'] })
  const all = breakers(upstream, { volume: 1 })
  const one = breaker({ volume: 1 })
  const listener = async (): Promise<void> => {
    throw new Error('of a webhook')
  }
  all.on('state', listener)
  one.on('state', listener)
  upstream.lease(upstream.all[0] as Target).release({ ok: false, error: new Error('lost') })
  await one.run(async () => ({ status: 500 }))
  await new Promise(setImmediate)
  all[Symbol.dispose]()
  process.off('warning', note)
  expect(told).toEqual(['breakers: of a webhook', 'breaker: of a webhook'])
})

it('what is no upstream is refused at once', () => {
  expect(() => breakers(['http://a'] as never)).toThrow('breakers: got a list as its upstream')
  expect(() => concurrencyOf(no, { limit: 1 })).toThrow('concurrencyOf: got "http://a" as its upstream')
  expect(() => concurrencyOf(no, {} as never)).toThrow('concurrencyOf')
})

describe.each([
  ['a promise', async () => true],
  ['a promise', () => Promise.reject(new Error('later'))],
  ['1', () => 1],
])('a decision that is none, %s', (gave, decide) => {
  const says = `gave ${gave}, takes true, false or nothing, at once`

  it('ends a retry with a fault of the app', async () => {
    const ctx = { out: { method: 'GET', path: '/', headers: [], body: null } } as unknown as Context
    const handler = retry({ when: decide as never })(() => {
      throw new ProxyError('connection_refused')
    })
    await expect(handler(ctx)).rejects.toThrow(`\`when\` of a retry ${says}`)
  })

  it('ends retrying', async () => {
    const failing = () => Promise.reject(new Error('busy'))
    await expect(retrying(failing, { when: decide as never })).rejects.toThrow(`\`when\` of retrying ${says}`)
  })

  it('of hedging ends no process', async () => {
    const calls: ((value: string) => void)[] = []
    const call = () => new Promise<string>((resolve) => calls.push(resolve))
    const ended = Promise.allSettled([hedging(call, { after: 0, failed: decide as never })()])
    while (calls.length < 2) await new Promise(setImmediate)
    for (const settle of calls) settle('done')
    await ended
  })
})
