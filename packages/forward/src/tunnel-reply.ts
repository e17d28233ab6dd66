import type { Duplex } from 'node:stream'
import { ProxyError, type Reply } from '@sluice/core'
import { get, withoutHopByHop } from '@sluice/headers'

/** Sockets that tell when nothing has moved for a while: Node's own do, one that somebody else has made may not. */
type Idling = Duplex & { setTimeout?(ms: number, fn: () => void): void }

/**
 * A target's consent to another protocol, or to a tunnel. The socket is the tunnel's from here on.
 * @param raw the fields of its answer, those of the hop too
 * @param idle how long no byte may move either way, in ms; 0: no limit
 */
export function tunnelReply(status: number, raw: readonly string[], socket: Duplex, idle: number): Reply {
  const headers = withoutHopByHop(raw, { response: true })
  if (status === 101) headers.push('Connection', 'Upgrade', 'Upgrade', get(raw, 'upgrade') as string)
  if (idle > 0) {
    const message = `the tunnel was idle for ${idle} ms`
    ;(socket as Idling).setTimeout?.(idle, () =>
      socket.destroy(new ProxyError('connection_read_timeout', { message })),
    )
  }
  return { status, headers, body: null, socket }
}
