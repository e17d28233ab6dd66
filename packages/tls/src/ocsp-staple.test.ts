import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FakeTime, fakeTime } from '../../../test/kit/fake-time.js'
import { type Deferred, deferred } from '../../../test/kit/until.js'
import { type OcspAnswered, OcspStaple } from './ocsp-staple.js'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

type Given = OcspAnswered | string

/** A staple whose responder answers when a test says so. */
function rig(random = 0, wait = 2 * second) {
  const time = fakeTime()
  const questions: (Deferred<Given> & { signal: AbortSignal })[] = []
  const told: string[] = []
  let offset = 0
  const staple = new OcspStaple({
    ask: (signal) => {
      const question = Object.assign(deferred<Given>(), { signal })
      questions.push(question)
      return question.promise
    },
    wait,
    told: (status, reason) => told.push(`${status}: ${reason}`),
    seams: { clock: () => time.now() + offset, random: () => random, after: afterOf(time) },
  })
  const at = (): number => time.now() + offset
  return {
    time,
    staple,
    questions,
    told,
    at,
    setClock: (ms: number) => {
      offset += ms
    },
    async answer(what: Given | Error): Promise<void> {
      const last = questions.at(-1) as Deferred<Given>
      if (what instanceof Error) last.reject(what)
      else last.resolve(what)
      await staple.settled
    },
    good: (validity = 4 * day, since = 0): OcspAnswered => ({
      status: 'good',
      thisUpdate: at() - since,
      nextUpdate: at() + validity,
      response: Buffer.from(`good ${at()}`),
    }),
    revoked: (): OcspAnswered => ({
      status: 'revoked',
      thisUpdate: at(),
      nextUpdate: at() + 4 * day,
      revoked: 'since then, keyCompromise',
      response: Buffer.from('revoked'),
    }),
  }
}

function afterOf(time: FakeTime) {
  return (ms: number, fn: () => void): (() => void) => {
    const timer = time.timers.set(fn, ms)
    return () => time.timers.clear(timer)
  }
}

describe('a staple', () => {
  it('is asked for when it is first taken, once for all who take it', async () => {
    const { staple, questions, answer, good } = rig()
    expect(questions).toHaveLength(0)
    for (let i = 0; i < 5; i++) expect(staple.take()).toBeUndefined()
    expect(questions).toHaveLength(1)
    await answer(good())
    expect(staple.take()?.toString()).toBe('good 0')
    expect(questions).toHaveLength(1)
  })

  it.each([
    ['at half the time that it has left', 20 * hour, 0, 10 * hour],
    ['up to a tenth earlier, by chance', 20 * hour, 0.5, 9.5 * hour],
    ['once a day where it has long', 10 * day, 0, day],
    ['not within a minute', second, 0.5, minute],
  ])('is renewed %s', async (_, validity, random, expected) => {
    const { time, staple, questions, answer, good } = rig(random)
    staple.take()
    await answer(good(validity))
    await time.pass(expected - 1)
    expect(questions).toHaveLength(1)
    await time.pass(1)
    expect(questions).toHaveLength(2)
  })

  it('is asked for again after 10 s, 20 s, 40 s … an hour, less up to half by chance', async () => {
    for (const random of [0, 0.5]) {
      const { time, staple, questions, answer } = rig(random)
      staple.take()
      for (let n = 0; n < 12; n++) {
        await answer(new Error('down'))
        const pause = Math.min(hour, 10 * second * 2 ** n) * (1 - random / 2)
        await time.pass(pause - 1)
        // Handshakes don't hurry it.
        expect(staple.take()).toBeUndefined()
        expect(questions).toHaveLength(n + 1)
        await time.pass(1)
        expect(questions).toHaveLength(n + 2)
      }
    }
  })

  it('serves until its end where nothing newer comes, and no longer', async () => {
    const { time, staple, answer, good, told } = rig()
    staple.take()
    await answer(good(10 * hour))
    await time.pass(5 * hour)
    await answer(new Error('down'))
    await time.pass(5 * hour - 1)
    expect(staple.take()?.toString()).toBe('good 0')
    await time.pass(1)
    expect(staple.take()).toBeUndefined()
    expect(told).toEqual([expect.stringMatching(/^good: until /), 'failed: down'])
  })

  it('ends with a revocation, at once, and comes back with a newer good answer alone', async () => {
    const { time, staple, answer, good, revoked, told } = rig()
    staple.take()
    await answer(good())
    await time.pass(day)
    await answer(revoked())
    expect(staple.take()).toBeUndefined()
    expect(staple.revoked).toBe(true)
    await time.pass(day)
    await answer(good(4 * day, day + 1))
    expect(staple.take()).toBeUndefined()
    expect(staple.revoked).toBe(true)
    expect(staple.why).toBe('revoked since then, keyCompromise')
    await time.pass(10 * second)
    await answer(revoked())
    await time.pass(day)
    await answer(good())
    expect(staple.take()).toBeDefined()
    expect(told.map((each) => each.split(':')[0])).toEqual(['good', 'revoked', 'failed', 'good'])
  })

  it('is never asked for where there is nobody to ask', async () => {
    const { time, staple, questions, answer, told } = rig()
    staple.take()
    await answer('no responder')
    await time.pass(100 * day)
    expect(staple.take()).toBeUndefined()
    expect(questions).toHaveLength(1)
    expect(staple.why).toBe('no responder')
    expect(time.waiting).toBe(0)
    expect(told).toEqual([])
  })

  it('is waited for from when it was asked for, and not beyond', async () => {
    const { time, staple } = rig()
    let over = 0
    staple.take()
    void staple.waited?.then(() => over++)
    await time.pass(1_999)
    void staple.waited?.then(() => over++)
    expect(over).toBe(0)
    await time.pass(1)
    expect(over).toBe(2)
    // The question goes on; whoever comes now waits for nothing.
    expect(staple.settled).toBeDefined()
    await staple.waited
  })

  it('is asked for at once by whoever looks after a sleep', async () => {
    const { staple, questions, answer, good, setClock } = rig()
    staple.take()
    await answer(good(10 * hour))
    setClock(9 * hour)
    expect(staple.take()).toBeDefined()
    expect(questions).toHaveLength(2)
  })

  it('is renewed in time though the clock was set back', async () => {
    const { time, staple, questions, answer, good, setClock } = rig()
    staple.take()
    await answer(good(10 * hour))
    setClock(-30 * day)
    await time.pass(5 * hour)
    expect(questions).toHaveLength(2)
  })

  it('asks and tells nothing once it is closed', async () => {
    for (const end of ['none', 'answer', 'failure']) {
      const { time, staple, questions, told, good } = rig()
      staple.take()
      staple.close()
      expect(questions[0]?.signal.aborted).toBe(true)
      if (end === 'answer') questions[0]?.resolve(good())
      if (end === 'failure') questions[0]?.reject(new Error('closed'))
      await time.pass(100 * day)
      expect(staple.take()).toBeUndefined()
      expect(questions).toHaveLength(1)
      expect(told).toEqual([])
    }
  })

  it('does as its model, whatever comes', async () => {
    const step = fc.oneof(
      fc.record({
        what: fc.constantFrom('good', 'good', 'revoked', 'fail', 'fail'),
        validity: fc.integer({ min: 1, max: 8 * day }),
        since: fc.oneof(fc.constant(0), fc.nat(3 * day)),
        /** Whether time passes then until it is to be asked again. */
        next: fc.boolean(),
      }),
      fc.record({ what: fc.constant('pass' as const), ms: fc.oneof(fc.nat(minute), fc.nat(2 * day)) }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        async (steps, random) => {
          const { time, staple, questions, answer, good, revoked } = rig(random)
          let last: OcspAnswered | undefined
          let failures = 0
          let answered = 0
          let due = 0
          const look = (): void => {
            const expected =
              last?.status === 'good' && time.now() < last.nextUpdate ? last.response : undefined
            expect(staple.take()).toBe(expected)
            expect(staple.revoked).toBe(last?.status === 'revoked')
            // One at a time, and one as soon as it is due.
            expect(questions).toHaveLength(time.now() >= due ? answered + 1 : answered)
          }
          const fail = (): void => {
            due = time.now() + Math.min(hour, 10 * second * 2 ** failures++) * (1 - random / 2)
          }
          for (const each of steps) {
            look()
            const open = questions.length > answered
            if ('ms' in each) await time.pass(each.ms)
            else if (open) {
              const given =
                each.what === 'fail'
                  ? new Error('down')
                  : each.what === 'good'
                    ? good(each.validity, each.since)
                    : revoked()
              await answer(given)
              answered++
              if (given instanceof Error || (last !== undefined && given.thisUpdate < last.thisUpdate)) fail()
              else {
                last = given
                failures = 0
                due =
                  time.now() +
                  Math.max(minute, Math.min(day, (given.nextUpdate - time.now()) / 2) * (1 - random / 10))
              }
              if (each.next) {
                await time.pass(due - time.now() - 1)
                look()
                await time.pass(1)
              }
            }
            look()
          }
          staple.close()
          const ended = staple.waited
          questions.at(-1)?.reject(new Error('closed'))
          await ended
          expect(time.waiting).toBe(0)
        },
      ),
      { numRuns: 300 },
    )
  })
})
