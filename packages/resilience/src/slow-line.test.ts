import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SlowLine, SlowOne } from './slow-line.js'

/** A line by a clock in the test's hand. */
function made() {
  const hands = { now: 0 }
  const timers: { at: number; fn: () => void }[] = []
  let set = 0
  const line = new SlowLine(
    () => hands.now,
    (ms, fn) => {
      set++
      const timer = { at: hands.now + ms, fn }
      timers.push(timer)
      return () => void timers.splice(timers.indexOf(timer), 1)
    },
  )
  return {
    line,
    hands,
    timers,
    set: () => set,
    /** Lets time pass, and the timers of that time run. */
    pass(ms: number): void {
      for (hands.now += ms; ; ) {
        const index = timers.findIndex(({ at }) => at <= hands.now)
        if (index === -1) return
        timers.splice(index, 1)[0]?.fn()
      }
    },
  }
}

class One extends SlowOne {
  constructor(readonly said: () => void) {
    super()
  }
  slow(): void {
    this.said()
  }
}

it('tells each when its time is over, by one timer, and nobody who has left', () => {
  const heard: string[] = []
  const { line, timers, set, pass } = made()
  const one = (name: string) => new One(() => heard.push(name))
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(one) as [One, One, One, One]
  line.join(a, 10)
  line.join(c, 30)
  line.join(b, 20)
  line.join(d, 30)
  expect([timers.length, set()]).toEqual([1, 1])
  line.leave(b)
  line.leave(b)
  pass(10)
  expect(heard).toEqual(['a'])
  pass(20)
  expect([heard, timers.length]).toEqual([['a', 'c', 'd'], 0])
})

it('sets no timer anew for those that come and go in time', () => {
  const { line, timers, set, pass } = made()
  for (let now = 0; now < 100; now++) {
    const one = new One(() => expect.unreachable())
    line.join(one, now + 100)
    line.leave(one)
    pass(1)
  }
  expect([timers.length, set()]).toEqual([0, 1])
})

it('a wait that is shorter than those before is told in time, and one may join while another is told', () => {
  const heard: string[] = []
  const { line, timers, pass } = made()
  line.join(new One(() => heard.push('long')), 1_000)
  line.join(
    new One(() => {
      heard.push('short')
      line.join(new One(() => heard.push('again')), 20)
    }),
    10,
  )
  expect(timers).toHaveLength(1)
  pass(10)
  pass(10)
  expect([heard, timers.length]).toEqual([['short', 'again'], 1])
  pass(980)
  expect([heard, timers.length]).toEqual([['short', 'again', 'long'], 0])
})

it('whoever comes, goes and waits how long: all hear that stay, in time and in order', () => {
  const act = fc.record({
    wait: fc.integer({ min: 0, max: 20 }),
    goes: fc.option(fc.nat(30)),
    pass: fc.nat(5),
  })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const { line, hands, timers, pass } = made()
      const waiting: { one: One; due: number }[] = []
      for (const { wait, goes, pass: ms } of acts) {
        const due = hands.now + wait
        const entry = { one: new One(() => void waiting.splice(waiting.indexOf(entry), 1)), due }
        waiting.push(entry)
        line.join(entry.one, due)
        const gone = goes === null ? undefined : waiting[goes]
        if (gone !== undefined) {
          line.leave(gone.one)
          waiting.splice(waiting.indexOf(gone), 1)
        }
        pass(ms)
        if (ms > 0) for (const each of waiting) expect(each.due).toBeGreaterThan(hands.now)
      }
      pass(100)
      expect([waiting, timers]).toEqual([[], []])
    }),
  )
})
