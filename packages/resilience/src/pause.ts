import { type Context, ProxyError } from '@sluice/core'

/** Waits, but not for a client that has left. It holds no process open. @throws ProxyError with which the exchange has ended */
export function pause(ctx: Context, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms).unref()
    ctx.onClose((end) => {
      clearTimeout(timer)
      reject(end.error ?? new ProxyError('client_left'))
    })
  })
}
