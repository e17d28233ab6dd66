import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'

/** What of `ws` its own server uses to make a WebSocket of a socket, and its types don't tell. */
type Made = WebSocket & {
  _isServer: boolean
  setSocket(socket: Duplex, head: Buffer, options: object): void
}

/** The client's end of a WebSocket over any stream whose handshake is done, without extensions. */
export function streamWebSocket(stream: Duplex): WebSocket {
  const made = new (
    WebSocket as unknown as new (
      address: null,
      protocols: undefined,
      options: object,
    ) => Made
  )(null, undefined, {})
  made._isServer = false
  made.setSocket(stream, Buffer.alloc(0), {
    maxPayload: 0,
    skipUTF8Validation: false,
    allowSynchronousEvents: true,
  })
  made.on('error', () => {})
  return made
}
