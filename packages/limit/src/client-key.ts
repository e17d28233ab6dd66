import type { Client, Context } from '@sluice/core'
import { integer, parse, v } from '@sluice/options'
import { ipPrefix } from './ip-prefix.js'

/** Options of {@link clientKey}. */
export interface ClientKeyOptions {
  /** Bits of an IPv4 address that tell clients apart. Default 32, all of them. */
  ipv4?: number
  /**
   * Bits of an IPv6 address that tell clients apart. Default 64: a client has at least that many addresses to call from, and could call from a
   * new one each time. Who has 56 or 48 bits from a provider counts as many clients: give those a second, wider limit.
   */
  ipv6?: number
}

/** Schema of {@link ClientKeyOptions}. */
export const clientKeyOptions = v.strictObject({
  ipv4: v.optional(integer(1, 32), 32),
  ipv6: v.optional(integer(1, 128), 64),
})

/**
 * A key for limits: whose request it is, by what `clientAddress` says. All spellings of an address are one key.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function clientKey(
  options: ClientKeyOptions = {},
  path = 'clientKey',
): (ctx: Context & Client) => string {
  const { ipv4, ipv6 } = parse(clientKeyOptions, options, path)
  return ({ client }) => ipPrefix(client.address, ipv4, ipv6)
}
