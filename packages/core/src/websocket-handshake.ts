import { createHash, randomBytes } from 'node:crypto'
import { get, getAll, type HeaderList } from '@sluice/headers'

/** Whether the handshake has one key, of 16 bytes in base64 (RFC 6455 section 4.2.1). */
export function hasWebSocketKey(headers: HeaderList): boolean {
  const keys = getAll(headers, 'sec-websocket-key')
  return keys.length === 1 && /^[A-Za-z\d+/]{22}==$/.test(keys[0] as string)
}

/**
 * Whether the handshake asks for a version that IANA has in its list, 0 to 13: 13 is that of RFC 6455, and targets may still
 * take a draft's. One that says no version is for its target to judge.
 */
export function hasWebSocketVersion(headers: HeaderList): boolean {
  const version = get(headers, 'sec-websocket-version')
  return version === undefined || /^(?:\d|1[0-3])$/.test(version)
}

/** A fresh key: HTTP/2 has none (RFC 8441 section 5), a target of HTTP/1.1 asks for one. */
export function webSocketKey(): string {
  return randomBytes(16).toString('base64')
}

/** What a server that understands WebSocket answers to a key (RFC 6455 section 4.2.2). */
export function webSocketAccept(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}
