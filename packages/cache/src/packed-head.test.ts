import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryHead } from '../../../test/kit/store-entries.js'
import { FieldTable } from './field-table.js'
import { packedId, packedPurged, packHead, unpackHead } from './packed-head.js'
import type { EntryHead } from './store.js'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', 'a', 'text/plain', 'x'.repeat(254), 'x'.repeat(255), 'x'.repeat(70_000)),
)
/** Whole ms: of a fraction the last digits may be lost. */
const time = fc.oneof(fc.nat(), fc.constant(1_700_000_000_000), fc.maxSafeNat())
const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined })
const head: fc.Arbitrary<EntryHead> = fc
  .record({
    id: text,
    primary: fc.oneof(text, fc.constant('key')),
    url: text,
    tags: fc.array(text, { maxLength: 3 }),
    status: fc.constantFrom(0, 200, 599),
    headers: fc
      .array(fc.tuple(fc.oneof(text, fc.constantFrom('Date', 'date', 'Server')), text), { maxLength: 12 })
      .map((fields) => fields.flat()),
    requestTime: time,
    responseTime: time,
    keepUntil: time,
    length: optional(fc.nat()),
    part: optional(fc.record({ first: fc.nat(), last: fc.nat() }, { noNullPrototype: true })),
    purged: optional(fc.constant(true as const)),
    vary: optional(fc.array(text, { maxLength: 3 })),
    variants: optional(fc.array(text, { maxLength: 3 })),
  })
  .map((each) => Object.fromEntries(Object.entries(each).filter(([, value]) => value !== undefined)) as never)

const since = 1_690_000_000_000

describe('packHead()', () => {
  it('loses nothing', () => {
    // One for all, so that names and values are known, and run out.
    const table = new FieldTable()
    fc.assert(
      fc.property(head, (head) => {
        const packed = packHead(head, 'key', table, since)
        expect(unpackHead(packed, 'key', head.url, head.tags, table, since)).toStrictEqual(head)
        expect(packedId(packed)).toBe(head.id)
        const purged = packedPurged(packed)
        expect(unpackHead(purged, 'key', head.url, head.tags, table, since)).toStrictEqual({
          ...head,
          purged: true,
        })
        expect(packedPurged(purged)).toBe(purged)
      }),
      { numRuns: 200 },
    )
  })

  it('writes names and values short that come again', () => {
    const table = new FieldTable()
    const policy = `default-src ${'https://a.example '.repeat(30)}`
    const packed = Array.from({ length: 1_000 }, (_, i) => {
      const one = entryHead({ headers: ['Content-Security-Policy', policy, 'ETag', `"${i}"`] })
      return { one, packed: packHead(one, one.primary, table, since) }
    })
    for (const { one, packed: text } of packed)
      expect(unpackHead(text, one.primary, one.url, one.tags, table, since)).toEqual(one)
    expect(packed.at(-1)?.packed.length).toBeLessThan(80)
  })

  it('goes on without more of them when it knows many', () => {
    const table = new FieldTable()
    for (let i = 0; i < 1_000; i++) {
      const one = entryHead({ headers: [`X-${i}`, 'v', 'X-Same', `${i}`, 'X-Long', 'x'.repeat(9_000)] })
      expect(unpackHead(packHead(one, 'k', table, since), 'k', one.url, one.tags, table, since)).toEqual(one)
    }
  })
})
