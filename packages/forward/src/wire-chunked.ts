import { malformed, tokenBytes, valueBytes } from './wire-field-lines.js'
import { wireLimits } from './wire-limits.js'

/** The value of a hexadecimal digit, 255 for every other byte. */
const hex = new Uint8Array(256).fill(255)
for (let digit = 0; digit < 16; digit++) {
  hex[digit.toString(16).charCodeAt(0)] = digit
  hex[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}

enum State {
  /** Before the first digit of a size. */
  Begin,
  Size,
  /** Before the first byte of an extension's name, then in it. */
  Extension,
  ExtensionName,
  /** After the `=`, then in a value that is a token. */
  ExtensionValue,
  ExtensionToken,
  /** In a quoted value, after its backslash, after its end. */
  ExtensionQuoted,
  ExtensionPair,
  ExtensionEnd,
  /** After the carriage return of a size's line. */
  SizeEnd,
  Data,
  /** After a chunk's last byte. */
  DataEnd,
  DataLineFeed,
  /** The last chunk has been read: trailers follow. */
  Done,
}

type ExtensionState =
  | State.Extension
  | State.ExtensionName
  | State.ExtensionValue
  | State.ExtensionToken
  | State.ExtensionQuoted
  | State.ExtensionPair
  | State.ExtensionEnd

/** A size of more digits than this is none: it would pass 2^53. */
const digitsAtMost = 13

/**
 * Takes the chunked coding off a body (RFC 9112 section 7.1), over any split of its bytes.
 *
 * Begin ─▶ Size ─▶ (Extension) ─▶ SizeEnd ─▶ Data ─▶ DataEnd ─▶ DataLineFeed ─▶ Begin …
 *                                    └─ size 0 ─▶ Done
 *
 * Strict where parsers differ: no blank around a size or an extension, no line feed alone, no sign, no prefix, no endless
 * size or extension, no extension that isn't `;name`, `;name=value` or `;name="value"` (section 7.1.1). Extensions mean
 * nothing here, but where one ends decides where the chunk begins.
 */
export class ChunkedDecoder {
  private state: State = State.Begin
  private size = 0
  /** Digits of the size, then bytes of the extension. */
  private count = 0

  /** The last chunk has been read. */
  get done(): boolean {
    return this.state === State.Done
  }

  /** Begins anew. */
  reset(): void {
    this.state = State.Begin
  }

  /**
   * Reads `bytes` from `at` to `end`, and tells `data` where the body's bytes are.
   * @returns the index behind the last byte that was read: `end`, or where the trailers begin
   * @throws ProxyError http_protocol_error
   */
  decode(bytes: Buffer, at: number, end: number, data: { data(from: number, to: number): void }): number {
    while (at < end) {
      const byte = bytes[at] as number
      switch (this.state) {
        case State.Begin: {
          const digit = hex[byte] as number
          if (digit === 255) throw malformed('a chunk without a size')
          this.size = digit
          this.count = 1
          this.state = State.Size
          at++
          break
        }
        case State.Size: {
          at++
          const digit = hex[byte] as number
          if (digit !== 255) {
            if (++this.count > digitsAtMost) throw malformed('the size of a chunk has too many digits')
            this.size = this.size * 16 + digit
          } else if (byte === 13) {
            this.state = State.SizeEnd
          } else if (byte === 59) {
            this.count = 0
            this.state = State.Extension
          } else {
            throw malformed('the size of a chunk is no number')
          }
          break
        }
        case State.Extension:
        case State.ExtensionName:
        case State.ExtensionValue:
        case State.ExtensionToken:
        case State.ExtensionQuoted:
        case State.ExtensionPair:
        case State.ExtensionEnd:
          at++
          if (++this.count > wireLimits.chunkExtension && byte !== 13)
            throw malformed('a chunk extension is too long')
          this.state = afterExtensionByte(this.state, byte)
          break
        case State.SizeEnd:
          at++
          if (byte !== 10) throw malformed('a line of a chunk does not end as lines do')
          if (this.size === 0) {
            this.state = State.Done
            return at
          }
          this.state = State.Data
          break
        case State.Data: {
          const stop = Math.min(end, at + this.size)
          this.size -= stop - at
          if (this.size === 0) this.state = State.DataEnd
          data.data(at, stop)
          at = stop
          break
        }
        case State.DataEnd:
          at++
          if (byte !== 13) throw malformed('a chunk is longer than its size')
          this.state = State.DataLineFeed
          break
        case State.DataLineFeed:
          at++
          if (byte !== 10) throw malformed('a chunk is longer than its size')
          this.state = State.Begin
          break
        case State.Done:
          return at
      }
    }
    return at
  }
}

/**
 * Where a byte of an extension leads: `;name`, `;name=token`, `;name="quoted"`, any number of them. RFC 9112 section 7.1.1
 * lets blanks stand around the signs, for old senders' sake; parsers disagree about them, and nobody sends them.
 */
function afterExtensionByte(state: ExtensionState, byte: number): State {
  switch (state) {
    case State.Extension:
      if (tokenBytes[byte] === 1) return State.ExtensionName
      break
    case State.ExtensionName:
      if (tokenBytes[byte] === 1) return state
      if (byte === 61) return State.ExtensionValue
      if (byte === 59) return State.Extension
      if (byte === 13) return State.SizeEnd
      break
    case State.ExtensionValue:
      if (tokenBytes[byte] === 1) return State.ExtensionToken
      if (byte === 34) return State.ExtensionQuoted
      break
    case State.ExtensionToken:
      if (tokenBytes[byte] === 1) return state
      if (byte === 59) return State.Extension
      if (byte === 13) return State.SizeEnd
      break
    case State.ExtensionQuoted:
      if (byte === 34) return State.ExtensionEnd
      if (byte === 92) return State.ExtensionPair
      if (valueBytes[byte] === 1) return state
      break
    case State.ExtensionPair:
      if (valueBytes[byte] === 1) return State.ExtensionQuoted
      break
    case State.ExtensionEnd:
      if (byte === 59) return State.Extension
      if (byte === 13) return State.SizeEnd
      break
  }
  throw malformed('a chunk extension that is none')
}
