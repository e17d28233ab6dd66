import { asProxyError } from '@sluice/core'
import type { Coding } from './coding.js'
import { type EncoderOptions, encodeSync } from './encoder.js'

/**
 * Bytes of a body that is coded at once, in this thread. Up to there the set-up of a stream and its trips to the thread pool cost as much as
 * the coding itself, and what is coded at once has a length and goes out in one write with its head. Beyond it the thread would be held for
 * a good part of a millisecond.
 */
export const onceAtMost = 16 * 1024

/**
 * `bytes` in `coding`, at once and in this thread: for those that are few, see {@link onceAtMost}.
 * @throws ProxyError `proxy_internal_error` where the codec fails
 */
export function encodeOnce(bytes: Uint8Array, coding: Coding, { level, dictionary }: EncoderOptions): Buffer {
  try {
    return encodeSync(coding, bytes, { level, size: bytes.length, dictionary })
  } catch (cause) {
    throw asProxyError(cause, `the ${coding} coder failed`)
  }
}
