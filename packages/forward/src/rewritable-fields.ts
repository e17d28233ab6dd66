/** Fields that say where a message ends, or that belong to one connection: who sends it writes them. */
const ofHop = new Set([
  'te',
  'trailer',
  'upgrade',
  'connection',
  'keep-alive',
  'content-length',
  'http2-settings',
  'proxy-connection',
  'transfer-encoding',
])

/** The same as a sentence for errors. */
export const ofHopInWords =
  'none that frames the message or belongs to its connection (Content-Length, Transfer-Encoding, Trailer, Connection, Upgrade, TE, Keep-Alive, Proxy-Connection, HTTP2-Settings)'

/** Whether rules leave a field alone, whatever its case. */
export function isOfHop(name: string): boolean {
  const { length } = name
  if (length !== 2 && (length < 7 || length > 17)) return false
  return ofHop.has(name.toLowerCase())
}

/**
 * What an allow-list doesn't take away: without them it would be another message, a WebSocket's handshake would fail, and a
 * loop would go unnoticed.
 */
export const keptFields: readonly string[] = [
  ...ofHop,
  'host',
  'via',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
]
