import type { Client, Context } from '@sluice/core'
import { isFieldName, isNamed } from '@sluice/headers'
import { that, v } from '@sluice/options'
import { type ClientKeyOptions, clientKey, clientKeyOptions } from './client-key.js'

/**
 * Who shares a limit: those of one client address, all requests that come by, or those with one value of a field. A function gives the key, or nothing
 * for what isn't limited.
 */
export type LimitBy =
  | 'address'
  | 'route'
  | `header:${string}`
  | ((ctx: Context & Client) => string | undefined)

/** Schema of {@link LimitBy}. */
export const limitBy: v.GenericSchema<LimitBy> = that<LimitBy>(
  (value) =>
    typeof value === 'function' ||
    value === 'address' ||
    value === 'route' ||
    (typeof value === 'string' && value.startsWith('header:') && isFieldName(value.slice(7))),
  "'address', 'route', 'header:name', or a function of the context that gives a text or nothing",
)

/** Schema of the options of an address's key. */
export const limitPrefix = v.optional(clientKeyOptions)

/**
 * The function that gives a key. By a field that isn't there, is empty, or comes more than once, a request counts by its address: else a client
 * would have no limit who leaves it out.
 */
export function keyBy(
  by: LimitBy,
  prefix: ClientKeyOptions = {},
): (ctx: Context & Client) => string | undefined {
  if (typeof by === 'function') return by
  if (by === 'route') return () => ''
  const address = clientKey(prefix)
  if (by === 'address') return address
  const name = by.slice('header:'.length).toLowerCase()
  // No field has a NUL, so nobody can use up the limit of an address that isn't their own.
  return (ctx) => onlyValue(ctx.out.headers, name) ?? `\0${address(ctx)}`
}

function onlyValue(headers: readonly string[], name: string): string | undefined {
  let value: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    if (!isNamed(headers[i] as string, name)) continue
    if (value !== undefined) return undefined
    value = headers[i + 1]
  }
  return value === '' ? undefined : value
}
