import { type Duration, duration, parse, v } from '@sluice/options'

/** Limits on the phases of one attempt. 0 turns a limit off. */
export interface TimeoutOptions {
  /**
   * For a new connection, TLS handshake included. A request that has waited as long for one that is free, with all in use, goes to another
   * target, where `retry` finds one. Default 2s.
   */
  connect?: Duration
  /** Idle time while the request's body is sent. Default 60s. */
  requestBody?: Duration
  /**
   * From the request sent to the head of the answer. No request waits for longer for a connection that is free: then it is 503 (where `connect` is
   * longer, after that). Default 30s.
   */
  head?: Duration
  /** Idle time between parts of the answer's body. Default 60s. */
  body?: Duration
  /** The same for event streams (`text/event-stream`), which rest for long. Default 0: no limit. */
  stream?: Duration
  /** Idle time of an upgraded connection. Default 10m. */
  tunnel?: Duration
  /** For the whole attempt until the last byte has come. Default 0: no limit. */
  total?: Duration
}

/** {@link TimeoutOptions} in milliseconds, none left out. */
export interface Timeouts {
  readonly connect: number
  readonly requestBody: number
  readonly head: number
  readonly body: number
  readonly stream: number
  readonly tunnel: number
  readonly total: number
}

/** Validates {@link TimeoutOptions} and fills in the defaults. */
export const timeoutOptions = v.strictObject({
  connect: v.optional(duration(), 2_000),
  requestBody: v.optional(duration(), 60_000),
  head: v.optional(duration(), 30_000),
  body: v.optional(duration(), 60_000),
  stream: v.optional(duration(), 0),
  tunnel: v.optional(duration(), 600_000),
  total: v.optional(duration(), 0),
})

/**
 * Timeouts in milliseconds, with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveTimeouts(options: TimeoutOptions = {}, path = 'timeouts'): Timeouts {
  return parse(timeoutOptions, options, path)
}

/** How long a target may take to say 100 before the body is sent all the same, in ms (RFC 9110 section 10.1.1). */
export const continueWithin = 1_000
