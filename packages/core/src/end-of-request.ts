import type { IncomingMessage } from 'node:http'

/**
 * Takes the end of a request that has no body off its stream as it comes. Else Node reads it when the answer is out, in four further
 * turns of `process.nextTick` and two events that nobody hears, which is a twentieth of all that a small request costs
 * (docs/decisions/028).
 * @returns whether it did: not where somebody reads it already
 */
export function takeEnd(req: IncomingMessage): boolean {
  if (req.readableFlowing !== null) return false
  // A read of nothing: from here on the stream waits for nobody, and Node takes it for read.
  req.read(0)
  return true
}

/** The answer is out: who listens for the request's end hears it, as without {@link takeEnd}. */
export function tellEnd(req: IncomingMessage): void {
  // Its client has left: Node has told all.
  if (req.destroyed) return
  // Node listens too, unless the next request has come already, in one packet with this one.
  const listens = req.listeners('end').some(({ name }) => name !== 'clearIncoming')
  if (listens || req.listenerCount('close') > 0) req.resume()
  else forget(req)
}

/**
 * What reads the connection holds its last request until that has ended, which nobody hears of here. A connection that rests would keep it in
 * memory, with all fields of its head.
 */
function forget(req: IncomingMessage): void {
  const { parser } = req.socket as { parser?: { incoming?: unknown } | null }
  if (parser?.incoming === req) parser.incoming = null
}
