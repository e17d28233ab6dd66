import { PassThrough } from 'node:stream'
import { type Body, type InboundRequest, toBody } from '@sluice/core'

/**
 * The body of a request that an app reads along, to log it for instance. It flows from now on, so it is taken from now on: what comes
 * before there is a connection to the target would be the app's alone.
 */
export function shareBody(req: InboundRequest, length: number | undefined): Body {
  const copy = new PassThrough()
  copy.on('error', () => {})
  const lost = (): void => {
    if (!req.readableEnded) copy.destroy(new Error('the client left before its body was whole'))
  }
  req.on('error', lost)
  req.on('close', lost)
  // Nobody wants the rest: the app still does.
  copy.on('close', () => {
    req.unpipe(copy)
    req.resume()
  })
  req.pipe(copy)
  const body = toBody(copy) as Body
  if (length !== undefined) Object.defineProperty(body, 'length', { value: length })
  return body
}

/** Whether somebody else reads the body, or is about to. */
export function isShared(req: InboundRequest): boolean {
  return req.readableFlowing !== null || req.listenerCount('data') > 0
}
