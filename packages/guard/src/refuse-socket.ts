import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { lingeringClose, resetSocket } from '@sluice/core'

/** Node keeps here the response that a socket carries now. */
type Carrying = Duplex & { _httpMessage?: Carried | null }
/** `headersSent` is true as soon as there is a head: this, once it is on its way. */
type Carried = ServerResponse & { readonly req: IncomingMessage; readonly _headerSent: boolean }

/** They have been refused, and are on their way out. */
const refused = new WeakSet<Duplex>()

/**
 * Notes that a connection is refused. What it is refused for comes again: with whatever else is sent, and as its deadlines pass.
 * @returns whether it has been before
 */
export function wasRefused(socket: Duplex): boolean {
  if (refused.has(socket)) return true
  refused.add(socket)
  return false
}

/**
 * Ends a connection of HTTP/1.1 over which nothing that is valid can come any more, with an answer where one can be given: not over
 * half of another one, and after the answers to what was asked before.
 * @param status 0: without an answer
 */
export function refuseSocket(socket: Duplex, status: number): void {
  if (status === 0 || socket.destroyed) return void socket.destroy()
  const { _httpMessage: res } = socket as Carrying
  if (res === undefined || res === null) return sayAndClose(socket, status)
  // It is about what comes behind a whole request, which has its answer first.
  if (res.req.complete) {
    res.once('close', () => refuseSocket(socket, status))
    return
  }
  if (res._headerSent) {
    // Whole, it need only go out; and half of one must not pass for a whole one.
    if (res.writableEnded) lingeringClose(socket)
    else if (!resetSocket(socket)) socket.destroy()
    return
  }
  // To whoever works on it its client has left: what it would still write comes too late.
  res.detachSocket(socket as never)
  ;(res as { destroyed: boolean }).destroyed = true
  res.emit('close')
  sayAndClose(socket, status)
}

function sayAndClose(socket: Duplex, status: number): void {
  if (!socket.writable) return void socket.destroy()
  socket.write(refusal(status))
  lingeringClose(socket)
}

/** An answer that says nothing but its status, and is the connection's last. */
function refusal(status: number): string {
  const text = `${status} ${STATUS_CODES[status] ?? 'Error'}`
  return [
    `HTTP/1.1 ${text}`,
    `Date: ${new Date().toUTCString()}`,
    'Content-Type: text/plain; charset=utf-8',
    'Cache-Control: no-store',
    `Content-Length: ${text.length + 1}`,
    'Connection: close',
    '',
    `${text}\n`,
  ].join('\r\n')
}
