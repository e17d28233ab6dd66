import { OutgoingMessage, type ServerResponse } from 'node:http'
import { ownMethod } from './own-method.js'

const write = ownMethod(OutgoingMessage.prototype, 'write', 'write_')
const end = ownMethod(OutgoingMessage.prototype, 'end', '_send')

/** What of `ServerResponse` keeps the head until its first bytes go out. */
type Joining = ServerResponse & {
  _header?: string | null | undefined
  readonly _headerSent?: boolean
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
    typeof res._header === 'string' &&
    res._headerSent === false &&
    res._hasBody === true &&
    !res.chunkedEncoding &&
    // What goes past `write` and `end` isn't counted.
    res.strictContentLength !== true &&
    res.socket !== null
  )
}

/**
 * Ends a response whose whole body is one small piece. `end(bytes)` makes two chunks of it, the head and the bytes, and with
 * them a vectored write. Without bytes `end` sends the head that it has kept until then, so with the bytes behind that it is one
 * plain write, which costs less (docs/decisions/005).
 */
export function endInOneWrite(response: ServerResponse, bytes: Uint8Array): void {
  const res = response as Joining
  // Code of the host app has sent the head meanwhile.
  if (res._headerSent !== false) return void res.end(bytes)
  const head = res._header
  res._header += latin1(bytes)
  try {
    res.end()
  } finally {
    // It has left, or never will. Loggers of host apps (bunyan) write what stands there for the head.
    res._header = head
  }
}

function latin1(bytes: Uint8Array): string {
  return (
    bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  ).toString('latin1')
}
