import { ProxyError } from '@sluice/core'

/** Whether an error tells of the request that it came to, as a loop in its `Via` or a rate of its client do: of others it says nothing. */
export function isOwnError(error: unknown): boolean {
  return error instanceof ProxyError && error.phase === 'request' && error.source !== 'upstream'
}
