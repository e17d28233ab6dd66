import { ProxyError } from '@sluice/core'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { BreakerOpenError, type BreakerOptions, type BreakerState, breaker, resolveBreaker } from './index.js'

/** A breaker with hands of its own on clock and chance; jitter is off unless told. */
function made(options: BreakerOptions = {}) {
  const hands = { now: 0, chance: 0 }
  const one = breaker(
    { volume: 4, window: 1000, open: 100, jitter: 0, ramp: 0, trials: 2, ...options },
    { clock: () => hands.now, random: () => hands.chance },
  )
  const changes: string[] = []
  one.on('state', ({ from, to, reason }) => changes.push(`${from} -> ${to}: ${reason}`))
  const end = (failed: boolean, ms = 1, network = false): void => {
    const permit = one.allow()
    expect(permit).toBeGreaterThan(0)
    if (failed) one.failed(permit, ms, network)
    else one.succeeded(permit, ms)
  }
  const open = (): void => {
    for (let i = 0; i < 4; i++) end(true)
    expect(one.state).toBe('open')
  }
  return { one, hands, changes, end, open }
}

describe('opens', () => {
  it('by the part that has failed, with enough calls in the window', () => {
    const { one, changes, end } = made()
    for (const failed of [true, true, true]) end(failed)
    expect(one.state).toBe('closed')
    end(false)
    expect(one.state).toBe('open')
    expect(changes).toEqual(['closed -> open: 3 of 4 calls failed'])
    expect(one.allow()).toBe(0)
  })

  it('by network errors alone', () => {
    const { one, changes, end } = made({ failures: false, network: 0.5 })
    for (let i = 0; i < 6; i++) end(true)
    expect(one.state).toBe('closed')
    for (let i = 0; i < 6; i++) end(true, 1, true)
    expect(changes).toEqual(['closed -> open: 6 of 12 calls met a network error'])
  })

  it('by a quantile of the latencies', () => {
    const { one, changes, end } = made({ volume: 10, latency: { quantile: 0.8, over: 100 } })
    // Of ten the 8th in order is the quantile: 2 slow ones are allowed.
    for (let i = 0; i < 10; i++) end(false, i < 2 ? 101 : 100)
    expect(one.state).toBe('closed')
    end(false, 200)
    expect(changes).toEqual(['closed -> open: 3 of 11 calls took more than 100 ms'])
  })

  it('by what is in the window alone', () => {
    const { one, hands, end } = made()
    for (let i = 0; i < 3; i++) end(true)
    hands.now = 1100
    for (let i = 0; i < 3; i++) end(true)
    expect(one.state).toBe('closed')
    end(true)
    expect(one.state).toBe('open')
  })
})

describe('comes back', () => {
  it('through as many trials as it is told, all of which have to succeed', () => {
    const { one, hands, changes, open } = made()
    open()
    hands.now = 99
    expect(one.state).toBe('open')
    hands.now = 100
    const permits = [one.allow(), one.allow()]
    expect(one.allow()).toBe(0)
    one.succeeded(permits[0] as number)
    expect(one.allow()).toBe(0)
    one.succeeded(permits[1] as number)
    expect(one.state).toBe('closed')
    expect(changes.slice(1)).toEqual([
      'open -> half-open: open for 100 ms',
      'half-open -> closed: 2 trials succeeded',
    ])
  })

  it('not while a trial fails or is slow: open longer each time, up to the most, with chance', () => {
    const { one, hands, open } = made({ max: 300, jitter: 0.5, latency: { over: 50 } })
    open()
    // How long it was open, the chance for the next time, and how the trial ends.
    const rounds: [number, number, 'failed' | 'slow'][] = [
      [100, 0, 'failed'],
      [200, 1, 'failed'],
      [150, 0, 'slow'],
      [300, 0, 'slow'],
    ]
    for (const [ms, chance, trial] of rounds) {
      hands.now += ms - 1
      expect(one.state).toBe('open')
      hands.now++
      const permit = one.allow()
      hands.chance = chance
      if (trial === 'failed') one.failed(permit)
      else one.succeeded(permit, 51)
    }
  })

  it('after `open`, where that is longer than `max`', () => {
    const { one, hands, open } = made({ open: 500, max: 100 })
    open()
    hands.now = 499
    expect(one.state).toBe('open')
    hands.now = 500
    expect(one.state).toBe('half-open')
  })

  it('with a share that grows evenly', () => {
    const { one, hands, open, end } = made({ ramp: 1000, trials: 1 })
    open()
    hands.now = 100
    end(false)
    expect([one.state, one.share]).toEqual(['closed', 0])
    hands.now = 350
    expect(one.share).toBe(0.25)
    hands.chance = 0.24
    expect(one.allow()).toBeGreaterThan(0)
    hands.chance = 0.26
    expect(one.allow()).toBe(0)
    hands.now = 1100
    expect(one.share).toBe(1)
    hands.chance = 0.99
    expect(one.allow()).toBeGreaterThan(0)
  })

  it('with trials anew where nobody says how they went', () => {
    const { one, hands, open } = made()
    open()
    hands.now = 100
    expect([one.allow() > 0, one.allow() > 0, one.allow() > 0]).toEqual([true, true, false])
    hands.now = 200
    expect(one.allow()).toBeGreaterThan(0)
  })

  it('whatever was begun before', () => {
    const { one, hands, open } = made()
    const old = one.allow()
    open()
    one.failed(old)
    hands.now = 100
    one.failed(old)
    one.succeeded(old)
    one.forget(old)
    expect(one.state).toBe('half-open')
    expect([one.allow() > 0, one.allow() > 0, one.allow()]).toEqual([true, true, 0])
  })
})

describe('run', () => {
  it('calls, tells the result, and refuses without a call while open', async () => {
    const { one, hands } = made()
    const fn = vi.fn<() => Promise<{ status: number }>>(async () => ({ status: 503 }))
    for (let i = 0; i < 4; i++) expect(await one.run(fn)).toEqual({ status: 503 })
    hands.now = 40
    const refused = await one.run(fn).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(BreakerOpenError)
    expect(refused).toMatchObject({ code: 'breaker_open', retryAfterMs: 60 })
    expect(fn).toHaveBeenCalledTimes(4)
  })

  it.each<[string, () => unknown, boolean]>([
    ['an error of the system', () => Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), true],
    [
      'one beneath',
      () => new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ECONNRESET' }) }),
      true,
    ],
    ['a timeout', () => new DOMException('late', 'TimeoutError'), true],
    ['a target gone', () => new ProxyError('connection_terminated'), true],
    ['a bug', () => new TypeError('x is not a function'), false],
    ['one that Node finds', () => Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' }), false],
    ['a fault of the proxy beneath', () => new Error('x', { cause: new ProxyError('body_consumed') }), false],
    ['nothing', () => undefined, false],
  ])('%s is a failure', async (_name, error, network) => {
    for (const options of [{}, { failures: false, network: 0.5 }] satisfies BreakerOptions[]) {
      const { one } = made(options)
      for (let i = 0; i < 4; i++) await one.run(() => Promise.reject(error())).catch(() => {})
      expect(one.state).toBe(network || options.failures === undefined ? 'open' : 'closed')
    }
  })

  it('what the caller gave up counts for nothing', async () => {
    const { one } = made()
    for (const error of [new DOMException('off', 'AbortError'), new ProxyError('client_left')])
      for (let i = 0; i < 5; i++) await one.run(() => Promise.reject(error)).catch(() => {})
    for (let i = 0; i < 5; i++)
      await one.run(() => Promise.reject(new Error('x')), AbortSignal.abort()).catch(() => {})
    expect(one.state).toBe('closed')
  })

  it('an error that is beneath itself ends its trial like any other', async () => {
    const { one, hands, open } = made({ trials: 1 })
    open()
    hands.now = 100
    const [error, cause] = [new Error('above'), new Error('beneath')]
    error.cause = cause
    cause.cause = error
    await expect(one.run(() => Promise.reject(error))).rejects.toBe(error)
    expect(one.state).toBe('open')
  })

  it('what throws at once is a rejection', async () => {
    const { one } = made()
    const bug = (): never => {
      throw new Error('at once')
    }
    await expect(one.run(bug)).rejects.toThrow('at once')
  })
})

it('a clock that jumps: back begins the wait anew, ahead ends it', () => {
  const { one, hands, open } = made()
  hands.now = 1e6
  open()
  hands.now = 0
  expect(one.state).toBe('open')
  hands.now = 100
  expect(one.state).toBe('half-open')
  const other = made()
  other.open()
  other.hands.now = Number.MAX_SAFE_INTEGER
  expect(other.one.state).toBe('half-open')
  const third = made()
  for (let i = 0; i < 3; i++) third.end(true)
  // What was before is far out of the window, and no bucket is turned one by one.
  third.hands.now = Number.MAX_SAFE_INTEGER
  third.end(true)
  expect(third.one.state).toBe('closed')
})

it('one that listens and throws harms nobody', () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const { one, changes, open } = made()
  one.on('state', () => {
    throw new Error('a bug')
  })
  open()
  expect(changes).toHaveLength(1)
  expect(warned).toHaveBeenCalledWith('breaker: a bug', 'SluiceWarning')
  warned.mockRestore()
})

it('does as a plain model does', () => {
  const span = 10
  const buckets = 5
  const settings = { volume: 5, window: span * buckets, buckets, open: 40, growth: 2, max: 100, trials: 2 }
  const action = fc.oneof(
    fc.record({ kind: fc.constant('call' as const), failed: fc.boolean() }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 60 }) }),
  )
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const { one, hands } = made(settings)
      const model = { state: 'closed' as BreakerState, at: 0, closedAt: -1e9, n: 0, passed: 0 }
      let calls: { at: number; failed: boolean }[] = []
      const bucket = (at: number): number => Math.floor((at - model.at) / span)
      const wait = (): number => Math.min(100, 40 * 2 ** (model.n - 1))
      const go = (state: BreakerState): void => {
        if (state === 'closed') model.closedAt = hands.now
        Object.assign(model, { state, at: hands.now, passed: 0 })
        calls = []
      }
      const trip = (): void => {
        model.n = model.state === 'half-open' || hands.now - model.closedAt < 50 ? model.n + 1 : 1
        go('open')
      }
      for (const step of actions) {
        if (step.kind === 'wait') hands.now += step.ms
        if (model.state === 'open' && hands.now - model.at >= wait()) go('half-open')
        expect(one.state).toBe(model.state)
        if (step.kind === 'wait') continue
        const permit = one.allow()
        expect(permit > 0).toBe(model.state !== 'open')
        if (permit === 0) continue
        if (step.failed) one.failed(permit)
        else one.succeeded(permit)
        if (model.state === 'half-open') {
          if (step.failed) trip()
          else if (++model.passed === 2) go('closed')
        } else {
          calls.push({ at: hands.now, failed: step.failed })
          const seen = calls.filter(({ at }) => bucket(hands.now) - bucket(at) < buckets)
          if (seen.length >= 5 && seen.filter(({ failed }) => failed).length * 2 >= seen.length) trip()
        }
        expect(one.state).toBe(model.state)
      }
    }),
    {
      examples: [
        // Buckets keep to their times over a pause that is longer than the window.
        [
          [
            { kind: 'wait', ms: 64 },
            { kind: 'call', failed: true },
            { kind: 'call', failed: false },
            { kind: 'wait', ms: 46 },
            { kind: 'call', failed: false },
            { kind: 'call', failed: true },
            { kind: 'call', failed: true },
          ],
        ],
      ],
    },
  )
})

it.each([
  [{ failures: 0 }, 'breaker.failures: got 0'],
  [{ failures: 1.1 }, 'breaker.failures: got 1.1'],
  [{ network: Number.NaN }, 'breaker.network'],
  [{ latency: {} }, 'breaker.latency.over'],
  [{ latency: { over: '1s', quantile: 1 } }, 'breaker.latency.quantile: got 1'],
  [{ open: 0 }, 'breaker.open: got 0, takes more than 0'],
  [{ growth: 0.5 }, 'breaker.growth'],
  [{ trials: 0 }, 'breaker.trials'],
  [{ statuses: [99] }, 'breaker.statuses[0]'],
  [{ windows: 1 }, 'breaker.windows: unknown option, did you mean window?'],
])('refuses %j', (options, says) => {
  expect(() => breaker(options as never)).toThrow(says)
})

it('has these defaults', () => {
  expect(resolveBreaker()).toEqual({
    failures: 0.5,
    network: false,
    latency: false,
    volume: 20,
    window: 10_000,
    buckets: 10,
    open: 5_000,
    growth: 2,
    max: 60_000,
    jitter: 0.1,
    trials: 3,
    ramp: 10_000,
  })
})

it('gives trials up that nobody tells of, also when its clock has jumped back meanwhile', () => {
  const { one, hands, open } = made()
  hands.now = 1e9
  open()
  hands.now += 100
  expect([one.allow() > 0, one.allow() > 0, one.allow()]).toEqual([true, true, 0])
  hands.now = 50
  expect(one.allow()).toBe(0)
  hands.now = 150
  expect(one.allow()).toBeGreaterThan(0)
})
