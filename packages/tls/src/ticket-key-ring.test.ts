import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PassingSecrets } from './passing-secrets.js'
import { TicketKeyRing, type TicketKeySettings } from './ticket-key-ring.js'

const hour = 3_600_000
const secret = Buffer.alloc(32, 1)
const another = Buffer.alloc(32, 2)

function ring(settings: Partial<TicketKeySettings> = {}, policy = ''): TicketKeyRing {
  return new TicketKeyRing({ secrets: [secret], rotate: hour, keep: 2, clock: () => 0, ...settings }, policy)
}

/** Whether what one seals another one opens. */
const opens = (sealer: TicketKeyRing, opener: TicketKeyRing): boolean => {
  const key = sealer.sealing
  const found = opener.opening(key.name)
  return found !== undefined && isDeepStrictEqual(found, key)
}

describe('TicketKeyRing', () => {
  it('opens what the keys of `keep` periods before and of one after have sealed, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 42 }),
        fc.integer({ min: -6, max: 6 }),
        fc.integer({ min: 0, max: 4 }),
        fc.integer({ min: 1, max: 50 * hour }),
        (at, periods, keep, rotate) => {
          const sealer = ring({ clock: () => at, rotate, keep })
          const later = (Math.floor(at / rotate) + periods) * rotate
          const opener = ring({ clock: () => later, rotate, keep })
          expect(opens(sealer, opener)).toBe(periods >= -1 && periods <= keep)
        },
      ),
    )
  })

  it('changes its key at the period’s end, of itself', () => {
    let now = hour - 1
    const keys = ring({ clock: () => now })
    const first = keys.sealing.name
    expect(keys.left).toBe(1)
    now += 1
    expect(keys.sealing.name.equals(first)).toBe(false)
    expect(keys.left).toBe(hour)
    expect(keys.opening(first)).toBeDefined()
    now += 2 * hour
    expect(keys.opening(first)).toBeUndefined()
    // A clock that is put back.
    now = 0
    expect(keys.sealing.name.equals(first)).toBe(true)
  })

  it('seals by the first secret, and opens by all', () => {
    expect(opens(ring(), ring({ secrets: [another, secret] }))).toBe(true)
    expect(opens(ring({ secrets: [another, secret] }), ring())).toBe(false)
    expect(opens(ring({ secrets: [another, secret] }), ring({ secrets: [another] }))).toBe(true)
  })

  it.each([
    ['another policy', ring({}, 'required x')],
    ['another secret', ring({ secrets: [another] })],
    ['another length of periods', ring({ rotate: hour + 1 })],
  ])('opens nothing of %s', (_what, sealer) => {
    expect(opens(sealer, ring())).toBe(false)
    expect(opens(ring(), sealer)).toBe(false)
  })

  it('can not make a random key again once its time is over', () => {
    let now = 0
    const secrets = new PassingSecrets()
    const [keys, other] = ['', 'required'].map((policy) => ring({ secrets, clock: () => now }, policy))
    const first = keys?.sealing.name as Buffer
    const beside = new TicketKeyRing({ secrets, rotate: hour, keep: 2, clock: () => now }, '')
    expect(beside.sealing.name.equals(first)).toBe(true)
    expect(other?.opening(first)).toBeUndefined()
    now = 2 * hour
    expect([keys, beside].map((each) => each?.opening(first) !== undefined)).toEqual([true, true])
    now = 3 * hour
    expect(keys?.opening(first)).toBeUndefined()
    now = 0
    expect(keys?.sealing.name.equals(first)).toBe(false)
    // What one has forgotten the other finds out by itself.
    expect(beside.sealing.name).toHaveLength(16)
  })

  it('knows no other name', () => {
    const keys = ring()
    for (const name of [Buffer.alloc(16), Buffer.alloc(0), keys.sealing.name.subarray(1)])
      expect(keys.opening(name)).toBeUndefined()
  })
})
