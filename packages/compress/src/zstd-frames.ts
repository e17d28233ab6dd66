import { DecodeError } from './decode-error.js'

/** Bytes that each part of a frame needs to be read; others are passed over. */
const sizes = { magic: 4, descriptor: 1, block: 3, size: 4 }

const frameMagic = 0xfd2fb528
/** The lowest of sixteen. */
const skippableMagic = 0x184d2a50

/**
 * Finds where frames of zstd end (RFC 8878 section 3.1), by their headers and those of their blocks alone. Node's zlib doesn't tell:
 * before 24 it takes a body that is cut for a whole one, 26 does so where a few bytes of a further frame came, and before 26 it
 * drops a frame that begins in the middle of what it was given.
 *
 * magic ─┬─ frame ───────▶ descriptor ─▶ (window, dictionary, size) ─▶ block ─▶ (content) ─┬─ not the last ─▶ block
 *        └─ skippable ───▶ size ─▶ (content) ─▶ magic                                      └─ last ─▶ (checksum) ─▶ magic
 */
export class ZstdFrames {
  private part: keyof typeof sizes = 'magic'
  /** What of the part has come, little-endian. */
  private value = 0
  private have = 0
  /** Bytes to pass over. */
  private skip = 0
  /** The frame ends behind what is passed over. */
  private last = false
  private checksum = 0
  private begun = false

  /** No frame is under way. */
  get areWhole(): boolean {
    return this.part === 'magic' && this.have === 0
  }

  /**
   * Reads on.
   * @returns how many bytes of `bytes` are up to the end of the frame under way: all of them where it goes on
   * @throws DecodeError at what begins no frame
   */
  pass(bytes: Uint8Array): number {
    let at = 0
    while (at < bytes.length) {
      if (this.skip > 0) {
        const passed = Math.min(this.skip, bytes.length - at)
        this.skip -= passed
        at += passed
      } else {
        this.value += (bytes[at++] as number) * 2 ** (8 * this.have++)
        if (this.part === 'magic') this.checkMagic()
        if (this.have === sizes[this.part]) this.read()
      }
      if (this.last && this.skip === 0) {
        this.last = false
        this.next('magic')
        return at
      }
    }
    return at
  }

  private read(): void {
    const { part, value } = this
    if (part === 'magic') {
      this.begun = true
      this.next(value === frameMagic ? 'descriptor' : 'size')
    } else if (part === 'descriptor') {
      const single = (value & 0x20) !== 0
      const sized = value >> 6
      this.checksum = (value & 4) === 0 ? 0 : 4
      this.skip = (single ? 0 : 1) + ([0, 1, 2, 4][value & 3] as number)
      this.skip += sized === 0 ? Number(single) : 2 ** sized
      this.next('block')
    } else if (part === 'block') {
      // One byte stands for all of a block that is a run of it.
      this.skip = ((value >> 1) & 3) === 1 ? 1 : value >> 3
      this.last = (value & 1) === 1
      if (this.last) this.skip += this.checksum
      this.next('block')
    } else {
      this.skip = value
      this.last = true
    }
  }

  private next(part: keyof typeof sizes): void {
    this.part = part
    this.value = 0
    this.have = 0
  }

  /** As each byte comes, so that one that is wrong doesn't look like the beginning of more. */
  private checkMagic(): void {
    const { value } = this
    const below = 2 ** (8 * this.have)
    if (value === frameMagic % below || value - (value % 16) === skippableMagic % below) return
    if (this.begun) throw new DecodeError('garbage', 'zstd', 'has bytes after its end')
    throw new DecodeError('corrupt', 'zstd', 'does not begin like one')
  }
}
