import { ProxyError } from '@sluice/core'

/** Whether nobody has answered: the target couldn't be reached, or broke off. */
export function isDisconnected(error: unknown): boolean {
  return error instanceof ProxyError && (error.source === 'upstream' || error.phase === 'select')
}
