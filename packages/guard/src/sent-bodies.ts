import type { OutgoingHttpHeaders } from 'node:http'

/** Bytes of a frame without what it carries (RFC 9113 section 4.1). */
const ofFrame = 9
/** Bytes of frames that carry a block of fields, at most: where it is longer it goes on in further ones (section 6.10). */
const inFrame = 16_384
/** Bytes at most of our answer to a frame that a client may send at will, a change of HPACK's table in the next block with it. */
const ofControl = 32
/** Bytes of a WINDOW_UPDATE (section 6.9), and of a RST_STREAM (section 6.4). */
const ofUpdate = 13
/** Bytes that HPACK adds to a name and its value at most, where it makes them no shorter (RFC 7541 section 6.2). */
const ofField = 8
/** The window of a connection, which no setting makes smaller (RFC 9113 section 6.9.2). */
const connectionWindow = 65_535

/** What a stream of HTTP/2 has sent beside its body, as Node tells it. */
export interface SentFields {
  readonly sentInfoHeaders?: readonly OutgoingHttpHeaders[] | undefined
  readonly sentHeaders?: OutgoingHttpHeaders | undefined
  readonly sentTrailers?: OutgoingHttpHeaders | undefined
}

/**
 * How much of its bodies a connection of HTTP/2 has sent. Node counts what it writes, and doesn't say what of it are DATA frames; only those wait for room (RFC 9113
 * section 6.9). So all else is taken off, at the most that it may have been: else a client that gives bodies no room would pass for a reader by whatever
 * it has us write.
 *
 *   sum += max(gone, written − heads and trailers − answers to PING and SETTINGS − ends − WINDOW_UPDATEs), all since the last look
 *
 * What is taken off too much is so for one look only, and never adds up: a head is some 300 bytes here, and 50 on the wire where the last one was alike. But where
 * bodies are smaller than that, it would leave nothing of them at any look. So what has waited in a stream and is seen to have gone counts in any case. It may have gone in
 * part before the last look, and have counted then: so a byte counts twice at most.
 */
export class SentBodies {
  #written = 0
  #read = 0
  #others = 0
  #gone = 0
  #sum = 0

  /** So much of a body has waited for room, and gone. */
  gone(bytes: number): void {
    this.#gone += bytes
  }

  /** A frame that a client may send at will has come, or we send one like it. */
  control(): void {
    this.#others += ofControl
  }

  /** A stream has ended: with a frame that says so, or an empty one of DATA, for which there is always room. */
  ended(): void {
    this.#others += ofUpdate + ofFrame
  }

  /**
   * What a stream has sent by now.
   * @param known blocks of fields of it that have been counted
   * @returns those that are now
   */
  fields({ sentHeaders, sentInfoHeaders, sentTrailers }: SentFields, known: number): number {
    const infos = sentInfoHeaders?.length ?? 0
    const blocks = infos + (sentHeaders === undefined ? 0 : 1) + (sentTrailers === undefined ? 0 : 1)
    if (blocks === known) return known
    // In the order in which they go.
    const all = [...(sentInfoHeaders ?? []), sentHeaders, sentTrailers].filter((each) => each !== undefined)
    for (const block of all.slice(known)) this.#others += sizeOf(block)
    return blocks
  }

  /**
   * @param written bytes that have been written since ever
   * @param read bytes that have come since ever
   * @param window that of a stream on which bodies come
   * @returns bytes of bodies since ever
   */
  sum(written: number, read: number, window: number): number {
    // As half of a window has been read its client is told so, for the stream and for the connection.
    const updates = (read - this.#read) * 2 * ofUpdate * (1 / Math.max(1, window) + 1 / connectionWindow)
    this.#sum += Math.max(this.#gone, written - this.#written - this.#others - updates)
    this.#written = written
    this.#read = read
    this.#others = 0
    this.#gone = 0
    return this.#sum
  }
}

/** Bytes of a block of fields on the wire, at most. */
function sizeOf(block: OutgoingHttpHeaders): number {
  let size = 0
  for (const name of Object.keys(block)) {
    const value = block[name]
    for (const each of Array.isArray(value) ? value : [value])
      size += name.length + String(each).length + ofField
  }
  return size + ofFrame * Math.ceil((size + 1) / inFrame)
}
