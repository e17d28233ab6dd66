/** What a reply may have at most. A target that sends more is faulty or hostile; either way 502. */
export const wireLimits = {
  /** Bytes of a head, and of all trailers. */
  head: 64 * 1024,
  /** Fields of a head, and of all trailers. */
  fields: 1_000,
  /** Informational responses (1xx) before the final one. */
  informational: 1_000,
  /** Bytes of the extensions of one chunk. They mean nothing to us and are dropped (RFC 9112 section 7.1.1). */
  chunkExtension: 256,
} as const
