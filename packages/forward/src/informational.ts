import { ProxyError } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { wireLimits } from './wire-limits.js'

/** What a status line takes: an endless row of responses without fields is one all the same. */
const statusLine = 32

/**
 * Bytes of the informational responses of one exchange: those so far and one with these fields. They go out with no regard to
 * whether the client reads: what may wait for it is as much as one head.
 * @throws ProxyError http_response_header_section_size
 */
export function addInformational(bytes: number, headers: HeaderList): number {
  let sum = bytes + statusLine
  for (const text of headers) sum += text.length
  if (sum <= wireLimits.head) return sum
  const message = `the informational responses have more than ${wireLimits.head} bytes`
  throw new ProxyError('http_response_header_section_size', { message })
}
