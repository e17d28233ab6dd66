import { joinPath } from '@sluice/headers'
import type { Client } from './client-address.js'

/** What {@link clientAddress} has found out, where it stands in the chain. */
type Told = Client['client'] | undefined

/**
 * Host and port of the URL that a client has asked for: as trusted proxies tell them, with the port where the host has none.
 * @param authority of the request as it came
 */
export function publicAuthority(authority: string, client: Told): string {
  if (client === undefined || client.believed.length === 0) return authority
  const { host = authority, port } = client
  return port === undefined || /:\d*$/.test(host) ? host : `${host}:${port}`
}

/**
 * The path of the URL that a client has asked for: with the prefix that trusted proxies have taken off.
 * @param path of the request as it came, with what a mount has taken off
 */
export function publicPath(path: string, client: Told): string {
  if (client === undefined || client.believed.length === 0 || client.prefix === undefined) return path
  return joinPath(client.prefix, path)
}
