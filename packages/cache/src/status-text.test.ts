import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Decision } from './decision.js'
import { StatusText } from './status-text.js'

const sometimes = <T>(...values: T[]) => fc.constantFrom(undefined, ...values)
const decision: fc.Arbitrary<Decision> = fc.record({
  hit: fc.boolean(),
  forwarded: sometimes('uri-miss' as const, 'stale' as const),
  forwardedStatus: sometimes(200, 404),
  stored: sometimes(true),
  collapsed: sometimes(true),
  ttl: sometimes(0, 60),
  detail: sometimes('private', 'error'),
})

it('tells of each decision, whatever was told before', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(decision, sometimes('http://a/'))), (told) => {
      const text = new StatusText('name')
      for (const [one, key] of told) expect(text.of(one, key)).toBe(new StatusText('name').of(one, key))
    }),
    { numRuns: 1000 },
  )
})
