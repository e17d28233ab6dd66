import { joinPath } from '@sluice/headers'
import type { Client } from './client-address.js'

/** What {@link clientAddress} has found out, where it stands in the chain. */
type Told = Client['client'] | undefined

/**
 * Host and port of the URL that a client has asked for: as trusted proxies tell them, with the port where the host has none and it isn't its
 * scheme's own.
 * @param authority of the request as it came
 */
export function publicAuthority(authority: string, client: Told): string {
  if (client === undefined) return authority
  const { host = authority, port, scheme } = client
  const isTold = port === undefined || port === (scheme === 'https' ? 443 : 80) || /:\d*$/.test(host)
  return isTold ? host : `${host}:${port}`
}

/**
 * The path of the URL that a client has asked for: with the prefix that trusted proxies have taken off.
 * @param path of the request as it came, with what a mount has taken off
 */
export function publicPath(path: string, client: Told): string {
  if (client?.prefix === undefined) return path
  return joinPath(client.prefix, path)
}
