import { type Middleware, ProxyError, type Reply } from '@sluice/core'
import { contentCodings } from '@sluice/headers'
import { parse, type Size, size, that, v } from '@sluice/options'
import debug from 'debug'
import { codings as ours } from './coding.js'
import type { DecodeError } from './decode-error.js'
import { decodeBody, hasNoBytes } from './decoded-body.js'
import { decodedFields, whyLeft } from './decoded-fields.js'
import { decodable } from './decoder.js'

const log = debug('sluice:compress')

/** Options of {@link decompressRequests}. */
export interface DecompressRequestsOptions {
  /**
   * Bytes that a body may come to. Past it the request ends in 413. They aren't held, so it is the target that this spares. Default 16mb;
   * 0: no limit.
   */
  maxSize?: Size
  /**
   * Bytes decoded for each byte that came, at most; past it the request ends in 413. It counts once a body comes to more than 1 MB. Text comes
   * to 5 to 20 times, a bomb to 1,000 times, or 1,000,000 in br. Default 100; 0: no limit.
   */
  maxRatio?: number
}

const isRatio = (value: unknown): boolean =>
  value === 0 || (typeof value === 'number' && value >= 1 && value < Number.POSITIVE_INFINITY)

/** Validates {@link DecompressRequestsOptions} and fills in the defaults. */
export const decompressRequestsOptions = v.strictObject({
  maxSize: v.optional(size(), 16 * 1024 * 1024),
  maxRatio: v.optional(that<number>(isRatio, 'a number from 1 on, such as 100; 0 turns the limit off'), 100),
})

/**
 * Decodes the bodies of requests, for targets and layers further in that take them plain: gzip, deflate, br, and zstd where Node has it, up to
 * three on top of each other. A target gets a body without `Content-Encoding`, `Content-Length` and digests, in chunks, as it comes; `decodeBody`
 * tells how much memory each one takes.
 *
 * What can't be decoded is the client's fault, never the target's, and is sent to no other: a coding that is unknown, or a fourth one, is 415
 * with `Accept-Encoding` (RFC 9110 section 15.5.16), and goes nowhere; a body beyond a limit is 413; one that is cut, damaged or followed by
 * other bytes is 400. These show while the body is on its way: the target's connection is cut, so that it
 * never takes what has come for the whole. Where its answer has begun the client's is cut too.
 *
 * Left coded are what `Cache-Control: no-transform` says to leave (section 7.7), parts (`Content-Range`), and what says a coding but has no
 * body, or announces 0 bytes. Anybody can have the first two, so this layer keeps no coded body from a target.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function decompressRequests(
  options: DecompressRequestsOptions = {},
  path = 'decompressRequests',
): Middleware {
  const limits = parse(decompressRequestsOptions, options, path)
  return (next) => (ctx) => {
    const { out } = ctx
    const codings = contentCodings(out.headers)
    if (codings.length === 0) return next(ctx)
    // Without bytes nothing was coded, or all of it is missing: there is nothing to tell a target wrongly.
    const why = hasNoBytes(out.body) ? 'no body' : whyLeft(out.headers)
    if (why !== undefined) {
      if (log.enabled) log('%s %s is not decoded: %s', out.method, out.path, why)
      return next(ctx)
    }
    if (!decodable(codings)) return unsupported()
    out.headers = decodedFields(out.headers)
    out.body = decodeBody(out.body, codings, limits, asClientsFault)
    return next(ctx)
  }
}

function asClientsFault(error: DecodeError): ProxyError {
  const isLarge = error.fault === 'too-large' || error.fault === 'ratio'
  const { message } = error
  return new ProxyError(isLarge ? 'http_request_body_size' : 'http_request_error', { message, cause: error })
}

function unsupported(): Reply {
  return {
    status: 415,
    headers: [
      'content-type',
      'text/plain; charset=utf-8',
      'cache-control',
      'no-store',
      'accept-encoding',
      ours.join(', '),
    ],
    body: '415 Unsupported Media Type\n',
  }
}
