import { ProxyError } from '@sluice/core'
import type { Progress } from './transport-error.js'
import type { WireUpload } from './wire-upload.js'

/** Whose deadline has passed. */
export function tooLate(progress: Progress, flushing: boolean, upload: WireUpload | undefined): ProxyError {
  if (progress === 'answered') return new ProxyError('connection_read_timeout')
  if (flushing || upload?.waitsForTarget === true) return new ProxyError('connection_write_timeout')
  return new ProxyError(upload === undefined ? 'http_response_timeout' : 'request_timeout')
}

/** Its client is slow, and others wait for its connection. */
export function yielded(answered: boolean): ProxyError {
  if (!answered) return new ProxyError('request_timeout', { reason: 'yielded-slow-body' })
  return new ProxyError('client_left', {
    reason: 'yielded-slow-reader',
    message: 'the client reads too slowly',
  })
}

/** The target has said all without having read all. */
export function unwanted(): ProxyError {
  return new ProxyError('client_left', { message: 'the target has answered before the body was whole' })
}

/** The rest of a body would go into the tunnel. */
export function flowsIntoTunnel(method: string): ProxyError {
  return new ProxyError('http_request_error', { message: `a ${method} with a body that flows` })
}
