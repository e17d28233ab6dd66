import { type LookupFunction, Socket } from 'node:net'
import { ProxyError } from '@sluice/core'

/** Where a connection is about to go: a Unix socket, or a host that is a name or an address, without brackets. */
export type ConnectTo = { readonly path: string } | { readonly host: string; readonly port: number }

/**
 * Decides where a transport's new connections may go. Kept connections aren't asked about again: they serve the target that
 * they were made for, at the address that was checked then.
 */
export interface ConnectHook {
  /**
   * Called before each new connection. What it throws refuses it: a ProxyError goes on as it is, anything else is a
   * `proxy_internal_error`. Addresses are never looked up, so they must be judged here.
   */
  check(to: ConnectTo): void
  /**
   * Resolves names, in place of `dns.lookup`: the connection goes to an address that it gives, and there is no second
   * resolution. Called as the `lookup` of `net.connect`, mostly with `all`. A ProxyError that it gives goes on as it is.
   */
  readonly lookup?: LookupFunction
}

/** Whether an option is a hook. */
export function isConnectHook(value: unknown): value is ConnectHook {
  if (typeof value !== 'object' || value === null) return false
  const { check, lookup } = value as Partial<ConnectHook>
  return typeof check === 'function' && (lookup === undefined || typeof lookup === 'function')
}

/** What an option that is to be a hook takes. */
export const connectHookTakes = 'a connect hook, such as safeTargets()'

/** Asks the hook about a connection; gives what refuses it. */
export function refusal(hook: ConnectHook | undefined, to: ConnectTo): ProxyError | undefined {
  try {
    hook?.check(to)
    return undefined
  } catch (error) {
    if (error instanceof ProxyError) return error
    return new ProxyError('proxy_internal_error', {
      message: `a connect hook threw: ${String(error)}`,
      cause: error,
    })
  }
}

/** A socket that tells of the refusal as one that failed by itself would: later, by `error` and `close`. */
export function refusedSocket(error: ProxyError): Socket {
  return new Socket().destroy(error)
}
