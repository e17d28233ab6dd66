import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Spent } from './body.js'
import { queueAtMost, type Waiting, waitsIn } from './queue-at-most.js'
import { type Stall, stalledReaders } from './stalled-readers.js'
import { writesUnseen } from './unseen.js'
import { writeSpent } from './write-spent.js'

/** More than the systems at both ends hold of one connection (Linux: 4 MB to be sent, the maximum of `tcp_wmem`): whoever has had so much has read some of it. */
const systemsHold = 8 * 1024 * 1024
/** Bytes of a part where it is likely to be stuck. */
const smallPart = 16 * 1024

/**
 * How much of an answer may wait for its client. What waits for those who take nothing is what a slow reader costs, 64 KB to 192 KB each, and V8
 * marks its whole heap for each 10 MB of it (docs/decisions/055). So where many take nothing, one of whom nobody knows yet that it reads is given small parts, and
 * none while another waits.
 */
export class ReaderPace {
  private stall: Stall | undefined = undefined
  /** It has taken what had to wait for room in the system. */
  private reads = false
  private waiting: Waiting | undefined = undefined
  private listens = false
  private isOver = false

  /**
   * @param shares it is one of those that share a connection of HTTP/2
   * @param drain hears each time when there is room again; another body of the same answer puts its own there
   * @param readers all that this process answers
   */
  constructor(
    private readonly res: ServerResponse | Http2ServerResponse,
    private readonly shares: boolean,
    public drain: (() => void) | undefined,
    private readonly readers = stalledReaders,
  ) {}

  /**
   * Writes a part.
   * @param sent bytes of the answer, this part's among them
   * @returns whether more may come at once
   */
  write(chunk: Uint8Array, spent: Spent | undefined, sent: number): boolean {
    const { res } = this
    const doubtful = this.isDoubtful(sent)
    let room: boolean
    // Behind one that waits as well: the last that goes out tells of room.
    if ((doubtful || this.stall !== undefined) && writesUnseen(res as ServerResponse)) {
      // Node itself asks to wait beyond 64 KB alone (22 and later), and tells of no room before.
      ;(res as ServerResponse).write(chunk, (error) => {
        if (error) return
        spent?.(chunk)
        // Of what a connection that ends has dropped Node 20 tells without an error.
        if (this.stall !== undefined && res.writableLength === 0 && res.socket?.destroyed === false)
          this.drained()
      })
      room = res.writableLength === 0
    } else room = writeSpent(res as ServerResponse, chunk, spent) || this.hasRoom(doubtful)
    if (!room) this.begin()
    return room
  }

  /** @param sent bytes of the answer so far */
  partAtMost(sent: number): number {
    return this.isDoubtful(sent) ? smallPart : Number.POSITIVE_INFINITY
  }

  closed(): void {
    this.isOver = true
    if (this.stall !== undefined) this.readers.end(this.stall)
    this.stall = undefined
    if (this.waiting !== undefined) this.waiting.count--
    this.waiting = undefined
  }

  /** Whether more may come though Node asks to wait. */
  private hasRoom(doubtful: boolean): boolean {
    const { res } = this
    if (this.shares) this.waiting ??= waitsIn((res as Http2ServerResponse).stream?.session)
    // Whoever has replaced `write` has a queue of its own, which only its answer tells of.
    return !Object.hasOwn(res, 'write') && res.writableLength < (doubtful ? 1 : queueAtMost(this.waiting))
  }

  private isDoubtful(sent: number): boolean {
    return !this.reads && sent < systemsHold && this.readers.many
  }

  private begin(): void {
    // Whoever writes on to a response that has closed would count as stuck for good.
    if (this.isOver) return
    this.stall ??= this.readers.begin()
    if (this.listens) return
    // Once for the body: it hears each time.
    this.listens = true
    this.res.on('drain', () => this.drained())
  }

  /** There is room again. */
  private drained(): void {
    if (this.stall !== undefined) this.reads = this.readers.end(this.stall) || this.reads
    this.stall = undefined
    this.drain?.()
  }
}
