import type { Context } from './context.js'
import { Exchange } from './exchange.js'

/**
 * Has the answer to a request say `Connection: close`, and end its connection, where `ends` says so as its head goes out: no client is to send
 * another request to a proxy that closes (RFC 9112 section 9.6). For HTTP/1; sessions of HTTP/2 say GOAWAY.
 * @param ends one for all requests, so that none is made for each
 */
export function endConnectionIf(ctx: Context, ends: () => boolean): void {
  if (ctx instanceof Exchange) ctx.endsConnection = ends
}
