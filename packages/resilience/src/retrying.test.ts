import { getEventListeners } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { heapInUse } from '../../../test/kit/heap.js'
import { until } from '../../../test/kit/until.js'
import { type RetryingOptions, retryBudget, retrying } from './index.js'

const never = () => new Promise<never>(() => {})
const bug = (): never => {
  throw new Error('a bug')
}

describe('retrying', () => {
  it('calls again after an error, and gives the last end', async () => {
    const fn = vi.fn<(attempt: number) => Promise<string>>(async (attempt) => {
      if (attempt < 3) throw new Error(`no ${attempt}`)
      return 'ok'
    })
    expect(await retrying(fn, { attempts: 3 })).toBe('ok')
    await expect(retrying(fn)).rejects.toThrow('no 2')
    expect(await retrying(async (attempt) => attempt, { when: ({ value }) => value === 1 })).toBe(2)
  })

  it('takes a function that throws at once as one that fails', async () => {
    const fn = vi.fn<() => Promise<never>>(() => {
      throw new Error('at once')
    })
    await expect(retrying(fn)).rejects.toThrow('at once')
    expect(fn).toHaveBeenCalledTimes(2)
  })

  it.each<[string, RetryingOptions<Response>]>([
    ['budget', { budget: { request() {}, take: bug } }],
    ['backoff', { backoff: { random: bug } }],
    ['when', { when: bug }],
  ])('lets go of a Response where its %s throws', async (_name, options) => {
    let cancelled = false
    const body = new ReadableStream({
      cancel() {
        cancelled = true
      },
    })
    const when = (): boolean => true
    await expect(retrying(async () => new Response(body), { when, ...options })).rejects.toThrow('a bug')
    expect(cancelled).toBe(true)
  })

  it('aborts a try that takes too long', async () => {
    const signals: AbortSignal[] = []
    const result = retrying(
      (attempt, signal) => {
        signals.push(signal)
        return attempt === 1 ? never() : Promise.resolve('second')
      },
      { perTry: 5 },
    )
    expect(await result).toBe('second')
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    await expect(retrying(never, { total: 5, attempts: 100 })).rejects.toThrow('too long')
  })

  it('ends with the reason of its signal, in a try and in a wait', async () => {
    for (const fn of [never, () => Promise.reject(new Error('failed'))]) {
      const controller = new AbortController()
      const result = retrying(fn, {
        signal: controller.signal,
        backoff: { base: '1h', max: '1h', random: () => 1 },
      })
      setImmediate(() => controller.abort(new Error('the caller left')))
      await expect(result).rejects.toThrow('the caller left')
    }
  })

  it('leaves nothing at a signal that lives on, once its values are gone', async () => {
    const { signal } = new AbortController()
    const listeners = (): number => getEventListeners(signal, 'abort').length
    const busy = async (attempt: number) => {
      if (attempt === 1) throw new Error('busy')
      return 'text'
    }
    for (let i = 0; i < 20; i++) await retrying(busy, { signal, perTry: '1h', backoff: { base: 0 } })
    await retrying(() => Promise.reject(new Error('no')), { signal }).catch(() => {})
    expect(listeners()).toBe(0)
    for (let i = 0; i < 20; i++)
      expect((await retrying(async () => new Response('x'), { signal })).status).toBe(200)
    await until(async () => {
      await heapInUse()
      return listeners() === 0
    }, 'the signal to be let go of')
  })

  it('ends what flows on when its caller leaves after the value', async () => {
    const caller = new AbortController()
    let own: AbortSignal | undefined
    const response = await retrying(
      async (_attempt, signal) => {
        own = signal
        return new Response('x')
      },
      { signal: caller.signal },
    )
    await heapInUse()
    caller.abort(new Error('left'))
    expect([response.ok, own?.reason]).toEqual([true, new Error('left')])
  })

  it('lets go of a Response that comes too late, or of which `when` can’t tell', async () => {
    const cancelled: string[] = []
    const response = (name: string) =>
      new Response(new ReadableStream({ cancel: () => void cancelled.push(name) }), { status: 503 })
    let late: (value: Response) => void = () => {}
    await expect(
      retrying(
        () =>
          new Promise<Response>((resolve) => {
            late = resolve
          }),
        { perTry: 1, attempts: 1 },
      ),
    ).rejects.toThrow('too long')
    late(response('late'))
    const bug = (): never => {
      throw new Error('a bug')
    }
    await expect(retrying(async () => response('bug'), { when: bug })).rejects.toThrow('a bug')
    await until(() => cancelled.length === 2, 'both to be cancelled')
  })

  it('waits as a Response asks, but no longer than it may', async () => {
    const busy = (after: string) => async (attempt: number) =>
      new Response('x', attempt === 1 ? { status: 503, headers: { 'Retry-After': after } } : {})
    const when = ({ value }: { value?: Response }) => value?.status === 503
    expect((await retrying(busy('0'), { when, backoff: { base: 0, max: 10 } })).status).toBe(200)
    expect((await retrying(busy('1'), { when, backoff: { base: 0, max: 10 } })).status).toBe(503)
  })

  it('knows a Response of another fetch than Node’s own', async () => {
    let cancelled = 0
    const headers = new Headers({ 'Retry-After': '1' })
    const body = { cancel: async () => void cancelled++ }
    const busy = Object.assign(Object.create({ [Symbol.toStringTag]: 'Response' }), {
      status: 503,
      headers,
      body,
    })
    const when = ({ value }: { value?: { status: number } }) => value?.status === 503
    const fn = vi.fn<(attempt: number) => Promise<{ status: number }>>(async (attempt) =>
      attempt === 1 ? busy : { status: 200 },
    )
    expect(await retrying(fn, { when, backoff: { base: 0, max: 10 } })).toBe(busy)
    expect([fn.mock.calls.length, cancelled]).toEqual([1, 0])
    expect(await retrying(fn, { when })).toEqual({ status: 200 })
    expect(cancelled).toBe(1)
  })

  it('keeps to its budget', async () => {
    const fn = vi.fn<() => Promise<never>>(() => Promise.reject(new Error('failed')))
    await expect(
      retrying(fn, { attempts: 9, budget: retryBudget({ share: 0, min: 2, clock: () => 0 }) }),
    ).rejects.toThrow('failed')
    expect(fn).toHaveBeenCalledTimes(3)
  })

  it('names a wrong option', () => {
    expect(() => retrying(never, { attempts: 0 })).toThrow('retrying.attempts')
  })
})
