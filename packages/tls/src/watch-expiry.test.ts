import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import {
  type CertificateExpiry,
  type CertificateInfo,
  type WatchExpiryOptions,
  watchExpiry,
} from './index.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')
const hour = 3_600_000

/** A certificate for 90 days unless told otherwise. */
function info(name: string, notAfter: number, days = 90): CertificateInfo {
  const notBefore = notAfter - days * 24 * hour
  return {
    names: [`${name}.test`],
    notBefore,
    notAfter,
    keyType: 'rsa',
    fingerprint: name,
    where: `${name}.pem`,
  }
}

function watching(first: readonly CertificateInfo[], options: WatchExpiryOptions = {}) {
  const time = fakeTime()
  const told: CertificateExpiry[] = []
  const watchers = new Set<() => void>()
  let infos = first
  const holder = {
    infos: () => infos,
    watch(changed: () => void) {
      watchers.add(changed)
      return { [Symbol.dispose]: () => void watchers.delete(changed) }
    },
  }
  const after = (ms: number, fn: () => void) => {
    const timer = time.timers.set(fn, ms)
    return () => time.timers.clear(timer)
  }
  const onExpiry = (expiry: CertificateExpiry): void => void told.push(expiry)
  const watch = watchExpiry(holder, { onExpiry, ...options }, 'expiry', { now: time.now, after })
  own({ close: () => watch[Symbol.dispose]() })
  return {
    time,
    watch,
    watchers,
    set(next: readonly CertificateInfo[]) {
      infos = next
      for (const changed of [...watchers]) changed()
    },
    /** What was told since the last call: `a 72` for 72 hours left. */
    get news(): string[] {
      return told
        .splice(0)
        .map(({ kind, info, chainEnd, left }) => `${(chainEnd ?? info).fingerprint} ${kind} ${left / hour}`)
    },
  }
}

describe('a certificate that expires', () => {
  it('is told of two weeks, three days and a day before, and then that it has', () => {
    const rest = watching([info('a', 400 * hour)])
    const news = [rest.news]
    for (const ms of [63, 1, 263, 1, 47, 1, 23, 1, 5_000]) {
      rest.time.passAtOnce(ms * hour)
      news.push(rest.news)
    }
    expect(news).toEqual([
      [],
      [],
      ['a expiring 336'],
      [],
      ['a expiring 72'],
      [],
      ['a expiring 24'],
      [],
      ['a expired 0'],
      [],
    ])
  })

  it('is told of once, by the shortest time that fits, where it is found late', () => {
    const late = watching([info('a', 30 * hour), info('b', -hour), info('a', 30 * hour)])
    expect(late.news).toEqual(['a expiring 30', 'b expired -1'])
    late.set([info('a', 30 * hour), info('c', 10 * hour)])
    expect(late.news).toEqual(['c expiring 10'])
  })

  it('is told of no more where it is replaced in time, and again where it comes back', () => {
    const rest = watching([info('a', 100 * hour)])
    expect(rest.news).toEqual(['a expiring 100'])
    rest.set([info('b', 1_000 * hour)])
    rest.time.passAtOnce(99 * hour)
    expect(rest.news).toEqual([])
    rest.set([info('a', 100 * hour)])
    expect(rest.news).toEqual(['a expiring 1'])
  })

  it('for a short life is not told of at once', () => {
    const rest = watching([info('a', 144 * hour, 6)])
    expect(rest.news).toEqual([])
    rest.time.passAtOnce(144 * hour)
    expect(rest.news).toEqual(['a expiring 24', 'a expired 0'])
  })

  it('is told of by times of one’s own, and with none when it has expired', () => {
    const rest = watching([info('a', 100 * hour)], { warn: ['1h', 7_200_000] })
    rest.time.passAtOnce(200 * hour)
    expect(rest.news).toEqual(['a expiring 2', 'a expiring 1', 'a expired 0'])
    const none = watching([info('a', 100 * hour)], { warn: [] })
    none.time.passAtOnce(200 * hour)
    expect(none.news).toEqual(['a expired 0'])
  })

  it('is told of by that of its chain which ends before, too, once for all who have it', () => {
    const chainEnd = {
      what: 'certificate 3 of 3 (CN=Old)',
      notBefore: -9_000 * hour,
      notAfter: 80 * hour,
      fingerprint: 'old',
    }
    const [a, b] = ['a', 'b'].map((name) => ({ ...info(name, 400 * hour), chainEnd })) as [
      CertificateInfo,
      CertificateInfo,
    ]
    const rest = watching([a, b])
    expect(rest.news).toEqual(['old expiring 80'])
    rest.time.passAtOnce(80 * hour)
    expect(rest.news).toEqual([
      'old expiring 72',
      'old expiring 24',
      'a expiring 336',
      'b expiring 336',
      'old expired 0',
    ])
  })

  it('is noticed after a sleep, and nobody waits for a timer of before', () => {
    const rest = watching([info('a', 500 * hour)])
    rest.time.sleep(430 * hour)
    expect(rest.news).toEqual(['a expiring 70'])
  })
})

it('says it in words, and on sluice:tls:certificate', () => {
  const seen: unknown[] = []
  const note = (message: unknown): void => void seen.push(message)
  subscribe('sluice:tls:certificate', note)
  own({ close: () => void unsubscribe('sluice:tls:certificate', note) })
  watching([info('a', 30 * hour), info('b', -hour)])
  expect(seen).toMatchObject([
    { kind: 'expiring', where: 'a.pem', left: 30 * hour },
    { kind: 'expired', where: 'b.pem', info: { names: ['b.test'] } },
  ])
})

it('says it as a warning of the process', async () => {
  const chainEnd = {
    what: 'certificate 2 of 2 (CN=Old)',
    notBefore: -900 * hour,
    notAfter: hour,
    fingerprint: 'x',
  }
  watching([info('a', 30 * hour), info('b', -hour), { ...info('c', 900 * hour), chainEnd }], {
    onExpiry() {
      throw new Error('mine')
    },
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(warnings).toEqual([
    'the certificate of a.pem (a.test) expires at 1970-01-02T06:00:00.000Z, in 30 h',
    'onExpiry threw: mine',
    'the certificate of b.pem (b.test) has expired at 1969-12-31T23:00:00.000Z',
    'onExpiry threw: mine',
    'certificate 2 of 2 (CN=Old) of c.pem (c.test) expires at 1970-01-01T01:00:00.000Z, in 1 h',
    'onExpiry threw: mine',
  ])
})

it('tells of a function that rejects', async () => {
  watching([info('b', -hour)], { onExpiry: () => Promise.reject(new Error('mine')) as never })
  await new Promise((resolve) => setImmediate(resolve))
  expect(warnings).toContain('onExpiry threw: mine')
})

it('tells once of what has it look again in the middle of that', () => {
  const heard: string[] = []
  const rest = watching([], {
    onExpiry({ info: { fingerprint } }) {
      heard.push(fingerprint)
      rest.set([info('a', 30 * hour), info('b', 20 * hour)])
    },
  })
  rest.set([info('a', 30 * hour), info('b', 20 * hour)])
  expect(heard).toEqual(['a', 'b'])
  expect(rest.time.waiting).toBe(1)
})

it('stays disposed of when that was done by whom it told', () => {
  const heard: string[] = []
  const rest = watching([], {
    onExpiry({ info: { fingerprint } }) {
      heard.push(fingerprint)
      rest.watch[Symbol.dispose]()
    },
  })
  rest.set([info('a', 30 * hour), info('b', 20 * hour)])
  expect(heard).toEqual(['a'])
  expect(rest.time.waiting).toBe(0)
})

it('leaves no timer and no watcher when disposed of', () => {
  const { watch, time, watchers } = watching([info('a', 30 * hour)])
  expect([time.waiting, watchers.size]).toEqual([1, 1])
  watch[Symbol.dispose]()
  expect([time.waiting, watchers.size]).toEqual([0, 0])
})

it('tells of each time before the end once, whatever the certificates and however time passes', () => {
  const pauses = fc.array(fc.nat(400), { maxLength: 20 })
  const ends = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(ends, pauses, (hours, steps) => {
      const rest = watching(hours.map((each, i) => info(`${i}`, (each + 400) * hour)))
      for (const step of steps) rest.time.passAtOnce(step * hour)
      const passed = steps.reduce((sum, each) => sum + each, 0)
      const due = hours.flatMap((each, i) =>
        [336, 72, 24, 0]
          .filter((before) => each + 400 - before <= passed)
          .map((before) => `${i} ${before === 0 ? 'expired' : 'expiring'} ${before}`),
      )
      expect(rest.news.sort()).toEqual(due.sort())
      rest.watch[Symbol.dispose]()
    }),
  )
})

it.each<[unknown, string]>([
  [{ warn: ['1d'] }, 'expiry.warn[0]: got '],
  [{ warn: 7 }, 'expiry.warn: got 7'],
  [{ onExpiry: 'x' }, "expiry.onExpiry: got 'x', takes a function"],
  [{ when: 1 }, 'expiry.when: unknown option'],
])('refuses %j', (options, says) => {
  expect(() => watching([], options as never)).toThrow(says)
})
