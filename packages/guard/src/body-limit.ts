import { type Middleware, toBody } from '@sluice/core'
import { parse, type Size, size } from '@sluice/options'
import { LimitedBody, tooLarge } from './limited-body.js'

/**
 * Refuses requests with a body larger than `limit`, with 413 and the reason `body-length` or `body-size`. One that says its length is refused
 * before a byte of it is read, also where the client waits for `100 Continue`; any other is counted on its way, and its target's connection
 * ends with the first byte too many, so that no target takes a part for the whole. Of several such layers the smallest limit counts. What flows after an
 * upgrade or a CONNECT is no body.
 * @param limit bytes, or a text such as `'8mb'`; 0: no limit
 * @param path where the option stands in what a user wrote
 * @throws TypeError for what is no size
 */
export function bodyLimit(limit: Size, path = 'bodyLimit'): Middleware {
  const most = parse(size(), limit, path)
  if (most === 0) return (next) => next
  return (next) => (ctx) => {
    const { out } = ctx
    if (out.body === null) return next(ctx)
    const body = toBody(out.body)
    if (body === null) return next(ctx)
    if (body.length === undefined) out.body = new LimitedBody(body, most)
    else if (body.length > most) throw tooLarge('body-length', most)
    return next(ctx)
  }
}
