import { PassThrough } from 'node:stream'
import { type Body, type InboundRequest, ProxyError, toBody } from '@sluice/core'

/**
 * The body of a request that an app reads along, to log it for instance. It flows from now on, so it is taken from now on: what comes
 * before there is a connection to the target would be the app's alone.
 * @param answered the response ends while the body may still come
 */
export function shareBody(req: InboundRequest, length: number | undefined, answered = false): Body {
  const copy = new PassThrough()
  copy.on('error', () => {})
  const lost = (): void => {
    if (!req.readableEnded)
      copy.destroy(new ProxyError('client_left', { message: 'the client left before its body was whole' }))
  }
  req.on('error', lost)
  req.on('close', lost)
  // Of a request that has its answer Node doesn't tell that its connection is gone: the copy would wait for the rest for ever.
  if (answered && !('stream' in req)) {
    const { socket } = req
    socket.on('close', lost)
    req.on('end', () => socket.off('close', lost))
  }
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
