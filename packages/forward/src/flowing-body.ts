import { type Body, type BodyInit, isBody, ProxyError, toBody } from '@sluice/core'

/**
 * A request's body where it flows, `null` where all of it is in memory or there is none.
 * @throws ProxyError proxy_internal_error for what is no body: a layer has made it
 */
export function flowingBody(body: BodyInit): Body | null {
  if (body === null || typeof body === 'string' || body instanceof Uint8Array) return null
  if (isBody(body)) return body
  try {
    return toBody(body)
  } catch (error) {
    throw new ProxyError('proxy_internal_error', { message: 'the body of the request is none', cause: error })
  }
}
