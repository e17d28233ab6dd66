import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { inform } from './inform.js'

/** How long nothing may move before a client that has ended its half is asked whether it is there, in ms. */
const patience = 250
/** How long after one informational response the next one meets what a client that has left has sent for it, in ms. */
const echo = 50

/** Node keeps here the response that a socket carries now. */
type Carrying = Socket & { _httpMessage?: ServerResponse | null }

/**
 * Watches a connection whose client may end its half when it has sent its request, and still wants the answer. Nothing on
 * the wire tells that from a client that has left, but what is sent next: who has left answers with a reset. An answer
 * that comes soon, or that flows, needs nothing else. Where nothing moves:
 *
 * - before the head informational responses go out by twos, ever more seldom (RFC 9110 section 15.2: a client takes any
 *   number of them). The first is answered with the reset, the second meets it. HTTP/1.0 knows none, and hears nothing;
 * - after it the client counts as gone, since there is nothing to send that isn't the body. Not at the first look: Node says that a head is
 *   sent when it is made, and the bytes may still be on their way to the socket.
 */
export function watchHalfClosed(socket: Socket): void {
  socket.once('end', watch)
}

function watch(this: Socket): void {
  look(this, patience, this.bytesWritten)
}

/** @param answered whose head was out at the last look */
function look(socket: Carrying, after: number, written: number, answered?: ServerResponse): void {
  setTimeout(() => {
    const res = socket._httpMessage
    if (socket.destroyed || !res) return
    if (!res.headersSent) {
      inform(res, 102, [])
      setTimeout(() => {
        if (socket._httpMessage === res) inform(res, 102, [])
      }, echo).unref()
    } else if (res === answered && socket.bytesWritten === written && socket.writableLength === 0) {
      socket.destroy()
      return
    }
    if (res.headersSent) look(socket, patience, socket.bytesWritten, res)
    else look(socket, after * 2, socket.bytesWritten)
  }, after).unref()
}
