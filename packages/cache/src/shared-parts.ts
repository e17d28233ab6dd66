/** A part of a body that is still coming, and where to find the one after it. */
export interface Part {
  /** What came; of a joined part the first `end - start` bytes count, and what stands there never changes. */
  bytes: Uint8Array
  /** Where in the body its first byte stands. */
  readonly start: number
  /** Where the next part begins. */
  end: number
  next: Part | undefined
}

/** A body may come byte by byte, and a part costs some 200 bytes beside its own: so many are kept as they are, then small ones are joined. */
const partsAtMost = 64

/** A part below this is small. */
const small = 1024

/** Bytes of a joined part. */
const joined = 16 * 1024

/**
 * The parts of a body as they come, for many who read each at a place of its own. A place is a part and a position: parts don't
 * change under it, they only get a successor. What is dropped lets go of its successor too: else an old part that the collector
 * hasn't looked at yet would keep all later ones.
 */
export class SharedParts {
  /** Where whoever begins does so: a part of no bytes, or the first one kept. */
  first: Part = { bytes: nothing, start: 0, end: 0, next: undefined }
  private last: Part = this.first
  private count = 0

  /** Bytes that are kept. */
  get size(): number {
    return this.last.end - this.first.start
  }

  /** Adds what came, which isn't copied unless there are many parts and it is small. */
  add(chunk: Uint8Array): void {
    const { last } = this
    const { end } = last
    const used = end - last.start
    const room = last.bytes.length - used
    if (room > 0) {
      if (chunk.length <= room) {
        last.bytes.set(chunk, used)
        last.end = end + chunk.length
        return
      }
      last.bytes = last.bytes.slice(0, used)
    }
    let bytes = chunk
    if (this.count >= partsAtMost && chunk.length < small) {
      // A buffer of its own, not one of Node's shared ones: nobody else writes behind what is used.
      bytes = new Uint8Array(joined)
      bytes.set(chunk)
    }
    const part: Part = { bytes, start: end, end: end + chunk.length, next: undefined }
    last.next = part
    this.last = part
    this.count++
  }

  /** Drops the parts that end at or before a position. Nobody's place may be in one of them. */
  dropBefore(position: number): void {
    let { first } = this
    while (first.end <= position && first.next !== undefined) {
      const { next } = first
      first.next = undefined
      first = next
      this.count--
    }
    this.first = first
  }
}

const nothing = new Uint8Array(0)
