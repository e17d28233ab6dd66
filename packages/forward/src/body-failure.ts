import { ProxyError } from '@sluice/core'

/** Why a request's body has failed. A stream of a layer's own that fails is no fault of the target's. */
export function bodyFailure(cause: Error): ProxyError {
  if (cause instanceof ProxyError) return cause
  return new ProxyError('proxy_internal_error', { message: `a request body failed: ${cause.message}`, cause })
}
