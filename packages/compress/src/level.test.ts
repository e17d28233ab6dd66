import { describe, expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { type Coding, Levels, Pressure } from './index.js'
import { levelRanges } from './level.js'

const all: readonly Coding[] = ['zstd', 'br', 'gzip', 'deflate']
const sizes = [0, 10_000, 16_384, 16_385, 100_000, 128 * 1024, 128 * 1024 + 1, 1e9, undefined]

/** A pool that is behind until a step is reached, and between calm and behind there. */
function rig(level: ConstructorParameters<typeof Levels>[0] = 'auto') {
  const time = fakeTime()
  let wanted = 0
  let probes = 0
  const pressure: Pressure = new Pressure(
    (told) => {
      probes++
      told(pressure.step < wanted ? 30 : 10)
    },
    { clock: time.now },
  )
  const levels = new Levels(level, pressure)
  return {
    levels,
    probes: () => probes,
    goTo(step: number): void {
      wanted = step
      for (let i = 0; i < 10; i++, time.passAtOnce(100)) void pressure.step
    },
  }
}

describe('Levels', () => {
  it('are lower for what is long, or of a length that nobody knows', () => {
    const { levels } = rig()
    expect(sizes.map((size) => all.map((coding) => levels.of(coding, size)).join(' '))).toEqual([
      ...Array.from({ length: 6 }, () => '5 5 6 6'),
      ...Array.from({ length: 3 }, () => '3 4 4 4'),
    ])
  })

  it('go down under pressure, and at last what needs the pool is sent plain', () => {
    const at = rig()
    const rows = [0, 1, 2, 3].map((step) => {
      at.goTo(step)
      return all.map((coding) =>
        [10_000, 100_000, undefined].map((size) => at.levels.of(coding, size) ?? '-').join(''),
      )
    })
    expect(rows.map((row) => row.join(' '))).toEqual([
      '553 554 664 664',
      '332 332 442 442',
      '111 111 111 111',
      '1-- 1-- 1-- 1--',
    ])
  })

  it('that are given stay, and nothing is asked of the pool', () => {
    const at = rig({ gzip: 9, br: 0, zstd: 19, deflate: 1 })
    at.goTo(3)
    const before = at.probes()
    for (const size of sizes) expect(all.map((coding) => at.levels.of(coding, size))).toEqual([19, 0, 9, 1])
    expect(at.probes()).toBe(before)
  })

  it('of codings that none is given for are auto', () => {
    const { levels } = rig({ gzip: 9 })
    expect([levels.of('gzip', undefined), levels.of('br', undefined)]).toEqual([9, 4])
  })

  it('are in range', () => {
    const at = rig()
    for (const step of [0, 1, 2, 3]) {
      at.goTo(step)
      for (const coding of all)
        for (const size of sizes) {
          const level = at.levels.of(coding, size)
          if (level === undefined) continue
          expect(level).toBeGreaterThanOrEqual(levelRanges[coding][0])
          expect(level).toBeLessThanOrEqual(levelRanges[coding][1])
        }
    }
  })
})
