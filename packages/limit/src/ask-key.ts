import { asProxyError } from '@sluice/core'
import { fault, quote } from '@sluice/options'

/**
 * The key that a user's function gives.
 * @param path what messages call the function
 * @throws ProxyError 500 where it throws, or gives anything but a text or nothing: a promise would be everybody's key
 */
export function askKey<C>(fn: (ctx: C) => string | undefined, ctx: C, path: string): string | undefined {
  let key: unknown
  try {
    key = fn(ctx)
  } catch (error) {
    throw asProxyError(error, `${path} threw`)
  }
  if (key === undefined || typeof key === 'string') return key
  if (key instanceof Promise) key.catch(() => {})
  throw asProxyError(new TypeError(fault(path, quote(key), 'a text or nothing, at once')), 'a wrong key')
}
