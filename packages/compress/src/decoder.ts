import * as zlib from 'node:zlib'
import { type Codec, type Coding, codings, zlibOfNow } from './coding.js'
import { DecodeError } from './decode-error.js'
import { ZstdFrames } from './zstd-frames.js'

/** Codings that one body may have. Nobody needs more than two, and each holds memory; a hundred would be an attack (CVE-2022-32206). */
const stackAtMost = 3

/** The window that a body coded as zstd may ask for, as a power of two: 8 MB (RFC 9659 section 3). */
const zstdWindow = 23

/** Whether this Node can decode all of these codings, and they are no more than three. */
export function decodable(names: readonly string[]): names is readonly Coding[] {
  return names.length <= stackAtMost && names.every((name) => codings.includes(name as Coding))
}

/** Who gets what a {@link Decoder} makes. */
export interface DecoderOwner {
  /** Takes bytes; `false`: no more before `resume`. */
  decoded(bytes: Uint8Array): boolean
  /** What was written has been used up. */
  tookAll(): void
  /** The body is whole. */
  decodedAll(): void
  /** It never will be. Nothing else is told after that. */
  undecodable(error: Error): void
}

/**
 * Decodes one coding of one body, strictly: what is cut, damaged, or followed by other bytes fails, at the latest at its end.
 *
 * - `gzip`: members may follow each other (RFC 1952 section 2.2). Padding after them is garbage too.
 * - `deflate`: with the header of zlib, as it should be, or without, as some send it (RFC 9110 section 8.4.1.2).
 * - `br`: without the large windows that aren't of RFC 7932.
 * - `zstd`: frames may follow each other; windows of 8 MB at most.
 *
 * Nothing is held before the first bytes come. Then, beside 32 KB of what it made last: gzip and deflate 45 KB; br up to 18 MB and zstd up to
 * 10 MB, as large as the window that the body asks for, and filled no further than the body has decoded to.
 */
export class Decoder {
  private codec: Codec | undefined = undefined
  /** A first byte that doesn't tell yet what is to come. */
  private first: Uint8Array | undefined = undefined
  private readonly frames: ZstdFrames | undefined
  /** Bytes that the codec was given. */
  private given = 0
  /** Of the frames behind the one that the codec is at. */
  private rest: Uint8Array | undefined = undefined
  private ending = false
  private over = false

  constructor(
    private readonly coding: Coding,
    private readonly owner: DecoderOwner,
  ) {
    this.frames = coding === 'zstd' ? new ZstdFrames() : undefined
  }

  /** Gives it bytes: the next ones after `tookAll`. */
  write(chunk: Uint8Array): void {
    try {
      if (this.codec !== undefined) return this.feed(chunk)
      const bytes = this.first === undefined ? chunk : Buffer.concat([this.first, chunk])
      if (bytes.length < 2 && (this.coding === 'gzip' || this.coding === 'deflate')) {
        this.first = bytes
        this.owner.tookAll()
      } else {
        this.first = undefined
        this.open(bytes)
        this.feed(bytes)
      }
    } catch (error) {
      this.fail(error as Error)
    }
  }

  /** There are no more bytes. After `tookAll`. */
  end(): void {
    if (this.codec === undefined || this.frames?.areWhole === false) return this.fail(this.truncated())
    this.ending = true
    this.codec.end()
  }

  /** Goes on after `decoded` gave `false`. */
  resume(): void {
    this.codec?.resume()
  }

  /** Frees what it holds; where it is at work, when that is done. */
  destroy(): void {
    this.over = true
    this.rest = undefined
    this.codec?.destroy()
  }

  private open(bytes: Uint8Array): void {
    const codec = codecFor(this.coding, bytes)
    this.codec = codec
    codec.on('data', (part: Buffer) => {
      if (!this.over && !this.owner.decoded(part)) codec.pause()
    })
    codec.on('end', () => {
      if (this.over) return
      if (!this.ending || codec.bytesWritten !== this.given) return this.fail(this.garbage())
      this.over = true
      this.owner.decodedAll()
    })
    codec.on('error', (error) => this.fail(this.asFault(error)))
  }

  private feed(bytes: Uint8Array): void {
    const end = this.frames === undefined ? bytes.length : this.frames.pass(bytes)
    this.rest = end < bytes.length ? bytes.subarray(end) : undefined
    this.given += end
    this.codec?.write(end < bytes.length ? bytes.subarray(0, end) : bytes, this.written)
  }

  private readonly written = (error?: Error | null): void => {
    // Of an error the codec's own event tells.
    if (this.over || error) return
    if (this.codec?.bytesWritten !== this.given) return this.fail(this.garbage())
    const { rest } = this
    if (rest === undefined) return this.owner.tookAll()
    this.write(rest)
  }

  private fail(error: Error): void {
    if (this.over) return
    this.destroy()
    this.owner.undecodable(error)
  }

  private truncated(cause?: Error): DecodeError {
    return new DecodeError('truncated', this.coding, 'ends too early', cause)
  }

  private garbage(cause?: Error): DecodeError {
    return new DecodeError('garbage', this.coding, 'has bytes after its end', cause)
  }

  private asFault(cause: Error & { code?: string }): Error {
    const { code = '', message } = cause
    if (code === 'Z_BUF_ERROR') return this.truncated(cause)
    // The first member began as one: this is what follows a member.
    if (this.coding === 'gzip' && message === 'incorrect header check') return this.garbage(cause)
    // That there is no memory is no fault of the body's.
    if (/mem|alloc/i.test(code)) return cause
    return new DecodeError('corrupt', this.coding, `can not be decoded: ${message}`, cause)
  }
}

/** @throws DecodeError for what isn't gzip at its first byte */
function codecFor(coding: Coding, bytes: Uint8Array): Codec {
  const [first = 0, second = 0] = bytes
  switch (coding) {
    case 'gzip':
      if (first !== 0x1f || second !== 0x8b)
        throw new DecodeError('corrupt', coding, 'does not begin like one')
      return zlib.createGunzip() as unknown as Codec
    case 'deflate':
      return (isZlib(first, second) ? zlib.createInflate() : zlib.createInflateRaw()) as unknown as Codec
    case 'br':
      return zlib.createBrotliDecompress() as unknown as Codec
    case 'zstd': {
      const params = { [zlibOfNow.constants.ZSTD_d_windowLogMax as number]: zstdWindow }
      return (zlibOfNow.createZstdDecompress as (options: object) => Codec)({ params })
    }
  }
}

/**
 * Whether two bytes are the header of RFC 1950 section 2.2. Without it they would be a block of plain bytes whose padding isn't 0, which no
 * encoder makes.
 */
function isZlib(first: number, second: number): boolean {
  return (first & 15) === 8 && first >> 4 <= 7 && (first * 256 + second) % 31 === 0
}
