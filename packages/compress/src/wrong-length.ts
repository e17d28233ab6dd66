import { ProxyError } from '@sluice/core'

/** A response's body ended before the length that it said: it was cut. */
export function tooShort(has: number, length: number): ProxyError {
  return new ProxyError('http_response_incomplete', {
    message: `a body has ${has} of its ${length} bytes`,
  })
}

/** A response's body goes on behind the length that it said. */
export function tooLong(length: number): ProxyError {
  return new ProxyError('http_protocol_error', { message: `a body is longer than its ${length} bytes` })
}
