import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { Takers } from './takers.js'

const step = fc.oneof(
  fc.record({
    do: fc.constant('heard' as const),
    accept: fc.constantFrom(
      undefined,
      'gzip',
      'br, x-gzip',
      '*',
      '',
      'gzip;q=0',
      'identity',
      'br',
      'gzip;q=x',
      ',',
    ),
  }),
  fc.record({ do: fc.constant('refused' as const) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 59_999, 60_000, 3_600_000) }),
)

const names = (accept: string): boolean => ['gzip', 'br, x-gzip', '*'].includes(accept)

describe.each([true, false])('Takers (told: %j)', (told) => {
  it('of any target: what it has said last, but for the time after it refused', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(1), step), { maxLength: 60 }), (steps) => {
        const time = fakeTime()
        const takers = new Takers('gzip', told, time.now)
        const targets = [0, 1].map(() => ({ target: {}, says: false, until: 0, pause: 30_000 }))
        for (const [at, one] of steps) {
          const known = targets[at] as (typeof targets)[number]
          if (one.do === 'pass') time.passAtOnce(one.ms)
          else if (one.do === 'heard') {
            takers.heard(known.target, one.accept)
            if (one.accept !== undefined) known.says = names(one.accept)
          } else {
            takers.refused(known.target)
            known.pause = Math.min(3_600_000, known.pause * 2)
            known.until = time.now() + known.pause
          }
          for (const { target, says, until } of targets)
            expect(takers.takes(target)).toBe((told || says) && time.now() >= until)
        }
      }),
    )
  })
})
