import { type Body, PushBody, type Sink } from '@sluice/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Fill } from './fill.js'
import { FillBudget } from './fill-budget.js'
import type { EntryWriter } from './store.js'

type Deed =
  | 'leave'
  | 'leave and give'
  | 'send another away'
  | 'join'
  | 'drain another'
  | 'give'
  | 'throw'
  | 'doom'
  | 'end'

type Step =
  | { do: 'join'; from: number; length: number | undefined; take: boolean }
  | { do: 'take' | 'block' | 'drain' | 'leave'; who: number }
  | { do: 'arm'; who: number; deed: Deed }
  | { do: 'give'; size: number; rude: boolean }
  | { do: 'end' | 'lose' | 'doom' | 'settle' | 'settle badly' }

const who = fc.nat(20)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constant('join' as const),
      from: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(40)),
      length: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
      take: fc.boolean(),
    }),
  },
  { weight: 25, arbitrary: fc.record({ do: fc.constantFrom('take' as const, 'block', 'drain'), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('leave' as const), who }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('arm' as const),
      who,
      deed: fc.constantFrom<Deed>(
        'leave',
        'leave and give',
        'send another away',
        'join',
        'drain another',
        'give',
        'throw',
        'doom',
        'end',
      ),
    }),
  },
  {
    weight: 40,
    arbitrary: fc.record({
      do: fc.constant('give' as const),
      size: fc.oneof(fc.nat(3), fc.nat(30)),
      rude: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('end' as const, 'lose', 'doom', 'settle', 'settle badly') }),
  },
)

/** The first four times of five. */
const mostly = <T, U>(often: fc.Arbitrary<T>, seldom: fc.Arbitrary<U>): fc.Arbitrary<T | U> =>
  fc.oneof({ weight: 4, arbitrary: often }, { weight: 1, arbitrary: seldom })

const world = fc.record({
  keep: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 }), fc.constant(1_000)),
  length: mostly(fc.constant(undefined), fc.nat(300)),
  writer: fc.option(
    fc.record({
      refuseAt: mostly(fc.constant(Number.POSITIVE_INFINITY), fc.nat(5)),
      throws: fc.boolean(),
      async: fc.boolean(),
      oneCopy: fc.boolean(),
    }),
    { nil: undefined },
  ),
  first: mostly(fc.constant(true), fc.constant(false)),
  limit: mostly(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 0, max: 60 })),
})

/** Gives what no other place in the body looks like. */
class Source extends PushBody {
  stopped: Error | undefined
  given = 0
  protected resume(): void {}
  protected stop(why: Error): void {
    this.stopped = why
  }
  get isOver(): boolean {
    return this.ended
  }
  get isPaused(): boolean {
    return this.waiting
  }
  give(size: number): boolean {
    const chunk = bytes(this.given, this.given + size)
    this.given += size
    return this.push(chunk)
  }
  done(): void {
    this.finish(['x-sum', '1'])
  }
  lose(): void {
    this.fail(new Error('lost'))
  }
}

const pattern = Buffer.from(Array.from({ length: 16_384 }, (_, i) => (i * 7 + 3) % 251))

function bytes(from: number, to: number): Buffer {
  return pattern.subarray(from, to)
}

class Reader implements Sink {
  readonly got: Uint8Array[] = []
  size = 0
  readonly ends: string[] = []
  full = false
  piped = false
  wrong: string | undefined
  deed: (() => void) | undefined
  /** It has asked its source to wait. */
  asked = false
  private inside = false
  private hear: (() => void) | undefined

  constructor(
    readonly body: Body,
    readonly from: number,
    readonly to: number,
  ) {}

  take(): void {
    if (this.piped || (this.body as PushBody).taken) return
    this.piped = true
    this.body.pipe(this)
  }
  write(chunk: Uint8Array): boolean {
    if (this.asked) this.wrong = 'was written to though it was full'
    if (this.ends.length > 0) this.wrong = 'was written to after its end'
    if (chunk.length === 0) this.wrong = 'was given nothing'
    if (this.inside) this.wrong = 'was written to while it was writing'
    this.inside = true
    this.got.push(chunk)
    this.size += chunk.length
    const { deed } = this
    this.deed = undefined
    try {
      deed?.()
    } finally {
      this.inside = false
    }
    this.asked = this.full
    return !this.full
  }
  end(trailers?: string[]): void {
    if (this.inside) this.wrong = 'heard of its end while it was writing'
    this.ends.push(`end ${trailers?.join() ?? ''}`)
  }
  abort(error: Error): void {
    this.ends.push(`abort ${error.message}`)
  }
  onDrain(fn: () => void): void {
    this.hear = fn
  }
  drain(): void {
    this.full = false
    if (!this.asked) return
    this.asked = false
    this.hear?.()
  }
}

class Writer implements EntryWriter {
  readonly got: Uint8Array[] = []
  readonly ends: string[] = []
  settle: ((well: boolean) => void) | undefined
  refused = false
  constructor(private readonly how: { refuseAt: number; throws: boolean; async: boolean }) {}
  write(chunk: Uint8Array): boolean {
    if (this.refused || this.ends.length > 0) throw new Error('written to after its end')
    this.got.push(chunk)
    this.refused = this.got.length > this.how.refuseAt
    if (this.refused && this.how.throws) throw new Error('the disk is gone')
    return !this.refused
  }
  commit(trailers?: string[]): void | Promise<void> {
    this.ends.push(`commit ${trailers?.join() ?? ''}`)
    if (!this.how.async) return
    return new Promise((resolve, reject) => {
      this.settle = (well) => (well ? resolve() : reject(new Error('it promised not to')))
    })
  }
  abort(): void {
    this.ends.push('abort')
    if (this.how.throws) throw new Error('nor can it be ended')
  }
}

/** As `expect().toBe()`, which takes too long to be asked this often. */
function same(is: unknown, should: unknown): void {
  if (!Object.is(is, should)) expect(is).toBe(should)
}

it('gives every reader exactly its bytes and one end, keeps within its bounds, and never sleeps with work to do', async () => {
  await fc.assert(
    fc.asyncProperty(
      world,
      fc.array(step, { maxLength: 80, size: 'max' }),
      async ({ keep, length, writer: how, first, limit }, steps) => {
        const source = new Source()
        const writer = how === undefined ? undefined : new Writer(how)
        const lagged = new Set<Body>()
        const budget = new FillBudget(limit)
        const fill = new Fill(source, writer, {
          keep,
          budget,
          ...(length === undefined ? {} : { length }),
          onLag: (body) => {
            lagged.add(body)
            const reader = readers.find((each) => each.body === body) as Reader
            if (fill.reading < 2) reader.wrong = 'was sent away though it was the only one'
            if (reader.piped && !reader.asked) reader.wrong = 'was sent away though it had room'
          },
        })
        const told: (string | boolean)[] = []
        fill.onEnd((error, stored) => {
          told.push(error?.message ?? stored)
          if (!stored || !fill.isLagging || how?.oneCopy !== true) return
          fill.continueWith(Buffer.concat((writer as Writer).got))
          expect(budget.used).toBe(0)
        }, undefined)
        const readers: Reader[] = []
        const gone = new Set<Reader>()
        let doomed = false
        let ended = false
        let largest = 0
        const pick = (index: number): Reader | undefined => readers[index % Math.max(1, readers.length)]
        const whole = (): boolean => length === undefined || source.given === length
        const isOver = (): boolean => source.isOver || fill.isOver
        const join = (from: number, size: number | undefined, take: boolean): void => {
          const to = size === undefined ? Number.POSITIVE_INFINITY : from + size
          if (!fill.joinable && fill.received > 0) {
            return
          }
          if (isOver() && !fill.joinable) return expect(() => fill.reader()).toThrow(TypeError)
          const body = fill.reader(from, to)
          if (length !== undefined) expect(body.length).toBe(Math.max(0, Math.min(to, length) - from))
          const reader = new Reader(body, from, to)
          readers.push(reader)
          if (take) reader.take()
        }
        const leave = (reader: Reader): void => {
          if (reader.ends.length === 0) gone.add(reader)
          reader.body.cancel(new Error('left'))
        }
        const give = (size: number): void => {
          if (isOver()) return
          largest = Math.max(largest, size)
          source.give(size)
        }
        const end = (): void => {
          if (isOver()) return
          ended = true
          source.done()
        }
        const deeds: Record<Deed, (reader: Reader) => void> = {
          leave,
          'leave and give': (reader) => {
            leave(reader)
            give(7)
          },
          'send another away': (reader) =>
            leave(readers[(readers.indexOf(reader) + 1) % readers.length] as Reader),
          join: () => join(0, undefined, true),
          'drain another': (reader) => readers[(readers.indexOf(reader) + 1) % readers.length]?.drain(),
          give: () => give(7),
          throw: (reader) => {
            gone.add(reader)
            throw new Error('left')
          },
          doom: () => {
            doomed = true
            fill.doom()
          },
          end,
        }

        /** One that takes nothing until it is heard of again. */
        const isAsleep = (reader: Reader): boolean => !reader.piped || reader.asked
        const isLive = (reader: Reader): boolean =>
          !gone.has(reader) && !lagged.has(reader.body) && reader.ends.length === 0
        const check = (): void => {
          const came = fill.received
          const tooLong = length !== undefined && source.given > length
          if (!tooLong) same(came, source.given)
          const all = bytes(0, came)
          for (const reader of readers) {
            same(reader.wrong, undefined)
            const available = all.subarray(Math.min(reader.from, came), Math.min(reader.to, came))
            const got = Buffer.concat(reader.got)
            same(available.subarray(0, got.length).equals(got), true)
            same(reader.ends.length < 2, true)
            if (gone.has(reader)) {
              same(reader.ends.join(), reader.piped ? 'abort left' : '')
              continue
            }
            if (lagged.has(reader.body)) {
              if (reader.piped) expect(reader.ends[0]).toMatch('abort a client is too slow')
              continue
            }
            if (!reader.piped || reader.full) continue
            // Nothing keeps it from having all that there is, and its end where that has come.
            same(got.length, available.length)
            const ranged = reader.to < (length ?? Number.POSITIVE_INFINITY)
            if (ranged && came >= reader.to) same(reader.ends.join(), 'end ')
            else if (!isOver()) same(reader.ends.join(), '')
            else if (ended && whole() && !ranged) same(reader.ends.join(), 'end x-sum,1')
            else
              expect(reader.ends[0]).toMatch(
                /^abort (lost|the body is (longer|shorter)|the body ends before)/,
              )
          }
          const live = readers.filter(isLive)
          if (!fill.isOver) {
            same(
              fill.reading,
              readers.filter(
                (each) =>
                  isLive(each) &&
                  !(each.to < (length ?? Number.POSITIVE_INFINITY) && each.from + each.size >= each.to),
              ).length,
            )
            const passing = !fill.joinable
            same(budget.used, fill.kept)
            // Somebody wants the rest.
            same(fill.reading > 0 || writer?.ends.length === 0, true)
            same(passing, doomed || came > Math.min(keep, limit) || (length !== undefined && length > keep))
            // A source that waits has a reason to, one that doesn't may go on.
            if (!passing) same(source.isPaused, false)
            else if (source.isPaused) same(live.every(isAsleep), true)
            if (!passing) same(fill.kept, came)
            else if (fill.reading > 1)
              expect(fill.kept).toBeLessThanOrEqual(Math.max(came === 0 ? 0 : keep + largest, largest))
          } else if (source.stopped?.message.startsWith('nobody')) same(live.length, 0)
          if (writer !== undefined) {
            const stored = Buffer.concat(writer.got)
            same(all.subarray(0, stored.length).equals(stored), true)
            const [end, ...more] = writer.ends
            // What is still being committed may be taken back.
            expect(more).toEqual(
              end?.startsWith('commit') && more.length > 0 && doomed && how?.async ? ['abort'] : [],
            )
            if (end?.startsWith('commit')) {
              expect(end).toBe('commit x-sum,1')
              same(stored.length, came)
              same(whole() && !writer.refused, true)
            }
            if (writer.ends.length === 0) same(stored.length, came)
            if (isOver()) same(writer.ends.length > 0, true)
          }
          same(told.length < 2, true)
          if (isOver() && (doomed || writer?.settle === undefined)) same(told.length, 1)
        }

        if (first) join(0, undefined, true)
        fill.start()
        if (!first && writer?.ends.length !== 0) expect(source.stopped?.message).toMatch('nobody')
        check()
        for (const each of steps) {
          if (each.do === 'join') join(each.from, each.length, each.take)
          else if (each.do === 'take') pick(each.who)?.take()
          else if (each.do === 'drain') pick(each.who)?.drain()
          else if (each.do === 'block') {
            const reader = pick(each.who)
            if (reader !== undefined) reader.full = true
          } else if (each.do === 'leave') {
            const reader = pick(each.who)
            if (reader !== undefined) leave(reader)
          } else if (each.do === 'arm') {
            const reader = pick(each.who)
            if (reader !== undefined) reader.deed = () => deeds[each.deed](reader)
          } else if (each.do === 'give') {
            if (each.rude || !source.isPaused) {
              give(each.size)
              // Nobody has room, and nothing is kept for others: the source waits.
              if (!fill.isOver && !fill.joinable && readers.filter(isLive).every(isAsleep))
                expect(source.isPaused).toBe(true)
            }
          } else if (each.do === 'end') end()
          else if (each.do === 'lose') {
            if (!isOver()) source.lose()
          } else if (each.do === 'doom') {
            doomed = true
            fill.doom()
          } else {
            writer?.settle?.(each.do === 'settle')
            await undefined
          }
          check()
        }
        // Nothing hangs: with the source at its end and every sink drained, everybody has had all and heard so.
        for (const reader of readers) reader.deed = undefined
        end()
        writer?.settle?.(true)
        await undefined
        for (const reader of readers) {
          reader.take()
          reader.drain()
        }
        check()
        for (const reader of readers) if (reader.piped) expect(reader.ends.length).toBe(1)
        expect(told.length).toBe(1)
        expect([fill.reading, fill.kept, fill.joinable, budget.used]).toEqual([0, 0, false, 0])
        if (told[0] === true) expect(writer?.ends).toEqual(['commit x-sum,1'])
      },
    ),
    { numRuns: 1_000 },
  )
})
