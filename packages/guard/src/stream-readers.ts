import { Pace } from './pace.js'

/** What the streams of a connection lack to go on: `nothing` where nothing waits in any. */
export type Lack = 'nothing' | 'system' | 'connection' | 'stream'

/** One stream, as it was at the last look. */
export interface Reader {
  /** Bytes that waited in it; infinitely many: all of them have gone since, or there was none. */
  waiting: number
  /** Those of them that Node had been given to send: the same until all of them are sent. */
  flight: number
  /** For how long it has stood while its connection had room, in ms. */
  stood: number
  /** How far its connection was behind as it began to stand, or at its best since, in ms. */
  since: number
}

/**
 * Which streams of a connection of HTTP/2 have too slow a reader. A stream needs room of its own and of its connection (RFC 9113 section 6.9); Node tells of the latter
 * alone. So at each look
 *
 *   nothing waits in any stream ──────────────▶ nothing
 *   else the system takes no more off us ─────▶ system       WatchedConnection judges the connection
 *   else the connection has no room ──────────▶ connection   streams have it in turn: their client is one reader
 *   else ─────────────────────────────────────▶ stream       each that stands has itself no room
 *
 * and what runs is
 *
 *   behind   of the connection   + time in `connection`;  − bytes of bodies / rate, in whatever state, down to 0
 *   stood    of a stream         + time in `stream`;  0 as a part of what waits in it has gone
 *
 * The time before a look is that of its state, if the last one was `connection` or `stream`; else it only begins. A stream is late if
 *
 *   behind ≥ grace, as all are that wait; or stood + what `behind` has grown by since it stands ≥ grace
 *
 * No clock stops for good or goes back to 0 because of another state: a client that changes between them has no more time than one that doesn't. Only bytes bring
 * `behind` back, and not that nothing waits any more: a client may have reset what did. What it has been cut for it has paid for: streams that come then have all their time.
 */
export class StreamReaders {
  #pace: Pace
  #lack: Lack = 'nothing'
  /** The time that counts at this look, in ms. */
  #elapsed = 0
  #isLate = false

  /**
   * @param rate bytes in a second that a client has to take; 0: any byte makes up for all
   * @param grace how far behind is too far, in ms
   */
  constructor(
    private readonly rate: number,
    private readonly grace: number,
  ) {
    this.#pace = new Pace(rate, grace, 0)
  }

  /** Whether bytes that are sent now can make a difference. */
  get counts(): boolean {
    return this.#lack !== 'nothing' || this.#pace.isBehind
  }

  /**
   * Begins a look.
   * @param bytes of bodies that have been sent since ever
   * @param elapsed since the last look, in ms
   */
  look(lack: Lack, bytes: number, elapsed: number): void {
    if (this.#isLate) this.#pace = new Pace(this.rate, this.grace, bytes)
    this.#elapsed = this.#lack === 'connection' || this.#lack === 'stream' ? elapsed : 0
    this.#lack = lack
    this.#isLate = this.#pace.isLate(bytes, lack === 'connection' ? this.#elapsed : 0)
  }

  /**
   * Whether one is late, at this look.
   * @param waiting bytes that wait in it
   * @param flight those of them that Node has been given to send
   */
  isLate(reader: Reader, waiting: number, flight: number): boolean {
    const { behind } = this.#pace
    // More may have come behind them: that is none of its reader's doing.
    const stands = waiting > 0 && waiting >= reader.waiting && flight === reader.flight
    reader.waiting = waiting
    reader.flight = flight
    if (!stands) {
      reader.stood = 0
      reader.since = behind
    } else {
      if (this.#lack === 'stream') reader.stood += this.#elapsed
      reader.since = Math.min(reader.since, behind)
    }
    return waiting > 0 && (this.#isLate || reader.stood + behind - reader.since >= this.grace)
  }
}

/**
 * How much of what waited in a stream at the last look has gone for certain.
 * @param waiting bytes that wait in it now
 * @param flight those of them that Node has been given to send
 */
export function goneOf(reader: Reader, waiting: number, flight: number): number {
  // All of it, which was counted as it went.
  if (reader.waiting === Number.POSITIVE_INFINITY) return 0
  // Node is given more when all that it had is sent; more may wait behind that.
  return Math.max(0, reader.waiting - waiting, flight === reader.flight ? 0 : reader.flight)
}

/** A stream that has not been looked at: its time begins then, also where whoever serves it has given Node nothing of it yet. */
export function newReader(): Reader {
  return { waiting: Number.POSITIVE_INFINITY, flight: 0, stood: 0, since: 0 }
}
