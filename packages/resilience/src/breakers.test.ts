import { createUpstream, type Target, type TargetInit } from '@sluice/upstream'
import { expect, it } from 'vitest'
import { type BreakerOptions, breakers } from './index.js'

function made(options: BreakerOptions = {}, targets: TargetInit[] = ['http://a', 'http://b']) {
  const hands = { now: 0, chance: 0 }
  const upstream = createUpstream({ name: 'api', targets }, 'upstream', () => hands.now)
  const timers: { at: number; fn: () => void }[] = []
  const after = (ms: number, fn: () => void): (() => void) => {
    const timer = { at: hands.now + ms, fn }
    timers.push(timer)
    return () => {
      if (timers.includes(timer)) timers.splice(timers.indexOf(timer), 1)
    }
  }
  const settings = { volume: 4, window: 1000, open: 100, jitter: 0, ramp: 0, trials: 2, ...options }
  const all = breakers(upstream, settings, { random: () => hands.chance, after })
  const told: string[] = []
  upstream.on('state', ({ target, from, to, reason }) =>
    told.push(`${target.id} ${from} -> ${to}: ${reason}`),
  )
  const [a, b] = upstream.all as [Target, Target]
  return {
    upstream,
    all,
    hands,
    told,
    timers,
    a,
    b,
    wait(ms: number) {
      hands.now += ms
      for (const timer of timers.filter(({ at }) => at <= hands.now)) {
        timers.splice(timers.indexOf(timer), 1)
        timer.fn()
      }
    },
    fail(target: Target, times = 4) {
      for (let i = 0; i < times; i++) upstream.lease(target).release({ ok: true, status: 500 })
    },
    pass(target: Target, times = 1) {
      for (let i = 0; i < times; i++) upstream.lease(target).release({ ok: true, status: 200, ttfb: 1 })
    },
  }
}

it('ejects a target while its breaker is open, lets trials through, and gives it back', () => {
  const { upstream, all, told, a, b, wait, fail, pass } = made()
  fail(a)
  expect(upstream.available).toEqual([b])
  expect([all.stateOf(a), all.stateOf(b)]).toEqual(['open', 'closed'])
  wait(99)
  expect(a.state).toBe('ejected')
  wait(1)
  expect(a.state).toBe('unknown')
  const trials = [upstream.lease(a), upstream.lease(a)]
  expect([upstream.admits(a), upstream.admits(b)]).toEqual([false, true])
  // A client that left gives its place back.
  trials[0]?.release()
  expect(upstream.admits(a)).toBe(true)
  trials[1]?.release({ ok: true, status: 200 })
  expect(all.stateOf(a)).toBe('half-open')
  pass(a)
  expect(all.stateOf(a)).toBe('closed')
  expect(told).toEqual([
    'http://a unknown -> ejected: breaker open: 4 of 4 calls failed',
    'http://a ejected -> unknown: breaker half-open: open for 100 ms',
  ])
})

it('a trial that fails takes it out again, for longer', () => {
  const { all, a, wait, fail } = made()
  fail(a)
  wait(100)
  fail(a, 1)
  wait(199)
  expect([all.stateOf(a), a.state]).toEqual(['open', 'ejected'])
  wait(1)
  expect([all.stateOf(a), a.state]).toEqual(['half-open', 'unknown'])
})

it('what is still in flight from before takes no place of the trials', () => {
  const { upstream, all, a, wait, fail, pass } = made()
  const long = [upstream.lease(a), upstream.lease(a), upstream.lease(a)]
  fail(a)
  wait(100)
  expect(upstream.admits(a)).toBe(true)
  const trial = upstream.lease(a)
  expect(upstream.admits(a)).toBe(true)
  const second = upstream.lease(a)
  expect(upstream.admits(a)).toBe(false)
  for (const lease of [...long, trial, second]) lease.release()
  expect(upstream.admits(a)).toBe(true)
  pass(a, 2)
  expect(all.stateOf(a)).toBe('closed')
})

it('lets a growing share through, with one answer for each millisecond', () => {
  const { upstream, hands, a, wait, fail, pass } = made({ ramp: 100, trials: 1 })
  fail(a)
  wait(100)
  pass(a)
  const let1 = (ms: number): number => {
    let count = 0
    for (let i = 0; i < ms; i++) {
      hands.now += 1
      // Chance in equal steps: the part that is let through is the share itself.
      hands.chance = (i % 10) / 10
      const first = upstream.admits(a)
      hands.chance = 1 - hands.chance
      expect(upstream.admits(a)).toBe(first)
      if (first) count++
    }
    return count
  }
  const parts = [let1(20), let1(20), let1(20), let1(20), let1(20)]
  expect(parts).toEqual([...parts].sort((x, y) => x - y))
  expect(parts[0]).toBeLessThan(6)
  expect(parts[4]).toBeGreaterThan(16)
  expect(let1(50)).toBe(50)
})

it('holds in panic: with every breaker open nobody is let through', () => {
  const { upstream, a, b, fail, pass, wait } = made({ trials: 1, ramp: 100 })
  fail(a)
  wait(30)
  fail(b)
  expect(upstream.panicking).toBe(true)
  expect([upstream.admits(a), upstream.admits(b)]).toEqual([false, false])
  // The first opens in 70 ms, and then nobody knows how long its trial takes.
  expect(upstream.opensIn()).toBe(70)
  wait(70)
  const trial = upstream.lease(a)
  expect(upstream.opensIn()).toBeUndefined()
  trial.release({ ok: true, status: 500 })
  expect(upstream.opensIn()).toBe(30)
  wait(30)
  pass(b)
  wait(1)
  // In the ramp any call may be one of those that are let through.
  expect([upstream.admits(b), upstream.opensIn()]).toEqual([true, 0])
})

it('in panic lets others have all, however unfit, one half-open its trials, and in the ramp its share', () => {
  const { upstream, hands, a, b, wait, fail, pass } = made({ ramp: 100 })
  fail(a)
  upstream.mark(b, 'unhealthy', 'probe')
  expect([upstream.panicking, upstream.available]).toEqual([true, [a, b]])
  expect([upstream.admits(a), upstream.admits(b)]).toEqual([false, true])
  wait(100)
  // One that is half-open is fit again, and panic is over unless somebody else has it out too.
  upstream.eject(a, 'ejection', 'slow')
  expect([upstream.panicking, upstream.admits(a)]).toEqual([true, true])
  const trials = [upstream.lease(a), upstream.lease(a)]
  expect(upstream.admits(a)).toBe(false)
  for (const trial of trials) trial.release()
  pass(a, 2)
  hands.now += 50
  hands.chance = 0.51
  expect([upstream.panicking, upstream.admits(a)]).toEqual([true, false])
  hands.now += 1
  hands.chance = 0.5
  expect(upstream.admits(a)).toBe(true)
})

it('counts neither what clients gave up, nor a target of another list', () => {
  const { upstream, all, a } = made()
  for (let i = 0; i < 50; i++) upstream.lease(a).release()
  expect(all.stateOf(a)).toBe('closed')
  upstream.replace(['http://b'])
  for (let i = 0; i < 50; i++) upstream.lease(a).release({ ok: false, error: new Error('x') })
  expect(all.stateOf(a)).toBeUndefined()
})

it('keeps the breaker of a target that stays, and forgets one that goes', () => {
  const { upstream, all, a, timers, fail } = made()
  fail(a)
  upstream.replace(['http://a', 'http://c'])
  expect([all.stateOf(a), a.state]).toEqual(['open', 'ejected'])
  upstream.replace(['http://c'])
  expect(timers).toEqual([])
  upstream.replace(['http://a', 'http://c'])
  expect(all.stateOf(upstream.all[0] as Target)).toBe('closed')
})

it('disposed of, gives all back and holds no timer', () => {
  const { upstream, all, a, b, timers, told, fail } = made()
  fail(a)
  all[Symbol.dispose]()
  expect([upstream.available, upstream.gated, timers]).toEqual([[a, b], false, []])
  expect(told.at(-1)).toBe('http://a ejected -> unknown: breakers are off')
  fail(a)
  expect(a.state).toBe('unknown')
})

it('a slow target is out by the time to its head, and errors count apart', () => {
  const one = made({ failures: false, latency: { over: 50 } })
  for (let i = 0; i < 4; i++) one.upstream.lease(one.a).release({ ok: true, status: 200, ttfb: 51 })
  expect(one.told).toEqual(['http://a unknown -> ejected: breaker open: 4 of 4 calls took more than 50 ms'])
  const two = made({ failures: false, network: 0.5 })
  two.fail(two.a, 10)
  expect(two.a.state).toBe('unknown')
  for (let i = 0; i < 10; i++) two.upstream.lease(two.a).release({ ok: false, error: new Error('x') })
  expect(two.a.state).toBe('ejected')
})

it('holds no fault of who calls against a target', () => {
  const { upstream, a, b } = made()
  const bug = Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' })
  for (let i = 0; i < 4; i++) {
    upstream.lease(a).release({ ok: false, error: bug })
    upstream.lease(a).release({ ok: false, error: new DOMException('off', 'AbortError') })
    upstream.lease(b).release({ ok: false, error: new Error('a word of its own') })
  }
  expect([a.state, b.state]).toEqual(['unknown', 'ejected'])
})

it('judges a trial by the head of its answer: what flows behind it for hours holds no place', () => {
  const { upstream, all, a, wait, fail } = made()
  fail(a)
  wait(100)
  const stream = upstream.lease(a)
  const tunnel = upstream.lease(a)
  expect(upstream.admits(a)).toBe(false)
  stream.answered(200, 1)
  // One has passed, one is out.
  expect([all.stateOf(a), upstream.admits(a)]).toEqual(['half-open', false])
  tunnel.answered(101, 1, true)
  expect([all.stateOf(a), upstream.admits(a)]).toEqual(['closed', true])
  // Their ends are those of trials of before.
  for (const each of [stream, tunnel]) each.release({ ok: false, error: new Error('cut') })
  fail(a, 3)
  expect(all.stateOf(a)).toBe('closed')
})

it('counts a trial once, and one whose body breaks in the meantime as failed', () => {
  const { upstream, all, a, wait, fail } = made()
  fail(a)
  wait(100)
  const whole = upstream.lease(a)
  whole.answered(200, 1)
  whole.release({ ok: true, status: 200, ttfb: 1 })
  expect([all.stateOf(a), upstream.admits(a)]).toEqual(['half-open', true])
  const broken = upstream.lease(a)
  expect(upstream.admits(a)).toBe(false)
  broken.release({ ok: false, error: new Error('cut') })
  expect(all.stateOf(a)).toBe('open')
  wait(200)
  const cut = upstream.lease(a)
  cut.answered(200, 1)
  cut.release({ ok: false, error: new Error('cut') })
  expect(all.stateOf(a)).toBe('open')
  wait(400)
  const failed = upstream.lease(a)
  failed.answered(500, 1)
  expect(all.stateOf(a)).toBe('open')
})

it('what began before it was half-open takes no place of trials, whether its head comes before or after', () => {
  const { upstream, all, a, wait, fail } = made()
  const [flows, waits] = [upstream.lease(a), upstream.lease(a)]
  fail(a)
  flows.answered(200, 1)
  wait(100)
  expect([all.stateOf(a), upstream.admits(a)]).toEqual(['half-open', true])
  upstream.lease(a)
  waits.answered(500, 1)
  expect([all.stateOf(a), upstream.admits(a)]).toEqual(['half-open', true])
  for (const each of [flows, waits]) each.release({ ok: false, error: new Error('cut') })
  expect([all.stateOf(a), upstream.admits(a)]).toEqual(['half-open', true])
  upstream.lease(a)
  expect(upstream.admits(a)).toBe(false)
})
