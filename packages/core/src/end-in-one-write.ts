import { OutgoingMessage, type ServerResponse } from 'node:http'

const plain = OutgoingMessage.prototype

/** What of `ServerResponse` joins the head with a first text. `write` and `end` cork the socket around it. */
type Joining = ServerResponse & {
  _send?(data: string, encoding: 'latin1'): boolean
  readonly _hasBody?: boolean
}

/**
 * Ends a response whose whole body is one small piece. `end(text)` makes two chunks of it, the head with the text and an
 * empty one, and with them a vectored write; joined by `_send`, which every write of `ServerResponse` goes through, they are
 * one plain write, which costs less (docs/decisions/005). Where it can't be so the public way serves.
 */
export function endInOneWrite(response: ServerResponse, text: string): void {
  const res = response as Joining
  // Middlewares of a host app that replaced `write` and `end` must see the bytes.
  const patched = res.write !== plain.write || res.end !== plain.end
  if (
    patched ||
    res._send === undefined ||
    res._hasBody !== true ||
    res.chunkedEncoding ||
    res.socket === null
  ) {
    res.end(text, 'latin1')
    return
  }
  res._send(text, 'latin1')
  res.end()
}
