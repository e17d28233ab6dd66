import { MessageChannel, type MessagePort } from 'node:worker_threads'

/** Of ECMAScript 2024: Node 22 and later have it. */
const { transfer } = ArrayBuffer.prototype as { transfer?: (length: number) => ArrayBuffer }

/**
 * Nobody gets what is posted to it, and what it takes over goes with the message. Not made when it is first needed: a port belongs to the async context that
 * it is made in, and the first request would stay in memory for good, with all that its `AsyncLocalStorage` has.
 */
const nowhere = transfer === undefined ? closedPort() : undefined

/**
 * Gives the memory of `buffer` back now and not at the next collection; it is empty then. V8 counts what buffers hold outside of its heap, and marks
 * the whole heap for each 64 MB of them: for bodies that pass through that is many times a second (docs/decisions/029).
 *
 * Only for memory that nobody else has ever seen: a write of others that is still under way would send whatever is put there next.
 */
export function freeMemory(buffer: ArrayBufferLike): void {
  // A second time there is nothing to give back, and memory that is shared isn't one owner's to give.
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength === 0) return
  if (transfer !== undefined) transfer.call(buffer, 0)
  // Node 20. A transferred buffer belongs to its message (HTML's structured clone), and this one goes nowhere.
  else nowhere?.postMessage(null, [buffer])
}

function closedPort(): MessagePort {
  const { port1 } = new MessageChannel()
  port1.close()
  return port1
}
