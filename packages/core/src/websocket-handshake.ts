import { createHash, randomBytes } from 'node:crypto'
import { getAll, type HeaderList } from '@sluice/headers'

/** Whether the handshake has one key, of 16 bytes in base64 (RFC 6455 section 4.2.1). */
export function hasWebSocketKey(headers: HeaderList): boolean {
  const keys = getAll(headers, 'sec-websocket-key')
  return keys.length === 1 && /^[A-Za-z\d+/]{22}==$/.test(keys[0] as string)
}

/** A fresh key: HTTP/2 has none (RFC 8441 section 5), a target of HTTP/1.1 asks for one. */
export function webSocketKey(): string {
  return randomBytes(16).toString('base64')
}

/** What a server that understands WebSocket answers to a key (RFC 6455 section 4.2.2). */
export function webSocketAccept(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}
