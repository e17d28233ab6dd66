import { type Duration, duration, integer, positiveDuration, type Size, size, v } from '@sluice/options'

/** A budget: so many at once, and so many more in each second. */
export interface BudgetOptions {
  /** At once. */
  burst?: number
  /** In each second beyond that. */
  rate?: number
}

/** What only a server can set, before any middleware hears of a request. */
export interface ServerGuardOptions {
  /** Time for the head of a request of HTTP/1.1, from the first byte of its connection on. Default 20s; 0: no limit. */
  head?: Duration
  /** Time for a whole request of HTTP/1.1 with its body. Default 0: none, since uploads may be long; `slow` has the rate. */
  request?: Duration
  /** How long a connection of HTTP/1.1 stays open between requests. Default 5s; 0: no limit. */
  keepAlive?: Duration
  /** How long a connection of HTTP/2 stays open without a stream, whatever else goes over it. Default 3m; 0: no limit. */
  idle?: Duration
  /** Time for the handshake of TLS. Default 20s. */
  handshake?: Duration
  /** Bytes of a head: more is answered 431, or 414 where its first line alone is longer. Default 16kb. */
  maxHeaderSize?: Size
  /** Connections in all: more are ended as they come. Default 0: no limit. */
  connections?: number
  /** Connections from one address, of IPv6 from one /64: more are ended as they come. Default 0: no limit. */
  connectionsPerAddress?: number
  /** Streams that a client may have open on one connection of HTTP/2. Default 250. */
  streams?: number
  /**
   * Bytes of one body that a client of HTTP/2 may send ahead of its reader: an upload gets no more than that in a round trip, and so much of each is held where a
   * target doesn't take it. Default 256kb.
   */
  window?: Size
  /** Streams of one connection of HTTP/2 that end before their answer (CVE-2023-44487). Default a burst of 250, and a rate of 33. */
  resets?: BudgetOptions
  /** SETTINGS, PING and PRIORITY frames of one connection of HTTP/2 (CVE-2019-9512 and others). Default a burst of 500, and a rate of 50. */
  controlFrames?: BudgetOptions
}

/** What clients may send before they have read our SETTINGS (RFC 9113 section 6.9.2). */
const leastWindow = 65_535

/** A schema of a budget with these defaults. */
function budget(burst: number, rate: number) {
  const entries = { burst: v.optional(integer(1), burst), rate: v.optional(integer(1), rate) }
  return v.optional(v.strictObject(entries), {})
}

/** Validates {@link ServerGuardOptions} and fills in the defaults. */
export const serverGuardOptions = v.strictObject({
  head: v.optional(duration(), 20_000),
  request: v.optional(duration(), 0),
  keepAlive: v.optional(duration(), 5_000),
  idle: v.optional(duration(), 180_000),
  handshake: v.optional(positiveDuration(), 20_000),
  maxHeaderSize: v.optional(
    v.pipe(
      size(),
      v.check((bytes) => bytes >= 1024, "'1kb' or more"),
    ),
    16_384,
  ),
  connections: v.optional(integer(0), 0),
  connectionsPerAddress: v.optional(integer(0), 0),
  streams: v.optional(integer(1, 2 ** 31 - 1), 250),
  window: v.optional(
    v.pipe(
      size(),
      v.check((bytes) => bytes >= leastWindow && bytes < 2 ** 31, "'64kb' to less than '2gb'"),
    ),
    262_144,
  ),
  resets: budget(250, 33),
  controlFrames: budget(500, 50),
})

/** {@link ServerGuardOptions} with none left out, in milliseconds and bytes. */
export type ServerGuardSettings = v.InferOutput<typeof serverGuardOptions>
/** A budget with nothing left out. */
export type BudgetSettings = ServerGuardSettings['resets']
