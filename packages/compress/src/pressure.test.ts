import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { Pressure, poolProbe } from './index.js'
import { mostSteps } from './pressure.js'

/** Readings whose waits a test says, on a clock that it moves. */
function rig() {
  const time = fakeTime()
  const probes: ((waited: number) => void)[] = []
  const pressure = new Pressure((told) => void probes.push(told), { clock: time.now })
  return {
    time,
    probes,
    pressure,
    /** One reading, 100 ms after the last. */
    read(waited: number): number {
      time.passAtOnce(100)
      void pressure.step
      probes.pop()?.(waited)
      return pressure.step
    },
    readFor(ms: number, waited: number): number {
      for (let i = 0; i < ms; i += 100) this.read(waited)
      return pressure.step
    },
  }
}

describe('Pressure', () => {
  it('goes down by a step after two readings in a row that are behind', () => {
    const at = rig()
    expect([50, 1, 50, 10, 20].map((waited) => at.read(waited))).toEqual([0, 0, 0, 0, 0])
    expect(at.read(20)).toBe(1)
    expect([20, 20, 20, 20, 20, 20].map((waited) => at.read(waited))).toEqual([1, 2, 2, 3, 3, 3])
  })

  it('goes up by a step after a second of calm, and no sooner', () => {
    const at = rig()
    at.readFor(400, 30)
    expect(at.readFor(1000, 5)).toBe(2)
    expect(at.read(5)).toBe(1)
    expect(at.readFor(900, 5)).toBe(1)
    expect(at.read(6)).toBe(1)
    expect(at.readFor(1000, 5)).toBe(1)
    expect(at.read(5)).toBe(0)
    expect(at.readFor(5000, 5)).toBe(0)
  })

  it('asks once in 100 ms, one at a time, and only while it is asked itself', () => {
    const { time, probes, pressure } = rig()
    time.passAtOnce(60_000)
    expect(probes).toHaveLength(0)
    for (let i = 0; i < 5; i++) void pressure.step
    expect(probes).toHaveLength(1)
    probes.pop()?.(0)
    time.passAtOnce(99)
    void pressure.step
    expect(probes).toHaveLength(0)
    time.passAtOnce(1)
    for (let i = 0; i < 5; i++, time.passAtOnce(100)) void pressure.step
    expect(probes).toHaveLength(1)
  })

  it('takes a job that is still out for one that has waited so long', () => {
    const { time, probes, pressure } = rig()
    const steps: number[] = []
    for (let i = 0; i < 60; i++, time.passAtOnce(10)) steps.push(pressure.step)
    expect(steps.filter((step, i) => step !== (steps[i - 1] ?? 0))).toEqual([1, 2])
    expect([steps[19], steps[20], steps[39], steps[40]]).toEqual([0, 1, 1, 2])
    probes.pop()?.(600)
    expect(pressure.step).toBe(3)
  })

  it('forgets what was 10 s ago', () => {
    const at = rig()
    expect(at.readFor(600, 30)).toBe(mostSteps)
    at.time.passAtOnce(9_900)
    expect(at.pressure.step).toBe(mostSteps)
    at.probes.pop()?.(30)
    at.time.passAtOnce(10_000)
    expect(at.pressure.step).toBe(0)
  })

  it.each([
    ['too much at full levels', [40, 1, 1, 1], 0],
    ['too much but at the lowest', [40, 40, 40, 1], 2],
    ['too much in any case', [40, 40, 40, 40], 3],
    ['neither much nor little at step 1', [40, 10, 1, 1], 1],
    ['no load at all', [1, 1, 1, 1], 0],
  ])('under a steady load that is %s it comes to rest', (_, load, lowest) => {
    const at = rig()
    const changes: number[] = []
    let before = 0
    for (let i = 0; i < 36_000; i++) {
      const step = at.read(load[at.pressure.step] as number)
      if (step !== before) changes.push(i)
      before = step
    }
    // In the last half of an hour: a try each 64 s at most, there and back.
    expect(changes.filter((i) => i >= 18_000).length).toBeLessThanOrEqual(2 * Math.ceil(1800 / 64))
    expect(before).toBeGreaterThanOrEqual(lowest)
    expect(changes.filter((i) => i < 600).length).toBeLessThanOrEqual(3 + 2 * 6)
  })

  it('goes up at once again when the load is gone, a while after it has gone to and fro', () => {
    const at = rig()
    for (let i = 0; i < 6_000; i++) at.read([40, 1, 1, 1][at.pressure.step] as number)
    at.readFor(300_000, 1)
    expect(at.readFor(600, 40)).toBe(3)
    expect(at.readFor(3_100, 1)).toBe(0)
  })

  it('whatever it hears: a step at a time, down only when behind twice, up only after calm', () => {
    const reading = fc.record({
      waited: fc.constantFrom(0, 5, 6, 19, 20, 500),
      after: fc.constantFrom(100, 250, 900),
    })
    fc.assert(
      fc.property(fc.array(reading, { minLength: 20, maxLength: 400 }), (readings) => {
        const at = rig()
        let before = 0
        let row = 0
        let calm: number | undefined
        for (const { waited, after } of readings) {
          at.time.passAtOnce(after - 100)
          const step = at.read(waited)
          const now = at.time.now()
          row = waited >= 20 ? row + 1 : 0
          calm = waited <= 5 ? (calm ?? now) : undefined
          expect(step).toBeGreaterThanOrEqual(Math.max(0, before - 1))
          expect(step).toBeLessThanOrEqual(Math.min(mostSteps, before + 1))
          if (step > before) expect(row).toBeGreaterThanOrEqual(2)
          if (row >= 2 * mostSteps) expect(step).toBe(mostSteps)
          if (step < before) {
            expect(now - (calm as number)).toBeGreaterThanOrEqual(1000)
            calm = now
          }
          before = step
        }
      }),
    )
  })

  it('has a probe that stands in line for the thread pool', async () => {
    const { pbkdf2 } = await import('node:crypto')
    const ended: string[] = []
    const job = (): Promise<void> =>
      new Promise((resolve) =>
        pbkdf2('a', 'b', 20_000, 32, 'sha256', () => {
          ended.push('job')
          resolve()
        }),
      )
    // Far more than there are threads.
    const jobs = Array.from({ length: 40 }, job)
    const waited = await new Promise<number>((resolve) => poolProbe(resolve))
    expect([ended.length > 0, waited > 0]).toEqual([true, true])
    await Promise.all(jobs)
  })
})
