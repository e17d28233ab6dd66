import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** What an instance of http-proxy, or of a fork, has to have to carry requests. */
export interface HttpProxyLike {
  // biome-ignore lint/suspicious/noExplicitAny: instances differ in the types of their arguments
  web(req: IncomingMessage, res: ServerResponse, ...rest: any[]): unknown
  // biome-ignore lint/suspicious/noExplicitAny: as above
  ws(req: IncomingMessage, socket: Duplex, ...rest: any[]): unknown
}
