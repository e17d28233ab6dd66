const { transfer } = ArrayBuffer.prototype as { transfer?: (length: number) => ArrayBuffer }

/**
 * Gives the memory of `buffer` back now and not at the next collection; it is empty then. `undefined` where Node can't, before
 * version 22 (`ArrayBuffer.prototype.transfer`, ECMAScript 2024). V8 counts what buffers hold outside of its heap, and marks
 * the whole heap for each 64 MB of them: for bodies that pass through that is many times a second (docs/decisions/029).
 *
 * Only for memory that nobody else has ever seen: a write of others that is still under way would send whatever is put there next.
 */
export const freeMemory: ((buffer: ArrayBufferLike) => void) | undefined =
  transfer === undefined
    ? undefined
    : (buffer) => {
        // A second time there is nothing to give back.
        if (buffer.byteLength > 0) transfer.call(buffer, 0)
      }
