import { Readable, Writable } from 'node:stream'
import * as zlib from 'node:zlib'
import {
  type Body,
  type BodyInit,
  ProxyError,
  PushBody,
  type Sink,
  type Spent,
  toBody,
  toReadable,
} from '@sluice/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { seeded } from '../../../test/kit/seeded.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { atRest, deferred, until } from '../../../test/kit/until.js'
import { type Codec, type Coding, codings } from './coding.js'
import { EncodedBody, type EncodeOptions } from './encoded-body.js'
import { createEncoder, encodeBody } from './index.js'

trapUnhandled()

const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (bytes: Uint8Array) => Buffer }
const decode: Record<Coding, (bytes: Uint8Array) => Buffer> = {
  gzip: zlib.gunzipSync,
  deflate: zlib.inflateSync,
  br: zlib.brotliDecompressSync,
  zstd: zstdDecompressSync as (bytes: Uint8Array) => Buffer,
}
const decoder: Record<Coding, () => Codec> = {
  gzip: () => zlib.createGunzip(),
  deflate: () => zlib.createInflate() as Codec,
  br: () => zlib.createBrotliDecompress() as unknown as Codec,
  zstd: () => (zlib as unknown as { createZstdDecompress(): Codec }).createZstdDecompress(),
}

/** A source whose parts come when the test says so. */
class Source extends PushBody {
  room = true
  stopped: Error | undefined
  give(text: string | Uint8Array, spent?: Spent): boolean {
    this.room = this.push(typeof text === 'string' ? Buffer.from(text) : text, spent)
    return this.room
  }
  done(): void {
    this.finish(['x-trailer', '1'])
  }
  lose(error: Error): void {
    this.fail(error)
  }
  protected resume(): void {
    this.room = true
  }
  protected stop(why: Error): void {
    this.stopped = why
  }
}

/** Takes what comes, as fast as the test says, and decodes it as a client does. */
class Taker implements Sink {
  readonly parts: Uint8Array[] = []
  readonly ends: string[] = []
  error: Error | undefined
  text = ''
  room = true
  drain: (() => void) | undefined
  private readonly decoder: Codec

  constructor(coding: Coding) {
    this.decoder = decoder[coding]()
    this.decoder.on('data', (chunk) => (this.text += chunk))
    this.decoder.on('error', () => {})
  }
  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }
  write(chunk: Uint8Array): boolean {
    this.parts.push(chunk)
    this.decoder.write(chunk)
    return this.room
  }
  end(trailers?: string[]): void {
    this.ends.push(`end ${trailers?.join() ?? ''}`)
  }
  abort(error: Error): void {
    this.ends.push('abort')
    this.error = error
  }
  onDrain(fn: () => void): void {
    this.drain = fn
  }
  /** Until the client can read `text`. */
  reads(text: string): Promise<unknown> {
    return until(
      () => this.text === text,
      () => `the client to read ${text}; it has ${this.text}`,
    )
  }
  over(): Promise<unknown> {
    return until(() => this.ends.length > 0, 'the body to end')
  }
}

/** A body in `coding` with its codec in the test's hands. */
function watched(source: BodyInit, coding: Coding, options: Partial<EncodeOptions> = {}) {
  const codecs: Codec[] = []
  const flushes: unknown[] = []
  const body = new EncodedBody(
    toBody(source) as Body,
    coding,
    { level: 4, flush: 'pause', ...options },
    (...args) => {
      const codec = createEncoder(...args)
      const flush = codec.flush as (kind: number, done: () => void) => void
      codec.flush = ((kind: number, done: () => void) => {
        flushes.push(kind)
        flush.call(codec, kind, done)
      }) as Codec['flush']
      codecs.push(codec)
      return codec
    },
  )
  return { body, codecs, flushes }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function all(body: Body): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of toReadable(body)) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** Bytes that a coding can make something of, and such that it can't. */
function bytesOf(size: number, seed: number): Buffer {
  const random = seeded(seed)
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = seed % 3 === 0 ? random() * 256 : 97 + random() * 4
  return bytes
}

describe.each(codings)('a body in %s', (coding) => {
  const levels = { gzip: [0, 1, 6, 9], deflate: [0, 1, 6, 9], br: [0, 1, 4, 7, 9], zstd: [1, 3, 6, 12] }[
    coding
  ]

  it('is what was sent, for any size, parts, level, flush and pace', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.nat(300), fc.nat(20_000), fc.nat(300_000)),
        fc.array(fc.oneof(fc.nat(100), fc.nat(100_000)), { maxLength: 8 }),
        fc.constantFrom(...levels),
        fc.constantFrom('event' as const, 'pause' as const),
        fc.nat(1000),
        fc.boolean(),
        async (size, sizes, level, flush, seed, known) => {
          const random = seeded(seed)
          const bytes = bytesOf(size, seed)
          const source = new Source()
          const copy: Uint8Array[] = []
          const tee = new Writable({
            write(chunk, _, done) {
              copy.push(chunk)
              if (random() < 0.5) done()
              else setImmediate(done)
            },
          })
          const body = encodeBody(source, coding, { level, flush, tee, ...(known ? { size } : {}) })
          const taker = new Taker(coding)
          body.pipe({
            write: (chunk) => {
              taker.write(chunk)
              if (random() < 0.5) return true
              setImmediate(() => taker.drain?.())
              return false
            },
            end: (trailers) => taker.end(trailers),
            abort: (error) => taker.abort(error),
            onDrain: (fn) => taker.onDrain(fn),
          })
          let at = 0
          for (const part of [...sizes, size]) {
            if (!source.give(bytes.subarray(at, at + part))) await until(() => source.room, 'room')
            at = Math.min(at + part, size)
            if (random() < 0.5) await turn()
          }
          source.done()
          await taker.over()
          expect(taker.ends).toEqual(['end x-trailer,1'])
          expect(decode[coding](taker.bytes).equals(bytes)).toBe(true)
          await until(() => tee.writableFinished, 'the copy')
          expect(Buffer.concat(copy).equals(taker.bytes)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  it.each([null, '', 'text', Buffer.from('text'), Readable.from([Buffer.from('te'), 'xt'])])(
    'may be of any kind: %#',
    async (init) => {
      const text = decode[coding](await all(encodeBody(init, coding, { level: 4, flush: 'pause' })))
      expect(String(text)).toBe(init === null || init === '' ? '' : 'text')
    },
  )

  it('has bytes before the coded ones, where told', async () => {
    const prefix = Buffer.from('magic')
    const bytes = await all(encodeBody('text', coding, { level: 4, flush: 'pause', prefix }))
    expect(String(bytes.subarray(0, 5))).toBe('magic')
    expect(String(decode[coding](bytes.subarray(5)))).toBe('text')
  })

  it('gives each event of a stream at the end of its turn, those of one turn in one write', async () => {
    const source = new Source()
    const { body, flushes } = watched(source, coding, { flush: 'event' })
    const taker = new Taker(coding)
    body.pipe(taker)
    let text = ''
    for (let i = 0; i < 5; i++) {
      source.give(`data: ${i}\n`)
      source.give('\n')
      text += `data: ${i}\n\n`
      await taker.reads(text)
      expect(taker.parts.length).toBe(i + 1)
    }
    expect(flushes).toEqual([])
    source.done()
    await taker.over()
    expect(String(decode[coding](taker.bytes))).toBe(text)
  })

  it('gives the first bytes at once, later ones when nothing has come for 4 ms, and then rests', async () => {
    const time = fakeTime()
    const source = new Source()
    const { body, flushes } = watched(source, coding, { timers: time.timers })
    const taker = new Taker(coding)
    body.pipe(taker)
    expect(time.waiting).toBe(0)
    source.give('first')
    await taker.reads('first')
    expect([time.waiting, flushes.length]).toEqual([0, 1])

    source.give(' second')
    await until(() => time.waiting === 2, 'both timers')
    time.passAtOnce(3)
    source.give(' third')
    expect(time.waiting).toBe(1)
    await until(() => time.waiting === 2, 'both timers')
    time.passAtOnce(3)
    await turn()
    expect([taker.text, flushes.length]).toEqual(['first', 1])
    time.passAtOnce(1)
    await taker.reads('first second third')
    await turn()
    expect([time.waiting, flushes.length]).toEqual([0, 2])

    source.give(' last')
    await until(() => time.waiting === 2, 'both timers')
    source.done()
    expect(time.waiting).toBe(0)
    await taker.over()
    expect([String(decode[coding](taker.bytes)), flushes.length]).toEqual(['first second third last', 2])
  })

  it('gives what comes so steadily that there is no pause 25 ms after its first byte, but to one who is behind', async () => {
    const time = fakeTime()
    const source = new Source()
    const { body, flushes } = watched(source, coding, { timers: time.timers })
    const taker = new Taker(coding)
    body.pipe(taker)
    let text = 'first'
    source.give(text)
    await taker.reads(text)
    const goOn = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 3) {
        text += ` ${passed}`
        source.give(` ${passed}`)
        await until(() => time.waiting === 2, 'both timers')
        time.passAtOnce(3)
      }
    }
    await goOn(24)
    expect(flushes.length).toBe(1)
    await goOn(3)
    expect(flushes.length).toBe(2)
    await taker.reads(text)
    expect(time.waiting).toBe(0)

    taker.room = false
    await goOn(3)
    time.passAtOnce(1)
    await taker.reads(text)
    await goOn(60)
    expect(flushes.length).toBe(3)
    taker.room = true
    taker.drain?.()
    let ms = 0
    for (; flushes.length === 3; ms += 3) await goOn(3)
    expect(ms).toBeLessThanOrEqual(27)
    await taker.reads(text)
    body.cancel()
    expect(time.waiting).toBe(0)
  })

  it('that is there as a whole is never flushed, and has a first part soon where it is large', async () => {
    for (const [size, count] of [
      [10, 0],
      [60_000, 0],
      [300_000, 1],
    ] as const) {
      const { body, flushes } = watched(bytesOf(size, 1), coding)
      expect(decode[coding](await all(body)).equals(bytesOf(size, 1))).toBe(true)
      expect(flushes.length).toBe(count)
    }
  })

  it('has no codec before its first byte, and none after it was dropped unread', async () => {
    const source = new Source()
    const tee = new Writable()
    const { body, codecs } = watched(source, coding, { tee })
    source.give('held')
    body.cancel(new Error('dropped'))
    expect(source.stopped?.message).toBe('dropped')
    expect(tee.destroyed).toBe(true)
    const silent = watched(new Source(), coding)
    silent.body.pipe(new Taker(coding))
    await turn()
    expect([...codecs, ...silent.codecs]).toEqual([])
    silent.body.cancel()
  })

  it('frees its codec when its taker leaves, also while the thread pool is at work for it', async () => {
    for (const parts of [['x'], ['x'.repeat(200_000)], ['x', 'y']]) {
      const time = fakeTime()
      const source = new Source()
      const tee = new Writable({ write: (_chunk, _encoding, done) => done() })
      const { body, codecs } = watched(source, coding, { tee, timers: time.timers })
      const taker = new Taker(coding)
      body.pipe(taker)
      for (const part of parts) {
        source.give(part)
        await turn()
      }
      expect(codecs.length).toBe(1)
      body.cancel(new Error('left'))
      expect(codecs[0]?.destroyed).toBe(true)
      await until(() => codecs[0]?.closed, 'the codec to close')
      expect([tee.destroyed, time.waiting, source.stopped?.message]).toEqual([true, 0, 'left'])
      expect(taker.ends).toEqual(['abort'])
    }
  })

  it('whose source fails is never whole: the taker hears why, the copy is dropped', async () => {
    const source = new Source()
    const tee = new Writable({ write: (_chunk, _encoding, done) => done() })
    const { body, codecs } = watched(source, coding, { tee })
    const taker = new Taker(coding)
    body.pipe(taker)
    source.give(bytesOf(100_000, 0))
    await turn()
    const lost = new Error('lost')
    source.lose(lost)
    await taker.over()
    expect([taker.ends, taker.error]).toEqual([['abort'], lost])
    await until(() => codecs[0]?.closed, 'the codec to close')
    expect([tee.destroyed, tee.writableFinished]).toEqual([true, false])
    expect(codecs[0]?.writableEnded).toBe(false)
  })

  it('fails with an error of its own where the codec fails, or cannot be made', async () => {
    const source = new Source()
    const { body, codecs } = watched(source, coding)
    const taker = new Taker(coding)
    body.pipe(taker)
    source.give('some')
    await taker.reads('some')
    codecs[0]?.destroy(new Error('out of order'))
    await taker.over()
    expect(taker.error).toBeInstanceOf(ProxyError)
    expect(taker.error).toMatchObject({
      code: 'proxy_internal_error',
      message: `the ${coding} coder failed: out of order`,
    })
    expect(source.stopped).toBe(taker.error)

    const none = new EncodedBody(toBody('text') as Body, coding, { level: 4, flush: 'event' }, () => {
      throw new RangeError('no such level')
    })
    const other = new Taker(coding)
    none.pipe(other)
    await other.over()
    expect(other.error?.message).toBe(`the ${coding} coder failed: no such level`)
  })

  it('asks its source to wait while the taker does, and holds no more than some parts meanwhile', async () => {
    const source = new Source()
    const { body, codecs } = watched(source, coding)
    const taker = new Taker(coding)
    taker.room = false
    body.pipe(taker)
    let given = 0
    // Bytes that don't get fewer: what is held then is what was given.
    await atRest(() => {
      while (source.room) {
        source.give(bytesOf(10_000, 3 * given))
        given += 10_000
      }
      return given
    })
    // What waits, what the codec was given, and its own blocks.
    expect(codecs[0]?.isPaused()).toBe(true)
    expect(given).toBeLessThan(500_000)
    taker.room = true
    taker.drain?.()
    await until(() => source.room, 'the source to go on')
    source.done()
    await taker.over()
    expect(decode[coding](taker.bytes).length).toBe(given)
  })

  it('keeps nobody waiting for its copy, and gives the copy up where it is far behind or fails', async () => {
    const stuck = deferred()
    const slow = new Writable({ write: (_chunk, _encoding, done) => void stuck.promise.then(() => done()) })
    const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error('full')) })
    for (const tee of [slow, failing]) {
      const bytes = bytesOf(900_000, 3)
      const coded = await all(encodeBody(Readable.from([bytes]), coding, { level: 1, flush: 'pause', tee }))
      expect(decode[coding](coded).equals(bytes)).toBe(true)
      expect([tee.destroyed, tee.writableFinished]).toEqual([true, false])
    }
    stuck.resolve()
  })

  it('has the parts of its source freed once they are coded, and not before', async () => {
    const source = new Source()
    const taker = new Taker(coding)
    encodeBody(source, coding, { level: 1, flush: 'pause' }).pipe(taker)
    const bytes = bytesOf(400_000, 3)
    let freed = 0
    const free = (part: Uint8Array): void => {
      freed += part.length
      part.fill(0)
    }
    const sizes = [100, 200_000, 100, 60_000, 100, 139_700]
    let at = 0
    for (const size of sizes) {
      const before = freed
      // A copy, which nobody else has.
      source.give(Buffer.from(bytes.subarray(at, at + size)), free)
      expect(freed).toBe(before)
      at += size
      if (size === 200_000) await until(() => source.room && freed > 0, 'the first part to be coded')
    }
    source.done()
    await taker.over()
    expect(freed).toBe(400_000)
    expect(decode[coding](taker.bytes).equals(bytes)).toBe(true)

    const left = new Source()
    const body = encodeBody(left, coding, { level: 1, flush: 'pause' })
    body.pipe(new Taker(coding))
    left.give(Buffer.from(bytes), free)
    // The thread pool is at work on it.
    body.cancel()
    await turn()
    expect(freed).toBe(400_000)
  })

  it('is taken once', () => {
    const body = encodeBody('text', coding, { level: 1, flush: 'pause' })
    body.cancel()
    expect(() => body.pipe(new Taker(coding))).toThrow('taken before')
  })
})
