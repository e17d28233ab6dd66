import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Exchange } from './exchange.js'
import { ProxyError } from './proxy-error.js'
import type { Reply } from './reply.js'

/**
 * Joins the client's socket and the target's after a 101. A half that ends is ended on the other side and the rest flows
 * on (half-close kept); a half that is lost takes the other with it, so that neither leaks.
 */
export function openTunnel(exchange: Exchange, client: Duplex, res: ServerResponse, reply: Reply): void {
  const target = reply.socket as Duplex
  let bytes = 0
  let error: Error | undefined
  target.on('error', (cause) => {
    error ??= cause
  })
  if (client.destroyed || exchange.outcome !== undefined) {
    target.destroy()
    return
  }
  let head = 'HTTP/1.1 101 Switching Protocols\r\n'
  for (let i = 0; i < reply.headers.length; i += 2) head += `${reply.headers[i]}: ${reply.headers[i + 1]}\r\n`
  res.detachSocket(client as never)
  client.write(`${head}\r\n`, 'latin1')
  if (reply.head !== undefined && reply.head.length > 0) client.write(reply.head)
  target.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  target.pipe(client)
  client.pipe(target)
  target.once('close', () => finish(client))
  client.once('close', () => finish(target))

  function finish(other: Duplex): void {
    if (!other.destroyed) {
      // The last bytes on their way to it still drain.
      if (error === undefined) other.end(() => other.destroy())
      else other.destroy()
    }
    if (error === undefined) exchange.end({ kind: 'done', bytes })
    else {
      const failure = new ProxyError('http_upgrade_failed', { cause: error })
      exchange.end({ kind: 'error', error: failure, bytes })
    }
  }
}
