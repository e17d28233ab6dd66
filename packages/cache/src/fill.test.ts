import { Readable } from 'node:stream'
import { type Body, ProxyError, PushBody, type Sink } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { Fill, type FillOptions } from './fill.js'
import { FillBudget } from './fill-budget.js'
import type { EntryWriter } from './store.js'

/** A source that is pushed by hand, and knows whether it was asked to wait. */
class Source extends PushBody {
  stopped: Error | undefined
  get paused(): boolean {
    return this.waiting
  }
  give(...parts: (string | Uint8Array)[]): boolean {
    let room = true
    for (const part of parts) room = this.push(typeof part === 'string' ? Buffer.from(part) : part)
    return room
  }
  done(trailers?: string[]): void {
    this.finish(trailers)
  }
  lose(error: Error): void {
    this.fail(error)
  }
  protected resume(): void {}
  protected stop(why: Error): void {
    this.stopped = why
  }
}

/** Takes what comes; while `full` it asks to wait. */
class Taker implements Sink {
  readonly got: Uint8Array[] = []
  ends: string[] = []
  full = false
  onWrite: (() => void) | undefined
  onFinish: (() => void) | undefined
  private hear: () => void = () => {}
  constructor(body?: Body) {
    body?.pipe(this)
  }
  write(chunk: Uint8Array): boolean {
    this.got.push(chunk)
    this.onWrite?.()
    return !this.full
  }
  end(trailers?: string[]): void {
    this.ends.push(`end ${trailers?.join() ?? ''}`)
    this.onFinish?.()
  }
  abort(error: Error): void {
    this.ends.push(`abort ${error.message}`)
    this.onFinish?.()
  }
  onDrain(fn: () => void): void {
    this.hear = fn
  }
  drain(): void {
    this.full = false
    this.hear()
  }
  get text(): string {
    return Buffer.concat(this.got).toString('latin1')
  }
}

/** A store's writer that remembers what it was told. */
class Writer implements EntryWriter {
  readonly got: Uint8Array[] = []
  ends: string[] = []
  refuseAt = Number.POSITIVE_INFINITY
  throws = false
  settle: Promise<void> | undefined
  write(chunk: Uint8Array): boolean {
    this.got.push(chunk)
    if (this.throws) throw new Error('the disk is gone')
    return this.got.length < this.refuseAt
  }
  commit(trailers?: string[]): void | Promise<void> {
    this.ends.push(`commit ${trailers?.join() ?? ''}`)
    return this.settle
  }
  abort(): void {
    this.ends.push('abort')
  }
  get text(): string {
    return Buffer.concat(this.got).toString('latin1')
  }
}

function made(options: Partial<FillOptions> = {}, writer: Writer | null = new Writer()) {
  const source = new Source()
  const fill = new Fill(source, writer ?? undefined, { keep: 100, ...options })
  const told: unknown[] = []
  fill.onEnd((error, stored) => told.push(error?.message ?? stored), undefined)
  return { source, fill, told, writer: writer as Writer }
}

describe('Fill', () => {
  it('gives the writer and every reader the very parts that came, the trailers at the end, and late ones from the first byte', () => {
    const { source, fill, writer, told } = made()
    const one = new Taker(fill.reader())
    fill.start()
    const part = Buffer.from('hello ')
    source.give(part)
    const late = new Taker(fill.reader())
    expect(late.text).toBe('hello ')
    source.give('world')
    expect([fill.received, fill.joinable]).toEqual([11, true])
    source.done(['x-sum', '1'])
    for (const each of [one, late, writer]) {
      expect(each.text).toBe('hello world')
      expect(each.got[0]).toBe(part)
    }
    expect([one.ends, late.ends, writer.ends]).toEqual([['end x-sum,1'], ['end x-sum,1'], ['commit x-sum,1']])
    expect([told, fill.joinable, fill.trailers, fill.kept]).toEqual([[true], false, ['x-sum', '1'], 0])
    expect(() => fill.reader()).toThrow(TypeError)
  })

  it('is stored before its readers hear of the end', () => {
    const { source, fill, told } = made()
    const one = new Taker(fill.reader())
    let then: unknown
    one.onFinish = () => (then = [...told])
    fill.start()
    source.give('a')
    source.done()
    expect(then).toEqual([true])
  })

  it('never waits for a slow reader while all is kept, and gives it what it has missed when it has room', () => {
    const { source, fill, told } = made()
    const slow = new Taker()
    slow.full = true
    fill.reader().pipe(slow)
    const idle = fill.reader()
    const quick = new Taker(fill.reader())
    fill.start()
    expect(source.give('one ', 'two ', 'three')).toBe(true)
    expect([slow.text, quick.text, source.paused]).toEqual(['one ', 'one two three', false])
    source.done()
    expect([told, quick.ends, slow.ends]).toEqual([[true], ['end '], []])
    slow.drain()
    expect([slow.text, slow.ends]).toEqual(['one two three', ['end ']])
    expect(new Taker(idle).text).toBe('one two three')
  })

  it('stores on when every reader has left', () => {
    const stored = made()
    const gone = stored.fill.reader()
    stored.fill.start()
    stored.source.give('a')
    gone.cancel()
    expect(stored.source.give('b')).toBe(true)
    stored.source.done()
    expect([stored.writer.text, stored.told]).toEqual(['ab', [true]])
  })

  it('stops the source when the last reader leaves and nothing is stored', () => {
    const { source, fill, told } = made({}, null)
    const [one, two] = [fill.reader(), fill.reader()]
    fill.start()
    source.give('a')
    one.cancel()
    expect([source.stopped, fill.joinable]).toEqual([undefined, true])
    two.cancel()
    expect([source.stopped?.message, told, fill.joinable, fill.kept]).toEqual([
      'nobody takes the rest of this body',
      ['nobody takes the rest of this body'],
      false,
      0,
    ])
  })

  it('goes on for its readers where the store refuses, throws, or fails to commit', async () => {
    const refusing = new Writer()
    refusing.refuseAt = 2
    const one = made({}, refusing)
    const taker = new Taker(one.fill.reader())
    one.fill.start()
    one.source.give('a', 'b')
    expect([refusing.ends, one.fill.joinable]).toEqual([['abort'], true])
    one.source.give('c')
    one.source.done()
    expect([taker.text, taker.ends, refusing.text, one.told]).toEqual(['abc', ['end '], 'ab', [false]])

    const throwing = new Writer()
    throwing.throws = true
    const two = made({}, throwing)
    const other = new Taker(two.fill.reader())
    two.fill.start()
    two.source.give('a', 'b')
    two.source.done()
    expect([other.text, throwing.text, throwing.ends, two.told]).toEqual(['ab', 'a', ['abort'], [false]])

    const rejecting = new Writer()
    rejecting.settle = Promise.reject(new Error('no'))
    const three = made({}, rejecting)
    three.fill.start()
    three.source.done()
    await new Promise(setImmediate)
    expect(three.told).toEqual([false])

    const broken = new Writer()
    broken.commit = broken.abort = (): never => {
      throw new Error('no')
    }
    const four = made({}, broken)
    four.fill.start()
    four.source.done()
    expect(four.told).toEqual([false])
    const five = made({}, broken)
    const last = new Taker(five.fill.reader())
    five.fill.start()
    five.fill.doom()
    five.source.give('a')
    five.source.done()
    expect([last.text, last.ends, five.told]).toEqual(['a', ['end '], [false]])
  })

  it('stops a source that only a store which refuses had wanted', () => {
    const writer = new Writer()
    writer.refuseAt = 1
    const { source, fill, told } = made({}, writer)
    fill.start()
    expect(source.give('a')).toBe(false)
    expect([source.stopped?.message, told.length, writer.ends]).toEqual([
      'nobody takes the rest of this body',
      1,
      ['abort'],
    ])
  })

  it('is joined until the store has it, however long that takes', async () => {
    const writer = new Writer()
    let settle = (): void => {}
    writer.settle = new Promise((resolve) => {
      settle = resolve
    })
    const { source, fill, told } = made({}, writer)
    fill.start()
    source.give('a')
    source.done(['x-sum', '1'])
    const late = new Taker(fill.reader())
    expect([late.text, late.ends, told]).toEqual(['a', ['end x-sum,1'], []])
    settle()
    await writer.settle
    expect([told, fill.joinable, fill.kept]).toEqual([[true], false, 0])
  })

  it('is over with a purge, also where the store is at it or hangs', async () => {
    const writer = new Writer()
    writer.settle = new Promise(() => {})
    const { source, fill, told } = made({}, writer)
    fill.start()
    source.give('a')
    source.done()
    expect(fill.joinable).toBe(true)
    fill.doom()
    expect([told, fill.joinable, writer.ends]).toEqual([[false], false, ['commit ', 'abort']])
  })

  it('doomed, is not stored nor joined, goes on for those who read, and stops without any', () => {
    const { source, fill, writer, told } = made()
    const one = new Taker(fill.reader())
    fill.start()
    source.give('a')
    fill.doom()
    expect([fill.joinable, writer.ends]).toEqual([false, ['abort']])
    source.give('b')
    expect(() => fill.reader()).toThrow('not here any more')
    source.done()
    expect([one.text, one.ends, told]).toEqual(['ab', ['end '], [false]])

    const alone = made()
    alone.fill.start()
    alone.fill.doom()
    expect(alone.source.stopped?.message).toBe('nobody takes the rest of this body')

    const before = made()
    before.fill.doom()
    const first = new Taker(before.fill.reader())
    before.fill.start()
    before.source.give('a')
    before.source.done()
    expect([first.text, before.told]).toEqual(['a', [false]])
  })

  it('gives what came, and then the error as it is, when the source fails', () => {
    const { source, fill, writer, told } = made()
    const [quick, slow] = [new Taker(fill.reader()), new Taker()]
    const heard: unknown[] = []
    slow.full = true
    const body = fill.reader()
    body.onEnd?.((error) => heard.push(error), undefined)
    body.pipe(slow)
    fill.start()
    source.give('a', 'b')
    const error = new ProxyError('connection_read_timeout')
    source.lose(error)
    expect([quick.text, quick.ends]).toEqual(['ab', [`abort ${error.message}`]])
    expect([slow.text, slow.ends, fill.joinable, writer.ends, told]).toEqual([
      'a',
      [],
      false,
      ['abort'],
      [error.message],
    ])
    // What the store may have there is another body.
    fill.continueWith(Buffer.from('xy'))
    slow.drain()
    expect([slow.text, slow.ends]).toEqual(['ab', [`abort ${error.message}`]])
    expect(heard).toEqual([error])
  })

  it('never stores, nor ends cleanly, what is shorter or longer than its head says', () => {
    const short = made({ length: 3 })
    const one = new Taker(short.fill.reader())
    short.fill.start()
    short.source.give('ab')
    short.source.done()
    expect([one.text, one.ends, short.writer.ends]).toEqual([
      'ab',
      ['abort the body is shorter than its head says'],
      ['abort'],
    ])

    const long = made({ length: 3 })
    const two = new Taker(long.fill.reader())
    long.fill.start()
    long.source.give('ab')
    long.source.give('cd')
    expect([two.text, two.ends, long.writer.ends, long.writer.text]).toEqual([
      'ab',
      ['abort the body is longer than its head says'],
      ['abort'],
      'ab',
    ])
    expect(long.source.stopped).toBeInstanceOf(ProxyError)
  })

  it('has the trailers from where the reply has them, if its end brings none', () => {
    const { source, fill, writer } = made({ trailers: () => ['x-late', '1'] })
    const one = new Taker(fill.reader())
    fill.start()
    source.done()
    expect([one.ends, writer.ends, fill.trailers]).toEqual([
      ['end x-late,1'],
      ['commit x-late,1'],
      ['x-late', '1'],
    ])

    const other = made({ trailers: () => ['x-late', '1'] })
    other.fill.start()
    other.source.done(['x-sum', '1'])
    expect(other.writer.ends).toEqual(['commit x-sum,1'])

    const failing = made({
      trailers: () => {
        throw new Error('no trailers')
      },
    })
    const two = new Taker(failing.fill.reader())
    failing.fill.start()
    failing.source.done()
    expect([two.ends, failing.writer.ends]).toEqual([['abort no trailers'], ['abort']])
  })

  it('keeps no more than all together may: what goes beyond flows at the pace of its reader, and is not stored', () => {
    const budget = new FillBudget(10)
    const first = made({ budget })
    const slow = new Taker()
    slow.full = true
    first.fill.reader().pipe(slow)
    first.fill.start()
    first.source.give('12345', '678')
    expect([budget.used, first.fill.joinable]).toEqual([8, true])

    const second = made({ budget })
    const other = new Taker(second.fill.reader())
    second.fill.start()
    second.source.give('ab')
    expect([budget.used, second.fill.joinable]).toEqual([10, true])
    second.source.give('c')
    expect([second.fill.joinable, second.writer.ends]).toEqual([false, ['abort']])
    second.source.give('d')
    second.source.done()
    expect([other.text, other.ends, budget.used]).toEqual(['abcd', ['end '], 8])

    // Stored, but still in memory for the one who is slow.
    first.source.done()
    expect([first.told, budget.used]).toEqual([[true], 8])
    slow.drain()
    expect([slow.text, slow.ends, budget.used]).toEqual(['12345678', ['end '], 0])
  })

  it('lets slow readers go on with the copy that the store has', () => {
    const budget = new FillBudget(100)
    const { source, fill } = made({ budget })
    const [slow, idle, quick] = [new Taker(), fill.reader(), new Taker(fill.reader())]
    slow.full = true
    fill.reader().pipe(slow)
    fill.start()
    source.give('abc', 'def', 'ghi')
    const copy = Buffer.from('abcdefghi')
    // Not before its time, nor with what is none.
    fill.continueWith(Buffer.from('123456789'))
    source.done()
    expect([fill.isLagging, budget.used]).toEqual([true, 9])
    fill.continueWith(Buffer.from('1234'))
    fill.continueWith(copy)
    expect(budget.used).toBe(0)
    slow.drain()
    expect([slow.text, slow.got.length, slow.ends, fill.isLagging]).toEqual(['abcdefghi', 2, ['end '], true])
    const late = new Taker(idle)
    expect([late.got[0] === copy, late.ends, fill.isLagging, quick.text]).toEqual([
      true,
      ['end '],
      false,
      'abcdefghi',
    ])
  })

  it('keeps the last of those who are too slow, also where one sends the fastest away', () => {
    const { source, fill } = made({ keep: 1 }, null)
    const [slow, other, fastest] = [new Taker(), new Taker(), new Taker()]
    const bodies = [slow, other, fastest].map((taker) => {
      const body = fill.reader()
      body.pipe(taker)
      return body
    })
    slow.full = other.full = true
    other.onFinish = () => bodies[2]?.cancel(new Error('sent away'))
    fill.start()
    source.give('a', 'b', 'c')
    expect([other.ends.length, fastest.ends, slow.ends]).toEqual([1, ['abort sent away'], []])
    slow.drain()
    source.done()
    expect([slow.text, slow.ends]).toEqual(['abc', ['end ']])
  })

  it('sends nobody away for what a sink itself brings about while it takes', () => {
    const { source, fill } = made({ keep: 0 }, null)
    const [one, two] = [new Taker(fill.reader()), new Taker(fill.reader())]
    two.onWrite = () => {
      two.onWrite = undefined
      source.give('more than is kept')
    }
    fill.start()
    source.give('a ')
    source.done()
    for (const each of [one, two]) expect([each.text, each.ends]).toEqual(['a more than is kept', ['end ']])
  })

  it('hurts nobody else where a sink throws, wherever it does', () => {
    const { source, fill, writer } = made()
    const takers = Array.from({ length: 4 }, () => new Taker())
    const [inWrite, inEnd, both, fine] = takers as [Taker, Taker, Taker, Taker]
    const fail = (): never => {
      throw new Error('mine')
    }
    inWrite.onWrite = both.onWrite = fail
    inEnd.onFinish = both.onFinish = fail
    const heard: unknown[] = []
    for (const taker of takers) {
      const body = fill.reader()
      body.onEnd?.((error) => heard.push(error?.message), undefined)
      body.pipe(taker)
    }
    fill.start()
    source.give('a', 'b')
    expect(inWrite.ends).toEqual(['abort mine'])
    source.done()
    expect([fine.text, fine.ends, writer.text, inEnd.text, fill.reading]).toEqual([
      'ab',
      ['end '],
      'ab',
      'ab',
      0,
    ])
    expect(heard).toEqual(['mine', 'mine', undefined, undefined])
  })

  it('lets sinks join, leave and send others away from within', () => {
    const { source, fill } = made()
    const bodies = Array.from({ length: 5 }, () => fill.reader())
    const takers = bodies.map((body) => new Taker(body))
    const [first, , third] = takers as [Taker, Taker, Taker]
    let joined: Taker | undefined
    third.onWrite = () => {
      third.onWrite = undefined
      bodies[4]?.cancel(new Error('sent away'))
      bodies[1]?.cancel(new Error('sent away'))
      joined = new Taker(fill.reader())
    }
    first.onWrite = () => bodies[0]?.cancel(new Error('left'))
    fill.start()
    source.give('a', 'b')
    source.done()
    expect(takers.map(({ ends }) => ends[0])).toEqual([
      'abort left',
      'abort sent away',
      'end ',
      'end ',
      'abort sent away',
    ])
    expect([joined?.text, joined?.ends, third.text, takers[3]?.text]).toEqual(['ab', ['end '], 'ab', 'ab'])
  })

  describe('of a body that outgrows what is kept', () => {
    it('is neither stored nor joined any more, and keeps what a reader still needs', () => {
      const { source, fill, writer, told } = made({ keep: 4 })
      const one = new Taker(fill.reader())
      fill.start()
      source.give('abc')
      expect([fill.joinable, fill.kept]).toEqual([true, 3])
      source.give('de')
      expect([fill.joinable, fill.kept, writer.ends, writer.text]).toEqual([false, 2, ['abort'], 'abc'])
      source.give('fgh')
      source.done()
      expect([one.text, one.ends, told]).toEqual(['abcdefgh', ['end '], [false]])
    })

    it('has the pace of its only reader', () => {
      const { source, fill } = made({ keep: 0 }, null)
      const one = new Taker(fill.reader())
      fill.start()
      expect([source.give('a'), fill.kept]).toEqual([true, 1])
      one.full = true
      expect(source.give('b')).toBe(false)
      // A source that doesn't listen is no reason to lose anything.
      source.give('c', 'd')
      expect([one.text, source.paused]).toEqual(['ab', true])
      one.drain()
      expect([one.text, source.paused, source.give('e')]).toEqual(['abcd', false, true])
    })

    it('waits for a reader that nobody has begun to read', () => {
      const { source, fill } = made({ length: 200 })
      const body = fill.reader()
      fill.start()
      expect([fill.joinable, source.give('x'.repeat(150))]).toEqual([false, false])
      expect([new Taker(body).text.length, source.paused]).toEqual([150, false])
    })

    it('has the pace of the fastest, and sends away who falls too far behind', () => {
      const lagged: Body[] = []
      const { source, fill } = made({ keep: 4, onLag: (body) => lagged.push(body) })
      const [quick, slow, slower] = [new Taker(), new Taker(), new Taker()]
      const bodies = [slower, quick, slow].map((taker) => {
        const body = fill.reader()
        body.pipe(taker)
        return body
      })
      slower.full = true
      fill.start()
      source.give('ab', 'cd')
      slow.full = true
      expect([source.give('ef'), fill.joinable, slow.text, slower.text]).toEqual([
        true,
        false,
        'abcdef',
        'ab',
      ])
      expect([fill.kept, lagged]).toEqual([6 - 2, []])
      expect(source.give('g')).toBe(true)
      expect([lagged, fill.kept]).toEqual([[bodies[0]], 1])
      expect(slower.ends).toEqual(['abort a client is too slow for a body that others read too'])
      quick.full = true
      expect([source.give('h'), source.paused]).toEqual([false, true])
      quick.drain()
      expect([source.paused, source.give('ijk')]).toEqual([false, true])
      expect(slow.ends).toEqual(['abort a client is too slow for a body that others read too'])
      source.done()
      expect([quick.text, quick.ends, lagged.length]).toEqual(['abcdefghijk', ['end '], 2])
    })

    it('takes it that whoever hears of a slow reader cancels it', () => {
      const { source, fill } = made({ keep: 1, onLag: (body) => body.cancel(new Error('mine')) })
      const [slow, quick, other] = [new Taker(), new Taker(), new Taker()]
      for (const taker of [slow, quick, other]) fill.reader().pipe(taker)
      slow.full = true
      fill.start()
      source.give('a', 'b', 'c')
      expect([slow.ends, fill.reading]).toEqual([['abort mine'], 2])
      source.done()
      expect([quick.text, other.text]).toEqual(['abc', 'abc'])
    })
  })

  describe('read in part', () => {
    it('ends as soon as the part has come, with its length and without trailers', () => {
      const { source, fill } = made({ length: 10 })
      const body = fill.reader(2, 5)
      const rest = fill.reader(7)
      expect([body.length, rest.length, fill.reader(2, 50).length, fill.reader(20).length]).toEqual([
        3, 3, 8, 0,
      ])
      const [part, tail] = [new Taker(body), new Taker(rest)]
      fill.start()
      source.give('0123')
      expect([part.text, part.ends]).toEqual(['23', []])
      source.give('456789')
      expect([part.text, part.ends, tail.text, tail.ends]).toEqual(['234', ['end '], '789', []])
      source.done(['x-sum', '1'])
      expect(tail.ends).toEqual(['end x-sum,1'])
    })

    it('fails where the body ends before the part does', () => {
      const { source, fill, told } = made()
      const [short, beyond] = [new Taker(fill.reader(1, 9)), new Taker(fill.reader(50, 60))]
      fill.start()
      source.give('abc')
      source.done()
      expect([short.text, short.ends, beyond.ends]).toEqual([
        'bc',
        ['abort the body ends before the range that was asked for'],
        ['abort the body ends before the range that was asked for'],
      ])
      expect(told).toEqual([true])
    })

    it('stops the source after the last part, where nothing is stored', () => {
      const { source, fill } = made({}, null)
      const part = new Taker(fill.reader(0, 2))
      fill.start()
      source.give('abc')
      expect([part.text, part.ends]).toEqual(['ab', ['end ']])
      expect(source.stopped?.message).toBe('nobody takes the rest of this body')
    })
  })

  it('takes every kind of body, and gives streams to who wants them', async () => {
    for (const init of ['text', Buffer.from('text'), Readable.from([Buffer.from('te'), Buffer.from('xt')])]) {
      const writer = new Writer()
      const fill = new Fill(init, writer, { keep: 10 })
      const body = fill.reader()
      fill.start()
      const got: Uint8Array[] = []
      for await (const chunk of body.readable()) got.push(chunk as Uint8Array)
      expect([Buffer.concat(got).toString(), writer.text, writer.ends]).toEqual(['text', 'text', ['commit ']])
    }
    const writer = new Writer()
    const fill = new Fill(null, writer, { keep: 10 })
    const body = fill.reader()
    let ended = false
    body.onEnd?.(() => (ended = true), undefined)
    fill.start()
    // Nobody need read what is empty.
    expect([ended, fill.reading, writer.ends]).toEqual([true, 0, ['commit ']])
    expect(new Taker(body).ends).toEqual(['end '])
  })

  it('has nothing to wait for in one who joins an empty body at its end', () => {
    const writer = new Writer()
    writer.settle = new Promise(() => {})
    const fill = new Fill(null, writer, { keep: 10 })
    fill.start()
    let ended = false
    fill.reader().onEnd?.(() => (ended = true), undefined)
    expect([ended, fill.reading]).toEqual([true, 0])
  })

  it('fails where somebody else has had the source, and tells whoever asks later', () => {
    const { source, fill } = made()
    const one = new Taker(fill.reader())
    new Taker(source)
    fill.start()
    expect(one.ends[0]).toMatch('abort this body was taken before')
    let told: unknown
    fill.onEnd((error, stored) => (told = [error?.message.includes('taken before'), stored]), undefined)
    expect(told).toEqual([true, false])
  })

  it('without a reader and a writer leaves the source alone but for the end of it', () => {
    const { source, fill } = made({}, null)
    fill.start()
    expect(source.stopped?.message).toBe('nobody takes the rest of this body')
  })
})
