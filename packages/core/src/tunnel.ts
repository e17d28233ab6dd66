import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { isFieldName, isFieldValue } from '@sluice/headers'
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
  let error: ProxyError | undefined
  target.on('error', (cause) => {
    error ??= new ProxyError('http_upgrade_failed', { cause })
  })
  client.on('error', (cause) => {
    error ??= new ProxyError('client_left', { cause })
  })
  let head = 'HTTP/1.1 101 Switching Protocols\r\n'
  for (let i = 0; i < reply.headers.length; i += 2) {
    const name = reply.headers[i] as string
    const value = reply.headers[i + 1] as string
    // Written by hand, so nothing else keeps a line break in a value from becoming a field.
    if (isFieldName(name) && isFieldValue(value)) head += `${name}: ${value}\r\n`
  }
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
    else exchange.end({ kind: error.code === 'client_left' ? 'client-left' : 'error', error, bytes })
  }
}
