import { OutgoingMessage, type ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { ownMethod } from './own-method.js'

const write = ownMethod(OutgoingMessage.prototype, 'write', 'write_')
const end = ownMethod(OutgoingMessage.prototype, 'end', '_send')

/** What of `ServerResponse` joins the head with a first text. `write` and `end` cork the socket around it. */
type Joining = ServerResponse & {
  _send?(data: string, encoding: 'latin1'): boolean
  readonly _hasBody?: boolean
}

/** A body up to this size is joined with the head as one text. */
const joinAtMost = 16 * 1024

/**
 * Whether {@link endInOneWrite} can end this response with a body of these bytes. Where it can't be so the public way serves.
 */
export function endsInOneWrite(response: ServerResponse, bytes: Uint8Array): boolean {
  const res = response as Joining
  return (
    bytes.length <= joinAtMost &&
    // Middlewares of a host app that replaced `write` and `end` must see the bytes.
    res.write === write &&
    res.end === end &&
    res._send !== undefined &&
    res._hasBody === true &&
    !res.chunkedEncoding &&
    // What goes past `write` and `end` isn't counted.
    res.strictContentLength !== true &&
    res.socket !== null
  )
}

/**
 * Ends a response whose whole body is one small piece. `end(bytes)` makes two chunks of it, the head and the bytes, and with
 * them a vectored write; joined as text by `_send`, which every write of `ServerResponse` goes through, they are one plain
 * write, which costs less (docs/decisions/005).
 */
export function endInOneWrite(response: ServerResponse, bytes: Uint8Array): void {
  const res = response as Joining
  // Under TLS a write is never done on the spot, and `end` would put an empty one behind it, which costs almost as much again. Corked, the two are one.
  if ((res.socket as TLSSocket | null)?.encrypted === true) res.socket?.cork()
  res._send?.(latin1(bytes), 'latin1')
  res.end()
}

function latin1(bytes: Uint8Array): string {
  return (
    bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  ).toString('latin1')
}
