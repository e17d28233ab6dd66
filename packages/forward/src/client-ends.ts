import type { Socket } from 'node:net'
import type { Client, Context } from '@sluice/core'
import type { Endpoint } from '@sluice/proxy-protocol'
import { clientNameOf } from './client-name.js'

/** The client and what it has connected to. */
export interface ClientEnds {
  /** `address` is empty if it isn't known; `port` is 0. */
  readonly source: Endpoint
  readonly destination: Endpoint
}

/**
 * The ends of a client's connection: who it is as far as `clientAddress` has found out, else what the socket says. Behind
 * trusted proxies nobody knows the client's own port.
 */
export function clientEnds(ctx: Context): ClientEnds {
  const { peer, req } = ctx
  // Whoever is to stay unknown has no address here either.
  if (clientNameOf(ctx) !== undefined)
    return { source: { address: '', port: 0 }, destination: localEnd(req.socket) }
  const address = (ctx as Context & Partial<Client>).client?.address ?? peer.address
  return {
    source: { address, port: address === peer.address ? peer.port : 0 },
    destination: localEnd(req.socket),
  }
}

function localEnd(socket: Socket): Endpoint {
  try {
    const { localAddress = '', localPort = 0 } = socket
    return { address: localAddress, port: localPort }
  } catch {
    // The socket of an HTTP/2 session that has ended can't be asked any more.
    return { address: '', port: 0 }
  }
}
