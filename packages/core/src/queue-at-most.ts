import type { Http2Session } from 'node:http2'

/**
 * Bytes of an answer that may wait for its client to read, beside the part that goes past it. By itself Node asks to wait after each part beyond its 16 KB,
 * also when the system has taken it on the spot, and then the target's connection is stopped and started for each.
 */
const ofAnswer = 128 * 1024
/**
 * Shared by the answers of a connection of HTTP/2. Hundreds may share one; Node counts what they hold together, and where that is more than it
 * lets a connection hold it refuses whatever stream the client begins, and ends the connection at last. What waits already stays where a share grows smaller.
 */
const ofSession = 2 * 1024 * 1024

/** Answers of one connection of HTTP/2 that have had to wait for their client, and still go out. */
export interface Waiting {
  count: number
}

const bySession = new WeakMap<Http2Session, Waiting>()

/** One more of those. Whoever has called it counts itself out in what it got. */
export function waitsIn(session: Http2Session | undefined): Waiting {
  if (session === undefined) return { count: 1 }
  let waiting = bySession.get(session)
  if (waiting === undefined) {
    waiting = { count: 0 }
    bySession.set(session, waiting)
  }
  waiting.count++
  return waiting
}

/**
 * Bytes of an answer that may wait.
 * @param waiting those that share its connection of HTTP/2
 */
export function queueAtMost(waiting: Waiting | undefined): number {
  return waiting === undefined ? ofAnswer : Math.min(ofAnswer, ofSession / waiting.count)
}
