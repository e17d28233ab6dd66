import type { LookupAddress } from 'node:dns'
import { isIP, type LookupFunction, Socket } from 'node:net'
import { ProxyError } from '@sluice/core'
import { sharedLookup } from './shared-lookups.js'

/** Where a connection is about to go: a Unix socket, or a host that is a name or an address, without brackets. */
export type ConnectTo = { readonly path: string } | { readonly host: string; readonly port: number }

/**
 * Decides where a transport's new connections may go. Kept connections aren't asked about again: they serve the target that
 * they were made for, at the address that was checked then.
 */
export interface ConnectHook {
  /**
   * Called before each new connection. What it throws refuses it: a ProxyError goes on as it is, anything else is a
   * `proxy_internal_error`, and so is anything that it returns: a promise would come too late. Addresses are never looked up, so they must be judged here.
   */
  check(to: ConnectTo): void
  /**
   * Resolves names, in place of `dns.lookup`, for each connection by itself: the connection goes to an address that it gives, and there is no second
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
    const said: unknown = hook?.check(to)
    if (said === undefined) return undefined
    // An async function fits the type: to let it pass would be to let everything pass.
    if (said instanceof Promise) said.catch(() => {})
    return new ProxyError('proxy_internal_error', {
      message: 'a connect hook returned something; it is to throw or to return nothing, and no promise',
    })
  } catch (error) {
    if (error instanceof ProxyError) return error
    return new ProxyError('proxy_internal_error', {
      message: `a connect hook threw: ${String(error)}`,
      cause: error,
    })
  }
}

/**
 * What resolves names: a hook's `lookup`, or the system's. A hook's is asked for each connection, since it may go by what it is asked for, and made such
 * that Node can bear it: what throws, answers twice, or gives something that is no address would end the process or leave the attempt in the pool for ever.
 */
export function lookupOf(hook: ConnectHook | undefined): LookupFunction {
  if (hook?.lookup === undefined) return sharedLookup
  return (name, options, callback) => {
    let answered = false
    const answer: typeof callback = (error, address, family) => {
      if (answered) return
      answered = true
      // Node takes `undefined` for no error, and hooks may say either.
      const fault = error ?? junk(address, options.all === true)
      if (fault !== undefined) callback(fault, '')
      else callback(null, address, family)
    }
    try {
      hook.lookup?.(name, options, answer)
    } catch (error) {
      answer(broken(`threw: ${String(error)}`, error), '')
    }
  }
}

function junk(address: string | LookupAddress[], all: boolean): ProxyError | undefined {
  const list: unknown = all ? address : [{ address }]
  if (!Array.isArray(list)) return broken('gave no list')
  if (list.length === 0) return new ProxyError('dns_error', { message: 'a lookup gave no address' })
  const fits = list.every((each) => isIP(String((each as Partial<LookupAddress> | null)?.address)) > 0)
  return fits ? undefined : broken('gave what is no address')
}

function broken(what: string, cause?: unknown): ProxyError {
  return new ProxyError('proxy_internal_error', { message: `a lookup ${what}`, cause })
}

/** A socket that tells of the refusal as one that failed by itself would: later, by `error` and `close`. */
export function refusedSocket(error: ProxyError): Socket {
  return new Socket().destroy(error)
}
