import { type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2'
import type { Target } from '@sluice/upstream'
import { openTcp, openTls, type ProbeSeams } from './open-socket.js'
import { authorityOf } from './target-address.js'

/**
 * One exchange over an HTTP/2 connection of its own, which ends with it. Over TLS the target has to choose `h2` (RFC 9113 section
 * 3.2), without it is known to speak it (section 3.3).
 * @param read makes of the stream what the exchange has given; its rejection, or the loss of the connection before, is the
 * exchange's
 */
export async function askHttp2(
  target: Target,
  fields: OutgoingHttpHeaders,
  body: Buffer | undefined,
  signal: AbortSignal,
  seams: ProbeSeams,
  read: (stream: ClientHttp2Stream) => Promise<void>,
): Promise<void> {
  const secure = target.url.startsWith('https:')
  const socket = secure ? await openTls(target, ['h2'], signal, seams) : await openTcp(target, signal, seams)
  try {
    if (secure && (socket as { alpnProtocol?: unknown }).alpnProtocol !== 'h2')
      throw new Error('the target does not speak HTTP/2: it has not chosen h2 by ALPN')
    await exchange()
  } finally {
    socket.destroy()
  }

  function exchange(): Promise<void> {
    return new Promise((resolve, reject) => {
      const session = connect(secure ? 'https://target' : 'http://target', {
        createConnection: () => socket,
        settings: { enablePush: false },
      })
      // What fails at the end is told, by and by, by both of them, and nobody else may hear of it.
      session.on('error', reject)
      session.on('close', () => reject(new Error('the connection closed before an answer')))
      const stream = session.request(
        { ':authority': authorityOf(target), ...fields },
        { endStream: body === undefined },
      )
      stream.on('error', reject)
      if (body !== undefined) stream.end(body)
      read(stream)
        .then(resolve, reject)
        .finally(() => session.destroy())
    })
  }
}
