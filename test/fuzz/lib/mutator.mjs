import { replies } from './corpus.mjs'

/** Where a stream begins: poison lies before it too. */
export const start = 64
/** Bytes that a stream may have; what is behind them is for poison. */
export const most = 256 * 1024

const methods = ['GET', 'GET', 'GET', 'GET', 'GET', 'HEAD', 'CONNECT', 'POST']
const asks = methods.flatMap((method) => [false, false, true].map((upgrade) => ({ method, upgrade })))

/** Makes streams of bytes that are nearly the messages of a corpus, in place. */
export class Mutator {
  end = start
  asked = asks[0]
  #bytes
  #chance
  #corpus

  /**
   * @param {Buffer} bytes where they are made, at {@link start}
   * @param chance what decides
   * @param corpus what they begin with; replies if left out
   */
  constructor(bytes, chance, corpus = replies) {
    this.#bytes = bytes
    this.#chance = chance
    this.#corpus = corpus
  }

  /** Makes the next stream, from {@link start} to `end`. */
  make() {
    const chance = this.#chance
    this.end = start
    this.asked = asks[chance.below(asks.length)]
    if (chance.below(8) < 3) this.#assemble()
    else this.#append(this.#one(this.#corpus.whole))
    // Now and then a stream that reaches the limits, or as it is: what is right has to be read.
    if (chance.below(2_000) === 0) this.#grow()
    for (let i = chance.below(5); i > 0; i--) this.#mutate()
  }

  #one(list) {
    return list[this.#chance.below(list.length)]
  }

  #append(piece) {
    piece.copy(this.#bytes, this.end)
    this.end += piece.length
  }

  #assemble() {
    const chance = this.#chance
    const { first, parts, seam, last } = this.#corpus
    this.#append(this.#one(first))
    for (let i = chance.below(4); i > 0; i--) this.#append(this.#one(parts))
    this.#append(seam)
    this.#append(this.#one(last))
  }

  #mutate() {
    const bytes = this.#bytes
    const chance = this.#chance
    const { scraps, whole } = this.#corpus
    const size = this.end - start
    if (size === 0) return this.#append(this.#one(scraps))
    const at = start + chance.below(size)
    switch (chance.below(9)) {
      case 0:
        bytes[at] ^= 1 << chance.below(8)
        break
      case 1:
        bytes[at] = chance.below(256)
        break
      case 2:
      case 3:
        this.#insert(at, this.#one(scraps))
        break
      case 4: {
        const piece = this.#one(scraps)
        const length = Math.min(piece.length, this.end - at)
        piece.copy(bytes, at, 0, length)
        break
      }
      case 5:
        this.#remove(at, Math.min(1 + chance.below(4), this.end - at))
        break
      case 6: {
        // A part of it once more, elsewhere.
        const length = Math.min(1 + chance.below(32), this.end - at)
        this.#insert(start + chance.below(size), Buffer.from(bytes.subarray(at, at + length)))
        break
      }
      case 7: {
        const other = this.#one(whole)
        this.#insert(at, other.subarray(chance.below(other.length)))
        break
      }
      default:
        this.end = at
    }
  }

  #insert(at, piece) {
    if (this.end + piece.length > start + most) return
    this.#bytes.copyWithin(at + piece.length, at, this.end)
    piece.copy(this.#bytes, at)
    this.end += piece.length
  }

  #remove(at, length) {
    this.#bytes.copyWithin(at, at + length, this.end)
    this.end -= length
  }

  /** One part over and over: heads and trailers too large, fields and messages too many, long bodies. */
  #grow() {
    const chance = this.#chance
    const { ahead, within } = this.#corpus
    let from = start
    let piece
    switch (chance.below(3)) {
      case 0:
        piece = ahead
        break
      case 1:
        piece = within
        from = this.#bytes.indexOf('\n', start) + 1
        if (from === 0 || from > this.end) return
        break
      default:
        from += chance.below(this.end - start)
        piece = Buffer.from(this.#bytes.subarray(from, Math.min(from + 1 + chance.below(64), this.end)))
    }
    const { length } = piece
    const times = Math.floor((1_000 + chance.below(80_000)) / length)
    if (this.end + times * length > start + most) return
    this.#bytes.copyWithin(from + times * length, from, this.end)
    for (let i = 0; i < times; i++) piece.copy(this.#bytes, from + i * length)
    this.end += times * length
  }
}
