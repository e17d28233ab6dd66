import { ProxyError, type ProxyErrorCode } from '@sluice/core'
import { createUpstream, type LeaseResult, type Target, type Upstream } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { type EjectionOptions, ejection } from './index.js'

const answered = (status: number, ttfb = 1): LeaseResult => ({ ok: true, status, ttfb })
const failed = (code: ProxyErrorCode): LeaseResult => ({ ok: false, error: new ProxyError(code) })
const refused = failed('connection_refused')
/** A kept connection that the target has ended with a request on it. */
const keptLost: LeaseResult = { ok: false, error: new ProxyError('connection_terminated', { reused: true }) }

/** An upstream under ejection, with a clock that stands still. */
function ejecting(options: EjectionOptions = {}, count = 3) {
  const time = fakeTime()
  const urls = Array.from({ length: count }, (_, i) => `http://t${i}`)
  const upstream = createUpstream({ name: 'x', targets: urls }, 'upstream', time.now)
  const changes: string[] = []
  upstream.on('state', ({ target, from, to, reason }) =>
    changes.push(`${target.id.slice(8)} ${from} ${to}: ${reason}`),
  )
  const watch = ejection(upstream, options, { timers: time.timers })
  return {
    upstream,
    changes,
    watch,
    time,
    /** The same result so many times. */
    end(i: number, result: LeaseResult | undefined, times = 1) {
      const target = upstream.all[i] as Target
      for (let n = 0; n < times; n++) upstream.lease(target).release(result)
    },
    states: () => upstream.all.map(({ state }) => state),
  }
}

describe('failures in a row', () => {
  it.each<[string, LeaseResult, string]>([
    ['502', answered(502), '502'],
    ['503', answered(503), '503'],
    ['504', answered(504), '504'],
    ['no answer in time', failed('http_response_timeout'), 'http_response_timeout'],
    ['a body cut short', failed('http_response_incomplete'), 'http_response_incomplete'],
    ['no valid HTTP', failed('http_protocol_error'), 'http_protocol_error'],
    ['a request refused', failed('http_request_refused'), 'http_request_refused'],
    ['a failed upgrade', failed('http_upgrade_failed'), 'http_upgrade_failed'],
  ])('five of %s take a target out for ten seconds', (_name, result, last) => {
    const { changes, end, states, time } = ejecting()
    end(0, result, 4)
    expect(states()).toEqual(['unknown', 'unknown', 'unknown'])
    end(0, result)
    expect(changes).toEqual([`0 unknown ejected: 5 gateway failures in a row (${last}): out for 10 s`])
    time.passAtOnce(9_999)
    expect(states()[0]).toBe('ejected')
    time.passAtOnce(1)
    expect(changes[1]).toBe('0 ejected unknown: was out for 10 s')
  })

  it.each<[string, LeaseResult]>([
    ['200', answered(200)],
    ['404', answered(404)],
    ['500, the application being there', answered(500)],
  ])('are over with an answer of %s', (_name, result) => {
    const { end, states } = ejecting()
    for (let i = 0; i < 4; i++) {
      end(0, answered(503), 4)
      end(0, result)
    }
    expect(states()[0]).toBe('unknown')
  })

  it.each<ProxyErrorCode>([
    'connection_refused',
    'connection_terminated',
    'connection_timeout',
    'dns_error',
    'destination_ip_unroutable',
    'tls_protocol_error',
    'tls_certificate_error',
  ])('one %s takes a target out for a moment', (code) => {
    const { changes, end, time } = ejecting()
    end(0, failed(code))
    expect(changes).toEqual([`0 unknown ejected: a lost connect (${code}): out for 1 s`])
    time.passAtOnce(1_000)
    expect(changes[1]).toBe('0 ejected unknown: was out for 1 s')
  })

  it('knows errors of Node and of fetch, for those that hold leases without the chain', () => {
    const { end, states } = ejecting({}, 4)
    const reset = Object.assign(new Error('reset'), { code: 'ECONNRESET' })
    end(0, { ok: false, error: reset })
    end(1, { ok: false, error: new TypeError('fetch failed', { cause: reset }) })
    expect(states()).toEqual(['ejected', 'ejected', 'unknown', 'unknown'])
    end(2, { ok: false, error: new Error('whatever') })
    expect(states()[2]).toBe('unknown')
    // Who has it from `request.reusedSocket` may say so.
    end(3, { ok: false, error: Object.assign(new Error('reset'), { code: 'ECONNRESET', reused: true }) }, 4)
    expect(states()[3]).toBe('unknown')
  })

  it('does not hold bugs of who calls against a target, nor files that are not there', () => {
    const { end, states } = ejecting({ consecutive: 2 }, 4)
    const bug = Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' })
    const file = Object.assign(new Error('x'), { code: 'ENOENT', syscall: 'open' })
    for (const error of [bug, new TypeError('fetch failed', { cause: bug }), file])
      end(0, { ok: false, error }, 5)
    expect(states()[0]).toBe('unknown')
    end(1, { ok: false, error: Object.assign(new Error('x'), { code: 'ENOENT', syscall: 'connect' }) })
    expect(states()[1]).toBe('ejected')
    // What Node says of the other side counts, and so does a word of the user's own.
    end(2, { ok: false, error: Object.assign(new Error('x'), { code: 'ERR_HTTP2_STREAM_ERROR' }) }, 2)
    expect(states()[2]).toBe('ejected')
    const other = ejecting({ consecutive: 2 })
    other.end(0, { ok: false, error: Object.assign(new Error('x'), { code: 'NO_GOOD' }) }, 2)
    expect(other.states()[0]).toBe('ejected')
  })

  it('counts lost connects apart: they neither end the others nor begin them', () => {
    const { changes, end } = ejecting({ local: 2 })
    end(0, answered(503), 4)
    end(0, refused)
    end(0, answered(503))
    expect(changes).toEqual(['0 unknown ejected: 5 gateway failures in a row (503): out for 10 s'])
    end(1, refused)
    end(1, answered(503))
    end(1, refused)
    expect(changes).toHaveLength(1)
  })

  it('counts lost connects with the others where they have no limit of their own', () => {
    const { changes, end } = ejecting({ local: 0 })
    end(0, answered(503), 2)
    end(0, refused, 3)
    expect(changes).toEqual([
      '0 unknown ejected: 5 gateway failures in a row (connection_refused): out for 10 s',
    ])
  })

  it('takes five kept connections lost in a row for what one lost connect is: a target may close them at any time', () => {
    const { changes, end, states, time } = ejecting()
    for (let i = 0; i < 4; i++) {
      end(0, keptLost, 4)
      end(0, i % 2 === 0 ? answered(500) : answered(503))
    }
    expect(states()[0]).toBe('unknown')
    end(0, keptLost, 5)
    expect(changes).toEqual([
      '0 unknown ejected: 5 lost kept connections in a row (connection_terminated): out for 1 s',
    ])
    time.passAtOnce(1_000)
    end(0, keptLost, 4)
    end(0, refused)
    expect(changes.slice(2)).toEqual(['0 unknown ejected: a lost connect (connection_refused): out for 2 s'])
  })

  it('counts lost kept connections apart: they neither end the others nor begin them', () => {
    const { changes, end } = ejecting({ local: 2 }, 4)
    end(0, answered(503), 4)
    end(0, refused)
    end(0, keptLost)
    end(0, answered(503))
    expect(changes).toEqual(['0 unknown ejected: 5 gateway failures in a row (503): out for 10 s'])
    end(1, refused)
    end(1, keptLost)
    end(1, refused)
    expect(changes[1]).toContain('1 unknown ejected: 2 lost connects in a row')
  })

  it('counts them with the others where lost connects are, and not at all where nothing in a row counts', () => {
    const one = ejecting({ local: 0 })
    one.end(0, answered(503), 2)
    one.end(0, keptLost, 3)
    expect(one.changes).toEqual([
      '0 unknown ejected: 5 gateway failures in a row (connection_terminated): out for 10 s',
    ])
    const two = ejecting({ consecutive: 0 })
    two.end(0, keptLost, 100)
    expect(two.changes).toEqual([])
  })

  it('are not counted where that is turned off', () => {
    const { end, states } = ejecting({ consecutive: 0 })
    end(0, answered(503), 100)
    expect(states()[0]).toBe('unknown')
  })

  it('are those of the target: not of a client, nor of our own', () => {
    const { end, states } = ejecting({ consecutive: 1 })
    end(0, undefined, 10)
    for (const code of ['client_left', 'request_timeout', 'proxy_internal_error', 'total_timeout'] as const)
      end(0, failed(code), 10)
    const cause = Object.assign(new Error('too many open files'), { code: 'EMFILE' })
    end(0, { ok: false, error: new ProxyError('connection_refused', { cause }) }, 10)
    expect(states()[0]).toBe('unknown')
    // What `fetch` rejects with when its own signal has aborted it, and when that was for the time it took.
    end(0, { ok: false, error: AbortSignal.abort().reason as Error }, 10)
    expect(states()[0]).toBe('unknown')
    end(0, { ok: false, error: new DOMException('too late', 'TimeoutError') })
    expect(states()[0]).toBe('ejected')
  })
})

describe('the time that a target is out', () => {
  it('grows with each time, up to its limit, and shrinks while the target behaves', () => {
    const { changes, end, time } = ejecting({ max: '4s' })
    const outFor = (): string => {
      changes.length = 0
      end(0, refused)
      return changes[0]?.split(': ').at(-1) ?? 'not out'
    }
    expect(outFor()).toBe('out for 1 s')
    for (const [wait, next] of [
      [1_000, 'out for 2 s'],
      [2_000, 'out for 3 s'],
      [3_000, 'out for 4 s'],
      [4_000, 'out for 4 s'],
      // A second in use forgives one time, of five; and again.
      [4_000 + 1_000, 'out for 4 s'],
      [4_000 + 2_000, 'out for 4 s'],
      [4_000 + 3_000, 'out for 2 s'],
      [2_000 + 999, 'out for 3 s'],
      [3_000 + 3_600_000, 'out for 1 s'],
    ] as const) {
      time.passAtOnce(wait)
      expect(outFor()).toBe(next)
    }
  })

  it('grows apart for lost connects and for all else', () => {
    const { changes, end, time } = ejecting()
    for (const wait of [1_000, 2_000, 3_000]) {
      end(0, refused)
      time.passAtOnce(wait)
    }
    changes.length = 0
    end(0, answered(503), 5)
    expect(changes[0]).toContain('out for 10 s')
  })

  it('is as long as it was asked to be, also beyond the default of its limit', () => {
    const { changes, end } = ejecting({ base: '10m' })
    end(0, answered(503), 5)
    expect(changes[0]).toContain('out for 600 s')
  })

  it('has no limit where it is to have none', () => {
    const { changes, end, time } = ejecting({ max: 0, localBase: '400h' })
    end(0, refused)
    expect(changes[0]).toContain('out for 1440000 s')
    time.passAtOnce(1_440_000_000)
    end(0, refused)
    // What a timer of Node's can hold.
    expect(changes[2]).toContain('out for 2147483.6 s')
  })

  it('is not made longer by what was under way when it went out', () => {
    const { changes, end, time } = ejecting()
    end(0, refused)
    end(0, refused, 20)
    time.passAtOnce(1_000)
    expect(changes).toHaveLength(2)
    end(0, answered(503), 4)
    expect(changes).toHaveLength(2)
  })

  it('is over for good: what began before counts no more when the target is back', () => {
    const { changes, end, time, upstream } = ejecting()
    const target = upstream.all[0] as Target
    const before = [upstream.lease(target), upstream.lease(target), upstream.lease(target)]
    end(0, refused)
    // In panic one that is out may be asked all the same.
    before.push(upstream.lease(target), upstream.lease(target))
    time.passAtOnce(1_000)
    for (const lease of before) lease.release(refused)
    expect(changes).toHaveLength(2)
    end(0, refused)
    expect(changes[2]).toContain('out for 2 s')
  })

  it('is stamped on the target when it comes back, for whoever brings it up slowly', () => {
    const { end, time, upstream } = ejecting()
    expect(upstream.all[0]?.since).toBe(Number.NEGATIVE_INFINITY)
    time.passAtOnce(500)
    end(0, refused)
    time.passAtOnce(1_000)
    expect(upstream.all[0]?.since).toBe(1_500)
  })
})

describe('how many may be out', () => {
  it.each([
    [1, 50, 0],
    [2, 50, 1],
    [3, 50, 1],
    [4, 50, 2],
    [5, 50, 2],
    [10, 50, 5],
    [10, 5, 1],
    [10, 0, 0],
    [4, 100, 3],
  ])('of %i targets at %i percent: %i', (count, maxPercent, most) => {
    const { end, states } = ejecting({ maxPercent }, count)
    for (let i = 0; i < count; i++) end(i, refused, 3)
    expect(states().filter((state) => state === 'ejected')).toHaveLength(most)
  })

  it('leaves the last one that is fit, and takes it out when there is another', () => {
    const { changes, end, states, upstream } = ejecting({}, 3)
    upstream.mark(upstream.all[1] as Target, 'unhealthy', 'probe')
    upstream.drain('http://t2')
    end(0, refused, 3)
    expect(states()).toEqual(['unknown', 'unhealthy', 'draining'])
    upstream.undrain('http://t2')
    end(0, refused)
    expect(changes.at(-1)).toBe(
      '0 unknown ejected: 4 lost connects in a row (connection_refused): out for 1 s',
    )
  })

  it('asks who has been out for the longest, ahead of its time, when the last one is not reached', () => {
    const { changes, end, states, time } = ejecting({ maxPercent: 100 }, 3)
    end(0, refused)
    time.passAtOnce(1_000)
    end(0, refused)
    time.passAtOnce(500)
    end(1, refused)
    expect(states()).toEqual(['ejected', 'ejected', 'unknown'])
    time.passAtOnce(500)
    // A single one may be a hiccup, and those that are out may be gone for good.
    end(2, refused)
    expect(states()).toEqual(['ejected', 'ejected', 'unknown'])
    end(2, refused)
    expect(changes.at(-1)).toBe('0 ejected unknown: the last one that was fit is not reached')
    expect(states()).toEqual(['unknown', 'ejected', 'unknown'])
    end(2, refused)
    expect(states()).toEqual(['unknown', 'ejected', 'ejected'])
  })

  it('asks the longest of those that are not drained, and leaves the others out', () => {
    const { end, states, time, upstream } = ejecting({ maxPercent: 100 }, 4)
    for (const each of [0, 2, 1]) {
      end(each, answered(503), 5)
      time.passAtOnce(500)
    }
    time.passAtOnce(1_000)
    upstream.drain('http://t0')
    end(3, refused, 2)
    expect(states()).toEqual(['draining', 'ejected', 'unknown', 'unknown'])
    upstream.undrain('http://t0')
    expect(states()[0]).toBe('ejected')
  })

  it('counts one once that is taken away as another is back ahead of its time', () => {
    const { end, states, time, upstream } = ejecting({ maxPercent: 34 }, 6)
    for (const each of [0, 1]) end(each, answered(503), 5)
    for (const each of [2, 3, 4]) upstream.mark(upstream.all[each] as Target, 'unhealthy', 'a test')
    time.passAtOnce(1_000)
    const undo = upstream.on('state', () => {
      undo()
      upstream.replace(['http://t5'])
    })
    end(5, refused, 2)
    upstream.replace(['http://t5', 'http://t6', 'http://t7'])
    for (const each of [0, 1]) end(each, refused)
    expect(states()).toEqual(['ejected', 'unknown', 'unknown'])
  })

  it('asks nobody in turn where all are gone, and nobody is out for longer for it', () => {
    const { changes, end, states, time } = ejecting({}, 2)
    end(0, refused)
    for (let i = 0; i < 20; i++) end(1, refused)
    expect(changes).toHaveLength(1)
    for (let s = 0; s < 60; s++) {
      time.passAtOnce(1_000)
      for (let i = 0; i < 20; i++)
        for (const each of [0, 1]) if (states()[each] !== 'ejected') end(each, refused)
    }
    expect(changes.length).toBeLessThan(250)
    expect(changes.filter((change) => / out for ([5-9]|\d\d)/.test(change))).toEqual([])
  })

  it('takes out none that is not in use: it would take the place of one that is', () => {
    const { end, states, upstream } = ejecting({}, 4)
    upstream.mark(upstream.all[0] as Target, 'unhealthy', 'probe')
    upstream.drain('http://t1')
    end(0, refused)
    end(1, refused)
    upstream.mark(upstream.all[0] as Target, 'healthy', 'probe')
    upstream.undrain('http://t1')
    expect(states()).toEqual(['healthy', 'unknown', 'unknown', 'unknown'])
  })
})

describe('statistics of an interval', () => {
  it('take out who succeeds far less often than the others', () => {
    const { changes, end, time } = ejecting({}, 6)
    for (let i = 0; i < 6; i++) end(i, answered(200), 100)
    for (let n = 0; n < 50; n++) {
      end(0, answered(200))
      end(0, answered(500))
    }
    time.passAtOnce(10_000)
    expect(changes).toEqual([
      "0 unknown ejected: 75% of its answers were fit, of all targets' 95.8%: out for 10 s",
    ])
  })

  it('begin anew with each interval, and with each return', () => {
    const { changes, end, time } = ejecting({}, 6)
    for (let i = 1; i < 6; i++) end(i, answered(200), 100)
    end(0, answered(500), 99)
    time.passAtOnce(10_000)
    end(0, answered(500), 99)
    for (let i = 1; i < 6; i++) end(i, answered(200), 100)
    time.passAtOnce(10_000)
    expect(changes).toEqual([])
  })

  it('hold lost kept connections against a target, and lost connects not', () => {
    const { changes, end, time } = ejecting({
      successRate: false,
      failurePercent: { minHosts: 1 },
      consecutive: 0,
      local: 1_000,
      localPercent: false,
    })
    end(0, refused, 100)
    for (let i = 0; i < 25; i++) {
      end(1, keptLost, 3)
      if (i % 2 === 0) end(1, answered(200))
    }
    time.passAtOnce(10_000)
    expect(changes).toEqual(['1 unknown ejected: 85.2% of its answers were failures: out for 10 s'])
  })

  it('can be turned off, and then no timer runs', () => {
    expect(ejecting({ successRate: false }).time.waiting).toBe(0)
    expect(ejecting({ successRate: false, local: 2 }).time.waiting).toBe(1)
    expect(ejecting({ successRate: false, latency: true }).time.waiting).toBe(1)
    expect(ejecting().time.waiting).toBe(1)
  })

  it('take out who fails more often than a threshold', () => {
    const { changes, end, time } = ejecting({ successRate: false, failurePercent: { minHosts: 1 } }, 4)
    end(0, answered(500), 45)
    end(0, answered(200), 5)
    end(1, answered(500), 49)
    end(2, answered(500), 42)
    end(2, answered(200), 8)
    time.passAtOnce(10_000)
    expect(changes).toEqual(['0 unknown ejected: 90% of its answers were failures: out for 10 s'])
  })

  it('take out who answers far later than the others, the slowest first', () => {
    const { changes, end, time } = ejecting({ latency: { minVolume: 5 } }, 5)
    for (const [i, ttfb] of [400, 20, 30, 5_000, 25].entries()) end(i, answered(200, ttfb), 5)
    time.passAtOnce(10_000)
    expect(changes).toEqual([
      '3 unknown ejected: answers after 5000 ms, of all targets the median is 30 ms: out for 10 s',
      '0 unknown ejected: answers after 400 ms, of all targets the median is 30 ms: out for 10 s',
    ])
  })
})

describe('membership', () => {
  it('keeps the record of those that stay, and forgets those that leave', () => {
    const { changes, end, states, time, upstream } = ejecting({}, 4)
    end(0, refused)
    end(1, refused)
    end(2, answered(503), 4)
    const left = upstream.all[1] as Target
    upstream.replace(['http://t0', 'http://t2', 'http://t3', 'http://t4'])
    changes.length = 0
    expect(states()).toEqual(['ejected', 'unknown', 'unknown', 'unknown'])
    end(1, answered(503))
    expect(changes[0]).toMatch(/^2 unknown ejected/)
    expect(states()[1]).toBe('ejected')
    changes.length = 0
    upstream.lease(left).release(refused)
    time.passAtOnce(1_000)
    expect(changes).toEqual(['0 ejected unknown: was out for 1 s'])
  })

  it('counts one that drains while it is out no more', () => {
    const { end, states, upstream } = ejecting({}, 5)
    end(0, refused)
    end(1, refused)
    end(2, refused)
    expect(states()).toEqual(['ejected', 'ejected', 'unknown', 'unknown', 'unknown'])
    upstream.drain('http://t0')
    end(2, refused)
    expect(states()).toEqual(['draining', 'ejected', 'ejected', 'unknown', 'unknown'])
  })
})

it('lets everybody back when it is disposed, and does nothing more', () => {
  const { changes, end, time, watch } = ejecting({}, 4)
  end(0, refused)
  watch[Symbol.dispose]()
  expect(changes[1]).toBe('0 ejected unknown: ejection was turned off')
  end(1, refused)
  time.passAtOnce(100_000)
  expect(changes).toHaveLength(2)
  expect(time.waiting).toBe(0)
})

it('runs no timer any more when a listener disposes it while it looks at the statistics', () => {
  const { end, states, time, upstream, watch } = ejecting({ failurePercent: { minHosts: 1 } })
  upstream.on('state', ({ to }) => {
    if (to === 'ejected') watch[Symbol.dispose]()
  })
  end(0, answered(500), 50)
  end(1, answered(500), 50)
  time.passAtOnce(10_000)
  expect([states(), time.waiting]).toEqual([['unknown', 'unknown', 'unknown'], 0])
})

it('leaves a target to the others that have ejected it too', () => {
  const { end, states, time, upstream } = ejecting()
  end(0, refused)
  upstream.eject(upstream.all[0] as Target, 'breaker', 'open')
  time.passAtOnce(1_000)
  expect(states()[0]).toBe('ejected')
  upstream.restore(upstream.all[0] as Target, 'breaker', 'closed')
  expect(states()[0]).toBe('unknown')
})

it.each<[unknown, string]>([
  [{ consecutive: -1 }, 'ejection.consecutive'],
  [{ base: 0 }, 'ejection.base'],
  [{ localBase: '0s' }, 'ejection.localBase'],
  [{ base: '10m', max: '5m' }, 'ejection.max: got 300000, takes no less than base and localBase'],
  [{ localBase: '2s', max: '1s' }, 'ejection.max: got 1000, takes no less than base and localBase'],
  [{ interval: 0 }, 'ejection.interval'],
  [{ maxPercent: 101 }, 'ejection.maxPercent'],
  // A share, as other options are.
  [{ maxPercent: 0.5 }, 'ejection.maxPercent: got 0.5, takes a whole number from 0 to 100'],
  [{ successRate: { minHosts: 1 } }, 'ejection.successRate.minHosts'],
  [{ successRate: { factr: 1 } }, 'ejection.successRate.factr: unknown option, did you mean factor?'],
  [{ failurePercent: { threshold: 0 } }, 'ejection.failurePercent.threshold'],
  [{ latency: 'on' }, 'ejection.latency'],
  [{ latency: { over: 'x' } }, 'ejection.latency.over'],
])('refuses %j', (given, says) => {
  const upstream: Upstream = createUpstream({ name: 'x', targets: ['http://a'] })
  expect(() => ejection(upstream, given as never)).toThrow(new TypeError(says).message)
})

describe('a target that loses connects, never many in a row', () => {
  const halfLost = ({ end }: ReturnType<typeof ejecting>, i: number, times: number): void => {
    for (let n = 0; n < times; n++) end(i, n % 2 === 0 ? refused : answered(200))
  }

  it('is out by the part of its requests that lost theirs, for as short a time as lost connects are', () => {
    const one = ejecting({ local: 2 })
    halfLost(one, 0, 20)
    one.end(1, answered(200), 20)
    one.end(1, answered(503), 4)
    one.time.passAtOnce(9_999)
    expect(one.changes).toEqual([])
    one.time.passAtOnce(1)
    expect(one.changes).toEqual(['0 unknown ejected: 50% of its requests lost their connect: out for 1 s'])
    one.time.passAtOnce(1_000)
    expect(one.states()[0]).toBe('unknown')
    // What it did before counts no more.
    one.time.passAtOnce(20_000)
    expect(one.changes).toHaveLength(2)
  })

  it('is out when it stands out among many: connects have a success rate of their own', () => {
    const one = ejecting({ local: 3, localPercent: false }, 6)
    for (let i = 0; i < 6; i++) one.end(i, answered(200), 90)
    halfLost(one, 5, 20)
    for (let i = 0; i < 5; i++) one.end(i, answered(200), 20)
    one.time.passAtOnce(10_000)
    expect(one.changes).toEqual([
      "5 unknown ejected: 90.9% of its requests got a connection, of all targets' 98.5%: out for 1 s",
    ])
  })

  it.each<[string, EjectionOptions, number]>([
    ['where few were made', { local: 2 }, 8],
    ['where it is turned off', { local: 2, localPercent: false }, 40],
    ['where the part is smaller', { local: 2, localPercent: { threshold: 60 } }, 40],
    ['where too few targets can be judged', { local: 2, localPercent: { minHosts: 2 } }, 40],
    ['where lost connects are gateway failures', { local: 0 }, 40],
  ])('stays %s', (_where, options, times) => {
    const one = ejecting(options)
    halfLost(one, 0, times)
    one.time.passAtOnce(30_000)
    expect(one.changes).toEqual([])
  })

  it('is judged by the first of them alone where that is enough', () => {
    const one = ejecting({ base: '1s', maxPercent: 0 })
    halfLost(one, 0, 40)
    one.time.passAtOnce(30_000)
    expect(one.changes).toEqual([])
  })
})
