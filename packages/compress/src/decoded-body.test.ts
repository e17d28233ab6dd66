import { randomBytes } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import * as zlib from 'node:zlib'
import { type Body, PushBody, type Sink } from '@sluice/core'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { type Coding, codings } from './coding.js'
import { DecodeError } from './decode-error.js'
import { type DecodeLimits, decodeBody } from './decoded-body.js'
import { decodable } from './decoder.js'
import { createEncoder, encodeSync } from './encoder.js'

trapUnhandled()

const noLimits: DecodeLimits = { maxSize: 0, maxRatio: 0 }

/** Codings as they come over the wire, and levels of each. */
const forms = [...codings, 'raw deflate'] as const
type Form = (typeof forms)[number]

function encode(form: Form, bytes: Uint8Array, level = 4): Buffer {
  if (form === 'raw deflate') return zlib.deflateRawSync(bytes, { level })
  return encodeSync(form, bytes, { level })
}

const nameOf = (form: Form): Coding => (form === 'raw deflate' ? 'deflate' : form)

/** Gives parts, each in a turn of its own or all at once, and keeps to what its sink asks for. */
class Parts extends PushBody {
  stopped: Error | undefined = undefined
  sent = 0
  private begun = false

  constructor(
    private readonly parts: Iterator<Uint8Array>,
    private readonly atOnce = false,
    private readonly failure?: Error,
    private readonly after?: string[],
  ) {
    super()
    this.waiting = true
  }

  protected resume(): void {
    if (this.begun && !this.atOnce) return void setImmediate(() => this.next())
    this.begun = true
    this.next()
  }

  protected stop(why: Error): void {
    this.stopped = why
  }

  private next(): void {
    for (;;) {
      if (this.ended) return
      const { value, done } = this.parts.next()
      if (done === true) return this.failure === undefined ? this.finish(this.after) : this.fail(this.failure)
      this.sent += value.length
      if (!this.push(value)) return
      if (!this.atOnce) return void setImmediate(() => this.next())
    }
  }
}

/** What became of a body. */
interface Taken {
  bytes: Buffer
  error?: Error
  trailers?: string[] | undefined
  ends: number
}

/** Takes a body; a slow taker asks to wait after each part. */
function take(body: Body, slow = false): Promise<Taken> {
  return new Promise((resolve) => {
    const parts: Uint8Array[] = []
    const taken: Taken = { bytes: Buffer.alloc(0), ends: 0 }
    let drain: () => void
    const over = (): void => {
      taken.ends++
      taken.bytes = Buffer.concat(parts)
      setImmediate(resolve, taken)
    }
    const sink: Sink = {
      write(chunk) {
        parts.push(Buffer.from(chunk))
        if (slow) setImmediate(() => drain())
        return !slow
      },
      end(trailers) {
        taken.trailers = trailers
        over()
      },
      abort(error) {
        taken.error = error
        over()
      },
      onDrain(fn) {
        drain = fn
      },
    }
    body.pipe(sink)
  })
}

function split(bytes: Uint8Array, size: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size))
  return parts
}

const of = (...parts: Uint8Array[]): Parts => new Parts(parts.values())
const decoded = (coding: string | string[], ...parts: Uint8Array[]): Promise<Taken> =>
  take(decodeBody(of(...parts), [coding].flat()))
const faultOf = ({ error }: Pick<Taken, 'error'>): string | undefined =>
  error === undefined ? undefined : error instanceof DecodeError ? error.fault : String(error)

/** What all codecs of Node's zlib are. */
const codecBase = ((): { _destroy(error: Error | null, done: () => void): void } => {
  let at = zlib.Gunzip.prototype
  while (!Object.hasOwn(at, '_destroy')) at = Object.getPrototypeOf(at)
  return at as never
})()
afterEach(() => void vi.restoreAllMocks())

const text = Buffer.from(
  'A body, and again a body, and one more body that goes on for a little while. '.repeat(3),
)

describe.each(forms)('%s', (form) => {
  const coding = nameOf(form)
  const whole = encode(form, text)

  it('gives what was coded', async () => {
    expect(await decoded(coding, whole)).toEqual({ bytes: text, ends: 1, trailers: undefined })
    expect(decodeBody(of(whole), [coding]).length).toBeUndefined()
  })

  it('of no bytes is empty where its source says that it is whole', async () => {
    const empty = { bytes: Buffer.alloc(0), ends: 1, trailers: undefined }
    expect(await decoded(coding)).toEqual(empty)
    expect(await decoded([coding, coding])).toEqual(empty)
  })

  it('cut at any length is truncated, and never whole', async () => {
    for (let length = 1; length < whole.length; length++) {
      const cut = whole.subarray(0, length)
      for (const parts of [[cut], split(cut, 1)]) {
        const taken = await decoded(coding, ...parts)
        expect(faultOf(taken), `${length} bytes`).toBe('truncated')
        expect(taken.ends).toBe(1)
      }
    }
  })

  it('with any bit flipped ends, and as something else only where no check sees it', async () => {
    for (let at = 0; at < whole.length * 8; at++) {
      const bad = Buffer.from(whole)
      bad[at >> 3] = (bad[at >> 3] as number) ^ (1 << (at & 7))
      const taken = await decoded(coding, bad)
      expect(taken.ends).toBe(1)
      if (taken.error !== undefined) expect(taken.error).toBeInstanceOf(DecodeError)
      // gzip and zlib have a checksum. The fields of gzip's head that it leaves out say nothing of the bytes.
      else if (form === 'gzip' || form === 'deflate') expect(taken.bytes).toEqual(text)
    }
  })

  it.each([
    ['a byte', Buffer.from('x')],
    ['zeros', Buffer.alloc(9)],
    ['text', Buffer.from('HTTP/1.1 200 OK\r\n\r\n')],
  ])('followed by %s has garbage', async (_name, tail) => {
    const joined = Buffer.concat([whole, tail])
    for (const parts of [[joined], [whole, tail], split(joined, 1), [whole, ...split(tail, 1)]]) {
      const taken = await decoded(coding, ...parts)
      // The head of a further member of gzip is looked at from its second byte on.
      expect(faultOf(taken)).toBe(form === 'gzip' && tail.length === 1 ? 'truncated' : 'garbage')
      expect(taken.bytes.equals(text.subarray(0, taken.bytes.length))).toBe(true)
    }
  })

  it('garbage of any kind in its place ends with an error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 8, maxLength: 300 }), async (junk) => {
        const taken = await decoded(coding, junk)
        expect(taken.ends).toBe(1)
        // Nearly everything is; deflate without a head may be what it says.
        if (taken.error !== undefined) expect(taken.error).toBeInstanceOf(DecodeError)
      }),
      { numRuns: 60 },
    )
  })

  it('whose source fails, fails with that, and was not whole', async () => {
    const failure = new Error('the client left')
    for (const part of [whole, whole.subarray(0, 9)]) {
      const source = new Parts([part].values(), false, failure)
      expect(await take(decodeBody(source, [coding]))).toMatchObject({ error: failure, ends: 1 })
    }
  })

  it('that nobody wants any more stops its source', async () => {
    const why = new Error('left')
    const noise = encode(form, randomBytes(2 * 1024 * 1024))
    const source = new Parts(split(noise, 500).values())
    const body = decodeBody(source, [coding])
    const taken = take(body)
    await until(() => source.sent > 2_000, 'some of it to be decoded')
    body.cancel(why)
    expect(await taken).toMatchObject({ error: why, ends: 1 })
    expect(source.stopped).toBe(why)
  })

  it('that nobody has taken is cancelled without having been read', () => {
    const source = of(whole)
    decodeBody(source, [coding]).cancel()
    expect(source.stopped).toBeInstanceOf(Error)
    expect(source.sent).toBe(0)
  })

  it('a bomb ends at the limit', async () => {
    const bomb = encode(form, Buffer.alloc(10 * 1024 * 1024), 9 % 10)
    const endless = function* (): Generator<Uint8Array> {
      for (;;) yield* split(bomb, 4_096)
    }
    const source = new Parts(endless())
    const small = await take(decodeBody(source, [coding], { maxSize: 100_000, maxRatio: 0 }))
    expect(faultOf(small)).toBe('too-large')
    expect(small.bytes.length).toBeLessThanOrEqual(100_000)
    expect(source.stopped).toBe(small.error)
    const flat = await take(decodeBody(of(bomb), [coding], { maxSize: 0, maxRatio: 100 }))
    expect(faultOf(flat)).toBe('ratio')
    expect(flat.bytes.length).toBeLessThanOrEqual(Math.max(1024 * 1024, bomb.length * 100))
  })

  it.each([
    ['its taker leaves', (body: Body) => body.cancel(), noLimits],
    ['a limit is passed', () => {}, { maxSize: 300_000, maxRatio: 0 }],
  ])('frees its codec when %s', async (_name, leave, limits) => {
    const destroyed = vi.spyOn(codecBase, '_destroy')
    const source = new Parts(split(encode(form, randomBytes(2 * 1024 * 1024)), 50_000).values())
    const body = decodeBody(source, [coding], limits)
    const taken = take(body)
    await until(() => source.sent > 100_000, 'some of it to be decoded')
    leave(body)
    expect((await taken).error).toBeDefined()
    expect(destroyed).toHaveBeenCalledTimes(1)
    await until(() => (destroyed.mock.contexts[0] as zlib.Gunzip).closed, 'the codec to close')
  })

  it('has a source that is faster wait', async () => {
    const bytes = randomBytes(1024 * 1024)
    let sent = 0
    const source = new Parts(
      (function* () {
        for (const part of split(encode(form, bytes), 10_000)) {
          sent += part.length
          yield part
        }
      })(),
      true,
    )
    const body = decodeBody(source, [coding])
    const taken = take(body, true)
    expect(sent).toBeLessThan(100_000)
    expect((await taken).bytes.equals(bytes)).toBe(true)
  })

  it('gives at once what its sender has flushed', async () => {
    const encoder = (
      form === 'raw deflate' ? zlib.createDeflateRaw() : createEncoder(form, { level: 4 })
    ) as zlib.Gzip
    const source = new PassThrough()
    encoder.pipe(source)
    let got = ''
    decodeBody(source, [coding]).pipe({
      write: (chunk) => {
        got += Buffer.from(chunk).toString()
        return true
      },
      end: () => {
        got += '.'
      },
      abort: (error) => {
        got += error
      },
      onDrain: () => {},
    })
    let sent = ''
    for (const event of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
      sent += event
      encoder.write(event)
      encoder.flush()
      await until(() => got === sent, `event ${event}`)
    }
    encoder.end()
    await until(() => got === `${sent}.`, 'the end')
  })

  it('makes no more than its taker wants', async () => {
    const bomb = encode(form, Buffer.alloc(10 * 1024 * 1024))
    let bytes = 0
    decodeBody(of(bomb), [coding]).pipe({
      write: (chunk) => {
        bytes += chunk.length
        return false
      },
      end: () => {},
      abort: () => {},
      onDrain: () => {},
    })
    await until(() => bytes > 0, 'a first part')
    for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate)
    expect(bytes).toBeLessThan(100_000)
  })
})

it('what was sent comes out, whatever the codings, levels, splits, members and takers', async () => {
  const members = fc.array(fc.uint8Array({ maxLength: 2_000 }), { minLength: 1, maxLength: 4 })
  const layers = fc.array(fc.constantFrom(...forms), { minLength: 1, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(
      members,
      fc.integer({ min: 1, max: 200 }),
      layers,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 3_000 }),
      fc.boolean(),
      fc.boolean(),
      async (given, times, stack, level, size, atOnce, slow) => {
        const parts = given.map((part) => Buffer.concat(Array.from({ length: times }, () => part)))
        // Several of them one after the other are a body only where the coding says so.
        const [inner = 'gzip'] = stack
        const some = inner === 'gzip' || inner === 'zstd' ? parts : [Buffer.concat(parts)]
        let coded: Uint8Array = Buffer.concat(some.map((part) => encode(inner, part, level)))
        for (const form of stack.slice(1)) coded = encode(form, coded, level)
        const source = new Parts(split(coded, size).values(), atOnce, undefined, [
          'X-Sum',
          '1',
          'Digest',
          'x',
        ])
        const taken = await take(decodeBody(source, stack.map(nameOf)), slow)
        expect(taken.error).toBeUndefined()
        expect(taken.bytes.equals(Buffer.concat(parts))).toBe(true)
        expect(taken.trailers).toEqual(['X-Sum', '1'])
      },
    ),
    { numRuns: 120 },
  )
})

describe('members and frames', () => {
  it.each(['gzip', 'zstd'].filter((name) => codings.includes(name as Coding)) as Coding[])(
    '%s: empty ones count for nothing, and one that is cut is truncated wherever that is',
    async (coding) => {
      const empty = encode(coding, Buffer.alloc(0))
      const one = encode(coding, text)
      const all = Buffer.concat([empty, one, empty, empty, one, empty])
      expect((await decoded(coding, all)).bytes).toEqual(Buffer.concat([text, text]))
      expect((await decoded(coding, ...split(all, 1))).bytes).toEqual(Buffer.concat([text, text]))
      expect(await decoded(coding, empty)).toMatchObject({ bytes: Buffer.alloc(0), ends: 1 })
      const second = Buffer.concat([one, one])
      for (let length = one.length + 1; length < second.length; length++) {
        expect(faultOf(await decoded(coding, second.subarray(0, length))), `${length} bytes`).toBe(
          'truncated',
        )
        expect(faultOf(await decoded(coding, one, ...split(second.subarray(one.length, length), 1)))).toBe(
          'truncated',
        )
      }
    },
  )

  it('br and deflate have one: another behind it is garbage', async () => {
    for (const form of ['br', 'deflate', 'raw deflate'] as const) {
      const twice = Buffer.concat([encode(form, text), encode(form, text)])
      expect(faultOf(await decoded(nameOf(form), twice))).toBe('garbage')
    }
  })
})

describe('a stack', () => {
  const times = (bytes: Uint8Array, count: number): Buffer =>
    count === 0 ? Buffer.from(bytes) : zlib.gzipSync(times(bytes, count - 1), { level: 9 })

  it('is three high at most', async () => {
    expect((await decoded(['gzip', 'gzip', 'gzip'], times(text, 3))).bytes).toEqual(text)
    expect(decodable(['gzip', 'gzip', 'gzip'])).toBe(true)
    const fifty = Array.from({ length: 50 }, () => 'gzip')
    expect(decodable(fifty)).toBe(false)
    expect(() => decodeBody(of(text), fifty)).toThrow(TypeError)
    expect(decodable(['gzip', 'compress'])).toBe(false)
    expect(() => decodeBody(of(text), ['rot13'])).toThrow('codings: got rot13')
  })

  it('a bomb in a bomb is one, by the bytes that came', async () => {
    const nested = times(Buffer.alloc(20 * 1024 * 1024), 2)
    const taken = await take(decodeBody(of(nested), ['gzip', 'gzip'], { maxSize: 0, maxRatio: 100 }))
    expect(faultOf(taken)).toBe('ratio')
    expect(taken.bytes.length).toBeLessThanOrEqual(1024 * 1024)
    // Members of nothing: what comes out at the end says nothing of the work.
    const empty = zlib.gzipSync(Buffer.alloc(0))
    const idle = zlib.gzipSync(Buffer.concat(Array.from({ length: 200_000 }, () => empty)))
    const none = await take(decodeBody(of(idle), ['gzip', 'gzip'], { maxSize: 0, maxRatio: 100 }))
    expect(faultOf(none)).toBe('ratio')
  })

  it('of which any part is cut is truncated', async () => {
    const inner = zlib.gzipSync(text)
    const cut = zlib.brotliCompressSync(inner.subarray(0, -3))
    expect(faultOf(await decoded(['gzip', 'br'], cut))).toBe('truncated')
    const outer = zlib.brotliCompressSync(inner)
    for (let length = 1; length < outer.length; length++)
      expect(faultOf(await decoded(['gzip', 'br'], outer.subarray(0, length)))).toBe('truncated')
  })
})

it('an error is what the caller makes of it', async () => {
  const made = new Error('400')
  const taken = await take(decodeBody(of(text), ['gzip'], noLimits, () => made))
  expect(taken.error).toBe(made)
})

it('a body may be bytes, text, a stream or nothing, and be read as a stream', async () => {
  const coded = zlib.gzipSync(text)
  expect((await take(decodeBody(coded, ['gzip']))).bytes).toEqual(text)
  expect((await take(decodeBody(Readable.from([coded]), ['gzip']))).bytes).toEqual(text)
  expect(await take(decodeBody(null, ['gzip']))).toMatchObject({ bytes: Buffer.alloc(0), ends: 1 })
  expect(faultOf(await take(decodeBody('text', ['gzip'])))).toBe('corrupt')
  const parts: Buffer[] = []
  for await (const part of decodeBody(coded, ['gzip']).readable()) parts.push(part as Buffer)
  expect(Buffer.concat(parts)).toEqual(text)
})

it('windows that are too large are refused', async () => {
  const { BROTLI_PARAM_LARGE_WINDOW, BROTLI_PARAM_LGWIN } = zlib.constants
  const large = zlib.brotliCompressSync(text, {
    params: { [BROTLI_PARAM_LARGE_WINDOW]: 1, [BROTLI_PARAM_LGWIN]: 30 },
  })
  expect(faultOf(await decoded('br', large))).toBe('corrupt')
  if (!codings.includes('zstd')) return
  // A frame that asks for 16 MB: descriptor without a size, window of 2^24.
  const wide = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (24 - 10) << 3, 0x01, 0x00, 0x00])
  expect(faultOf(await decoded('zstd', wide))).toBe('corrupt')
  wide[5] = (23 - 10) << 3
  expect(faultOf(await decoded('zstd', wide))).toBeUndefined()
})
