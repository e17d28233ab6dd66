import { ProxyError } from '@sluice/core'

/**
 * Calls `leave` once when the signal aborts, at once if it has. Whatever the caller's reason is, it must not pass for a
 * failure of the target.
 * @returns what stops it
 */
export function followSignal(signal: AbortSignal, leave: (error: ProxyError) => void): () => void {
  const onAbort = (): void => {
    const reason: unknown = signal.reason
    leave(reason instanceof ProxyError ? reason : new ProxyError('client_left', { cause: reason }))
  }
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return () => signal.removeEventListener('abort', onAbort)
}
