import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Life } from './life.js'
import { noDirectives, type RequestDirectives } from './request-directives.js'
import { mayServeOnError, reuse } from './reuse.js'

const born = 1_000_000
/** Fresh for 100 s. */
const plain: Life = {
  bornAt: born,
  freshFor: 100_000,
  staleWhileRevalidate: 0,
  staleIfError: 0,
  staleIfDisconnected: 0,
  revalidate: 'no',
  immutable: false,
  by: 'max-age',
  hasValidator: false,
  purged: false,
}

type Ask = Partial<RequestDirectives>

describe('reuse', () => {
  const of = (age: number, life: Partial<Life> = {}, ask: Ask = {}) => {
    const { use, why } = reuse({ ...plain, ...life }, { ...noDirectives, ...ask }, born + age * 1000)
    return why === undefined ? use : `${use}: ${why}`
  }
  const swr = { staleWhileRevalidate: 10_000 }

  it.each<[string, number, Partial<Life>, Ask, string]>([
    ['young', 0, {}, {}, 'fresh'],
    ['the last moment', 99.999, {}, {}, 'fresh'],
    ['as old as it may be fresh', 100, {}, {}, 'validate: stale'],
    ['a clock that went back', -50, {}, {}, 'fresh'],
    ['never fresh', 0, { freshFor: 0 }, {}, 'validate: stale'],
    ['purged', 0, { purged: true }, {}, 'validate: purged'],
    ['no-cache', 0, { revalidate: 'always' }, {}, 'validate: no-cache'],
    [
      'no-cache, whatever the request allows',
      0,
      { revalidate: 'always' },
      { maxStale: 99 },
      'validate: no-cache',
    ],
    ['must-revalidate, fresh', 0, { revalidate: 'when-stale' }, {}, 'fresh'],
    ['must-revalidate, stale', 100, { revalidate: 'when-stale' }, { maxStale: 99 }, 'validate: stale'],

    ['request no-cache', 0, {}, { noCache: true }, 'validate: request'],
    ['request no-cache, immutable', 0, { immutable: true }, { noCache: true }, 'validate: request'],
    ['max-age=0', 0, {}, { maxAge: 0 }, 'validate: request'],
    ['max-age=0, immutable', 50, { immutable: true }, { maxAge: 0 }, 'fresh'],
    ['max-age=0, immutable but stale', 100, { immutable: true }, { maxAge: 0 }, 'validate: request'],
    [
      'max-age=0, immutable but purged',
      50,
      { immutable: true, purged: true },
      { maxAge: 0 },
      'validate: request',
    ],
    ['max-age as old', 50, {}, { maxAge: 50 }, 'fresh'],
    ['max-age, older', 50.001, {}, { maxAge: 50 }, 'validate: request'],
    ['max-age above, but stale', 100, {}, { maxAge: 200 }, 'validate: stale'],
    ['min-fresh, long enough', 50, {}, { minFresh: 50 }, 'fresh'],
    ['min-fresh, not long enough', 50.001, {}, { minFresh: 50 }, 'validate: request'],
    ['max-stale', 150, {}, { maxStale: 50 }, 'stale: stale'],
    ['max-stale, too long', 150.001, {}, { maxStale: 50 }, 'validate: stale'],
    ['max-stale without end', 1e6, {}, { maxStale: Number.POSITIVE_INFINITY }, 'stale: stale'],
    ['max-stale and max-age', 150, {}, { maxStale: 50, maxAge: 149 }, 'validate: request'],
    ['max-stale and min-fresh', 150, {}, { maxStale: 50, minFresh: 0 }, 'validate: request'],
    ['max-stale, purged', 50, { purged: true }, { maxStale: 50 }, 'validate: purged'],

    ['in the window', 109, swr, {}, 'stale-while-revalidate: stale'],
    ['after the window', 110, swr, {}, 'validate: stale'],
    ['in the window, purged', 50, { ...swr, purged: true }, {}, 'stale-while-revalidate: purged'],
    ['after the window, purged', 110, { ...swr, purged: true }, {}, 'validate: purged'],
    [
      'in the window, where that is forbidden',
      109,
      { ...swr, revalidate: 'when-stale' },
      {},
      'validate: stale',
    ],
    ['in the window, max-age', 109, swr, { maxAge: 200 }, 'validate: stale'],
    ['in the window, max-stale', 109, swr, { maxStale: 9 }, 'stale: stale'],
  ])('%s', (_name, age, life, ask, expected) => {
    expect(of(age, life, ask)).toBe(expected)
  })

  const ask = fc.record({
    noCache: fc.boolean(),
    noStore: fc.boolean(),
    onlyIfCached: fc.boolean(),
    maxAge: fc.option(fc.nat(300), { nil: undefined }),
    minFresh: fc.option(fc.nat(300), { nil: undefined }),
    maxStale: fc.option(fc.nat(300), { nil: undefined }),
    staleIfError: fc.option(fc.nat(300), { nil: undefined }),
  })
  const life: fc.Arbitrary<Life> = fc.record({
    bornAt: fc.constant(born),
    freshFor: fc.nat(200_000),
    staleWhileRevalidate: fc.nat(100_000),
    staleIfDisconnected: fc.constant(0),
    staleIfError: fc.nat(100_000),
    revalidate: fc.constantFrom('always', 'when-stale', 'no'),
    immutable: fc.boolean(),
    by: fc.constant('max-age'),
    hasValidator: fc.boolean(),
    purged: fc.boolean(),
  })
  const time = fc.integer({ min: born - 1000, max: born + 500_000 })

  it('gets no better with time', () => {
    const order = ['fresh', 'stale', 'stale-while-revalidate', 'validate']
    fc.assert(
      fc.property(life, ask, time, time, (life, ask, a, b) => {
        const rank = (now: number) => order.indexOf(reuse(life, ask, now).use)
        expect(rank(Math.min(a, b))).toBeLessThanOrEqual(rank(Math.max(a, b)))
        const served = (now: number) => mayServeOnError(life, ask, now)
        if (served(Math.max(a, b))) expect(served(Math.min(a, b))).toBe(true)
      }),
    )
  })

  it('serves nothing stale where that is forbidden, and nothing unasked where no-cache stands', () => {
    fc.assert(
      fc.property(life, ask, time, fc.boolean(), (life, ask, now, gone) => {
        const { use } = reuse(life, ask, now)
        const onError = mayServeOnError(life, ask, now, gone)
        if (life.revalidate === 'always' || ask.noCache) expect([use, onError]).toEqual(['validate', false])
        const fresh = Math.max(0, now - born) < life.freshFor && !life.purged
        if (life.revalidate !== 'no' && !fresh) expect([use, onError]).toEqual(['validate', false])
        if (use === 'fresh') expect(fresh).toBe(true)
      }),
    )
  })

  it('makes no objects', () => {
    fc.assert(
      fc.property(life, ask, time, (life, ask, now) => {
        expect(reuse(life, ask, now)).toBe(reuse(life, ask, now))
        expect(Object.isFrozen(reuse(life, ask, now))).toBe(true)
      }),
    )
  })
})

describe('mayServeOnError', () => {
  const of = (age: number, life: Partial<Life>, ask: Ask = {}, disconnected?: boolean) =>
    mayServeOnError({ ...plain, ...life }, { ...noDirectives, ...ask }, born + age * 1000, disconnected)
  const sie = { staleIfError: 10_000 }

  it.each<[string, number, Partial<Life>, Ask, boolean, boolean]>([
    ['a fresh one, of which the request wanted a newer', 50, {}, { maxAge: 0 }, false, true],
    ['a fresh one that must be fresh', 50, { revalidate: 'when-stale' }, { maxAge: 0 }, false, true],
    ['in the window', 109, sie, {}, false, true],
    ['after the window', 110, sie, {}, false, false],
    ['no window', 100, {}, {}, false, false],
    ['in the window of the request', 109, {}, { staleIfError: 10 }, false, true],
    ['after the window of the request', 110, {}, { staleIfError: 10 }, false, false],
    ['in the window, whatever ages the request wants', 109, sie, { maxAge: 0, minFresh: 5 }, false, true],
    ['in the window, but the request wants it validated', 109, sie, { noCache: true }, false, false],
    ['must-revalidate', 109, { ...sie, revalidate: 'when-stale' }, { staleIfError: 99 }, true, false],
    ['no-cache', 0, { ...sie, revalidate: 'always' }, {}, true, false],
    ['purged, in the window', 50, { ...sie, purged: true }, {}, false, true],
    ['purged, no window', 50, { purged: true }, {}, false, false],
    ['disconnected, in the window of that', 3699, { staleIfDisconnected: 3_600_000 }, {}, true, true],
    ['disconnected, after it', 3700, { staleIfDisconnected: 3_600_000 }, {}, true, false],
    ['disconnected, but the request wants it validated', 1e6, {}, { noCache: true }, true, false],
  ])('%s', (_name, age, life, ask, disconnected, expected) => {
    expect(of(age, life, ask, disconnected)).toBe(expected)
  })
})
