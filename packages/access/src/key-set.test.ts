import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeySet, type Keys } from './key-set.js'

const settings = { refresh: 600, keep: 3_600, cooldown: 30 }
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A set whose fetches end when the test says so, by a clock in seconds. */
function rig() {
  const state = { now: 1_000_000, fetches: [] as { at: number; end(ok: boolean): void }[], serial: 0 }
  const set = new KeySet({
    refresh: settings.refresh * 1_000,
    keep: settings.keep * 1_000,
    cooldown: settings.cooldown * 1_000,
    now: () => state.now * 1_000,
    load: () =>
      new Promise<Keys>((resolve, reject) => {
        const keys = { serial: ++state.serial } as unknown as Keys
        state.fetches.push({ at: state.now, end: (ok) => (ok ? resolve(keys) : reject(new Error('away'))) })
      }),
  })
  return { set, state }
}

describe('keys of an issuer', () => {
  it('are fetched once for all who wait', async () => {
    const { set, state } = rig()
    const waiting = [set.get(), set.get(), set.get()]
    expect(state.fetches).toHaveLength(1)
    state.fetches[0]?.end(true)
    const [one, two, three] = await Promise.all(waiting)
    expect(one).toBeDefined()
    expect([two, three]).toEqual([one, one])
    expect(set.get()).toBe(one)
  })

  it('are asked for sooner behind a failure, and each time later', async () => {
    const { set, state } = rig()
    const tries: number[] = []
    for (const from = state.now; state.now < from + 200; state.now++) {
      const got = set.get()
      if (state.fetches.length > tries.length) {
        tries.push(state.now - from)
        state.fetches.at(-1)?.end(false)
      }
      expect(await got).toBeUndefined()
    }
    expect(tries).toEqual([0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181])
  })

  it('of a clock that was set back are old, and fetched again', async () => {
    const { set, state } = rig()
    const first = set.get()
    state.fetches[0]?.end(true)
    await first
    state.now -= 5_000
    const again = set.get()
    expect(again).toBeInstanceOf(Promise)
    expect(state.fetches).toHaveLength(2)
    state.fetches[1]?.end(true)
    expect(await again).toMatchObject({ serial: 2 })
  })

  it('are fetched behind requests before they are old, and nobody waits for an issuer that is away', async () => {
    const { set, state } = rig()
    const first = set.get()
    state.fetches[0]?.end(true)
    const keys = await first
    state.now += 449
    expect(set.get()).toBe(keys)
    expect(state.fetches).toHaveLength(1)
    state.now += 1
    expect(set.get()).toBe(keys)
    expect(state.fetches).toHaveLength(2)
    state.fetches[1]?.end(false)
    await settle()
    for (const from = state.now; state.now < from + 3_149; state.now++) {
      const before = state.fetches.length
      expect(set.get()).toBe(keys)
      if (state.fetches.length === before) continue
      state.fetches.at(-1)?.end(false)
      await settle()
    }
    state.now++
    expect(set.get()).toBeInstanceOf(Promise)
  })

  it.each([0, 449])(
    'that are old are fetched first where nobody has looked for a while: %i s before',
    async (failed) => {
      const { set, state } = rig()
      const first = set.get()
      state.fetches[0]?.end(true)
      const keys = await first
      if (failed > 0) {
        state.now += 450
        expect(set.get()).toBe(keys)
        state.fetches[1]?.end(false)
        await settle()
      }
      state.now += 700
      const waiting = [set.get(), set.get()]
      for (const each of waiting) expect(each).toBeInstanceOf(Promise)
      const next = state.fetches.at(-1)
      next?.end(true)
      for (const each of await Promise.all(waiting)) expect(each).not.toBe(keys)
      // And serve where they can't be.
      state.now += 700
      const again = set.get()
      state.fetches.at(-1)?.end(false)
      expect(await again).toBe(await waiting[0])
      expect(set.get()).toBe(await waiting[0])
    },
  )

  it('go by their model: never older than they may be, never fetched more often than they may be', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('pass' as const), by: fc.integer({ min: 1, max: 1_500 }) }),
      fc.record({ kind: fc.constantFrom('get' as const, 'others' as const), ok: fc.boolean() }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { set, state } = rig()
        const loadedAt = new Map<unknown, number>()
        let last: Keys | undefined
        let failedAt = Number.NEGATIVE_INFINITY
        const end = async (ok: boolean): Promise<void> => {
          if (!ok) failedAt = state.now
          const fetch = state.fetches.at(-1)
          if (fetch !== undefined) fetch.end(ok)
          await settle()
        }
        for (const each of steps) {
          if (each.kind === 'pass') {
            state.now += each.by
            continue
          }
          const before = state.fetches.length
          const got = each.kind === 'get' ? set.get() : last === undefined ? set.get() : set.others(last)
          if (state.fetches.length > before) await end(each.ok)
          const keys = await got
          if (typeof keys === 'function' || (typeof keys === 'object' && keys !== null)) {
            if (!loadedAt.has(keys)) loadedAt.set(keys, state.now)
            if (each.kind === 'get') {
              const age = state.now - (loadedAt.get(keys) as number)
              expect(age).toBeLessThan(settings.keep)
              // Old ones serve only where the issuer was away lately.
              if (age >= settings.refresh)
                expect(state.now - failedAt).toBeLessThan(settings.refresh + settings.cooldown)
            }
            last = keys as Keys
          }
        }
        const ats = state.fetches.map(({ at }) => at)
        for (let i = 1; i < ats.length; i++)
          expect((ats[i] as number) - (ats[i - 1] as number)).toBeGreaterThanOrEqual(1)
        // However it went, in any five minutes.
        for (const from of ats)
          expect(ats.filter((at) => at >= from && at < from + 300).length).toBeLessThanOrEqual(15)
      }),
      { numRuns: 300 },
    )
  })
})
