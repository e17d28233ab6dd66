import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Body, PushBody, ReplayBody, type Sink } from './index.js'

/** A source that gives its chunks as long as there is room, and counts what it gave in spite of being asked to wait. */
class Chunks extends PushBody {
  given = 0
  stopped = false
  private at = 0
  constructor(
    private readonly chunks: Uint8Array[],
    private readonly failure?: Error,
  ) {
    super()
    this.waiting = true
  }
  protected resume(): void {
    while (this.at < this.chunks.length) {
      this.given++
      if (!this.push(this.chunks[this.at++] as Uint8Array)) return
    }
    if (this.failure === undefined) this.finish(['X-Sum', '1'])
    else this.fail(this.failure)
  }
  protected stop(): void {
    this.stopped = true
  }
}

/** Takes `room` chunks, then asks to wait until `drain`. */
class Taker implements Sink {
  readonly got: Uint8Array[] = []
  ended = false
  trailers: unknown
  error: Error | undefined
  drain: () => void = () => {}
  constructor(private readonly room: number) {}
  write(chunk: Uint8Array): boolean {
    this.got.push(chunk)
    return this.got.length < this.room
  }
  end(trailers?: unknown): void {
    this.ended = true
    this.trailers = trailers
  }
  abort(error: Error): void {
    this.error = error
  }
  onDrain(fn: () => void): void {
    this.drain = fn
  }
  get text(): string {
    return Buffer.concat(this.got).toString('latin1')
  }
}

const into = (body: Body, room = Number.POSITIVE_INFINITY): Taker => {
  const taker = new Taker(room)
  body.pipe(taker)
  return taker
}

const bytes = (...texts: string[]): Uint8Array[] => texts.map((text) => Buffer.from(text))

describe('ReplayBody', () => {
  it('gives every try every byte, whatever the split and wherever the ones before broke off', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 12 }),
        fc.array(fc.nat(12), { maxLength: 4 }),
        fc.boolean(),
        (chunks, breaks, cancelled) => {
          const whole = Buffer.concat(chunks).toString('latin1')
          const replay = new ReplayBody(new Chunks(chunks), whole.length)
          for (const room of breaks) {
            const attempt = replay.attempt()
            const taker = into(attempt, room + 1)
            expect(whole.startsWith(taker.text)).toBe(true)
            if (cancelled) attempt.cancel(new Error('the target broke off'))
            expect(replay.replayable).toBe(true)
          }
          const body = replay.attempt()
          replay.done()
          const last = into(body, 1)
          for (let i = 0; i <= chunks.length; i++) last.drain()
          expect(last.text).toBe(whole)
          expect([last.ended, last.trailers]).toEqual([true, ['X-Sum', '1']])
        },
      ),
    )
  })

  it('holds no more than some parts of a body that comes byte by byte', () => {
    const parts = Array.from({ length: 1_000 }, (_, i) => Uint8Array.of(i % 251))
    const replay = new ReplayBody(new Chunks(parts), 1_000)
    const first = into(replay.attempt())
    const second = into(replay.attempt())
    expect(first.got).toHaveLength(1_000)
    expect(second.text).toBe(first.text)
    expect(second.got.length).toBeLessThanOrEqual(64)
    expect(second.ended).toBe(true)
  })

  it('takes time that grows with such a body, and with its cap no more', () => {
    const most = 2_000_000
    const byte = Uint8Array.of(7)
    const source = {
      pipe: (to: Sink) => void Array.from({ length: most }, () => to.write(byte)),
      cancel() {},
    }
    const replay = new ReplayBody(source as unknown as Body, most)
    const counted = () => {
      let count = 0
      const write = ({ length }: Uint8Array): boolean => {
        count += length
        return true
      }
      const sink = { write, end() {}, abort() {}, onDrain() {} }
      replay.attempt().pipe(sink)
      return count
    }
    expect([counted(), counted()]).toEqual([most, most])
  })

  it('is whole whatever the sizes of its parts', () => {
    const part = fc.integer({ min: 1, max: 3_000 }).map((size) => Buffer.alloc(size, String(size)))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 300 }), (chunks) => {
        const replay = new ReplayBody(new Chunks(chunks), 1_000_000)
        const first = into(replay.attempt())
        expect(into(replay.attempt()).text === first.text).toBe(true)
      }),
    )
  })

  it('streams on past the cap, and has no further try then', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { minLength: 1 }),
        fc.nat(40),
        (chunks, cap) => {
          const whole = Buffer.concat(chunks)
          const replay = new ReplayBody(new Chunks(chunks), cap)
          const taker = into(replay.attempt())
          expect(taker.text).toBe(whole.toString('latin1'))
          expect(replay.replayable).toBe(whole.length <= cap)
        },
      ),
    )
  })

  it('keeps the source waiting while the try is full', () => {
    const source = new Chunks(bytes('a', 'b', 'c', 'd'))
    const taker = into(new ReplayBody(source, 10).attempt(), 2)
    expect([source.given, taker.text]).toEqual([2, 'ab'])
    taker.drain()
    expect([source.given, taker.text]).toEqual([3, 'abc'])
  })

  it('does not begin before a try takes it, and stops the source when the last try leaves', () => {
    const source = new Chunks(bytes('a', 'b'))
    const replay = new ReplayBody(source, 10)
    const first = replay.attempt()
    expect(source.taken).toBe(false)
    into(first, 1)
    first.cancel()
    expect(source.stopped).toBe(false)
    replay.done()
    expect(source.stopped).toBe(true)
  })

  it('stops the source at once when a try leaves past the cap', () => {
    const source = new Chunks(bytes('abc', 'def', 'ghi'))
    const replay = new ReplayBody(source, 4)
    const first = replay.attempt()
    into(first, 2)
    expect(replay.replayable).toBe(false)
    first.cancel()
    expect(source.stopped).toBe(true)
  })

  it('passes the failure of its source on, and is not sent again', () => {
    const replay = new ReplayBody(new Chunks(bytes('a'), new Error('the client left')), 10)
    expect(into(replay.attempt()).error?.message).toBe('the client left')
    expect(replay.replayable).toBe(false)
  })

  it('stops the source of an answered try that has left without taking it', () => {
    const source = new Chunks(bytes('a'))
    const replay = new ReplayBody(source, 10)
    replay.attempt().cancel()
    expect(source.stopped).toBe(false)
    replay.done()
    expect(source.stopped).toBe(true)
  })

  it('given up, stops a source that was begun and has no taker, and leaves one whole that was not', () => {
    const begun = new Chunks(bytes('a', 'b'))
    const replay = new ReplayBody(begun, 10)
    const first = replay.attempt()
    into(first, 1)
    first.cancel()
    replay.attempt()
    replay.giveUp()
    expect(begun.stopped).toBe(true)

    const whole = new Chunks(bytes('a'))
    const other = new ReplayBody(whole, 10)
    other.attempt()
    other.giveUp()
    expect(into(whole).text).toBe('a')
  })

  it('is not sent again where somebody else has taken its source', () => {
    const source = new Chunks(bytes('a'))
    const replay = new ReplayBody(source, 10)
    const attempt = replay.attempt()
    into(source)
    expect(() => into(attempt)).toThrow('taken before')
    expect(replay.replayable).toBe(false)
  })
})
