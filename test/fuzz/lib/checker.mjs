import { ProxyError } from '@sluice/core'
import { ResponseParser } from '../../../packages/forward/dist/wire-response-parser.js'
import { poisons } from './corpus.mjs'
import { start } from './mutator.mjs'
import { Recorder } from './recorder.mjs'

/** Holds a parser to what it may do, one stream at a time. */
export class Checker {
  /** The code of what was refused last, `undefined` if it wasn't. */
  code
  /** The last reply was read to its end. */
  whole = false
  #bytes
  #one
  #two
  #kept

  /** @param {Buffer} bytes where the streams are, with room behind them */
  constructor(bytes) {
    this.#bytes = bytes
    this.#one = new Recorder(bytes)
    this.#two = new Recorder(bytes)
    this.#kept = parserFor(this.#one)
  }

  /**
   * Gives the bytes from {@link start} to `end` to a parser in one piece, and to another in pieces that end at `cuts`.
   * @returns {string | undefined} what is wrong
   */
  check(end, asked, cuts) {
    const one = this.#one
    const two = this.#two
    // This one has read all streams before, and may remember none of them.
    const code = this.#run(this.#kept, one, end, asked, [])
    if (one.fault !== undefined) return one.fault
    if (code instanceof Error) return String(code.stack)
    const other = this.#run(parserFor(two), two, end, asked, cuts)
    if (two.fault !== undefined) return `${two.fault}, in pieces`
    if (other instanceof Error) return `${other.stack}, in pieces`
    this.code = code
    this.whole = one.ended && code === undefined
    const difference = one.differs(two)
    if (difference !== undefined) return `${difference} differs in pieces`
    if (code === undefined) {
      if (other !== undefined) return `refused in pieces alone: ${other}`
      const more = two.differs(one)
      if (more !== undefined) return `${more} differs in pieces`
    } else if (other === undefined) {
      return `refused as a whole alone: ${code}`
    }
    return undefined
  }

  #run(parser, recorder, end, asked, cuts) {
    recorder.begin()
    parser.begin(asked)
    let at = start
    try {
      for (let i = 0; i <= cuts.length; i++) {
        const stop = i < cuts.length ? cuts[i] : end
        if (stop <= at) continue
        // Behind the last piece something else lies each time; behind the others, what comes next.
        if (stop === end) poisons[(end + cuts.length) % poisons.length].copy(this.#bytes, end)
        recorder.gives(at, stop)
        const read = parser.execute(this.#bytes, at, stop)
        if (read === stop) {
          at = stop
          continue
        }
        if (!(read >= at && read < stop)) return new Error(`it read up to ${read} of ${at} to ${stop}`)
        if (!recorder.ended) return new Error(`it stopped at ${read} of ${stop} without an end`)
        break
      }
      parser.finish()
      return undefined
    } catch (error) {
      return error instanceof ProxyError
        ? error.code
        : error instanceof Error
          ? error
          : new Error(String(error))
    }
  }
}

/** A parser that tells `recorder`, whose own `ended` says whether it has. */
function parserFor(recorder) {
  return new ResponseParser({
    informed: (status, headers) => recorder.informed(status, headers),
    answered: (head) => recorder.answered(head),
    data: (from, to) => recorder.data(from, to),
    ended: (trailers) => recorder.complete(trailers),
  })
}
