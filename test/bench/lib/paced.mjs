import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'

/** Bytes a millisecond: 50 MB a second, which is less than any contender can move. */
const pace = 50_000

/**
 * Reads a stream to its end, no faster than `pace`: whoever writes faster must wait or keep it.
 * @returns how many bytes came
 */
export async function readPaced(stream) {
  const began = performance.now()
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    const early = bytes / pace - (performance.now() - began)
    if (early > 1) await delay(early)
  }
  return bytes
}

/** So many bytes in pieces of 64 KB, as fast as they are taken. */
export function* pieces(bytes) {
  const piece = Buffer.alloc(64 * 1024, 'sluice-bench ')
  for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length))
}
