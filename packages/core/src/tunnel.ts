import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Exchange } from './exchange.js'
import { ProxyError } from './proxy-error.js'
import type { Reply } from './reply.js'
import { resetSocket } from './reset-socket.js'
import type { TunnelEnd } from './tunnel-end.js'

/** How long a client may leave the last bytes of a tunnel unread once the target has gone, in ms. */
const unreadFor = 60_000

/**
 * Joins the client's end and the target's socket. A half that ends is ended on the other side and the rest flows on
 * (half-close kept); a half that is lost takes the other with it, so that neither leaks, and as a loss, so that
 * what has come doesn't pass for all.
 */
export function openTunnel(exchange: Exchange, end: TunnelEnd, reply: Reply): void {
  const target = reply.socket as Duplex
  const client = end.duplex
  let bytes = 0
  let error: ProxyError | undefined
  target.on('error', (cause) => {
    error ??= new ProxyError('http_upgrade_failed', { cause })
  })
  client.on('error', (cause) => {
    error ??= new ProxyError('client_left', { cause })
  })
  const status = end.open(reply)
  target.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  target.pipe(client)
  // A stream that was cancelled ends too: that is no end to pass on.
  client.pipe(target, { end: false })
  // It may have said all before the target answered.
  if (client.readableEnded) endTarget()
  else client.once('end', endTarget)
  target.once('close', () => {
    if (client.destroyed) return
    // The last bytes on their way to it still drain.
    if (error === undefined) {
      const socket = client as Socket
      const close = (): void => {
        // Before its end: Node leaves the timer of a stream of HTTP/2 that is destroyed, with all that the stream holds.
        socket.setTimeout(0)
        client.destroy()
      }
      client.end(() => end.onEndSent(close))
      // Nobody else watches it any more: who never reads would keep it for ever.
      socket.setTimeout(unreadFor, () => client.destroy())
    } else end.abort()
    over()
  })
  client.once('close', () => {
    // A stream of HTTP/2 that was cancelled tells no error.
    if (end.reset) error ??= new ProxyError('client_left')
    if (!target.destroyed) {
      if (error === undefined) target.end(() => target.destroy())
      else if (!resetSocket(target)) target.destroy()
    }
    over()
  })

  function endTarget(): void {
    if (!end.reset) target.end()
  }

  function over(): void {
    if (error === undefined) exchange.end({ kind: 'done', bytes, status })
    else exchange.endBy(error, bytes, status)
  }
}
