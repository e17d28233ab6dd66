import type { Target } from '@sluice/upstream'

/** Where to connect to, as `net.connect` takes it. */
export type TargetAddress = { readonly path: string } | { readonly host: string; readonly port: number }

/** Where a target's URL leads. */
export function targetAddress({ url }: Target): TargetAddress {
  if (url.startsWith('unix:')) return { path: url.slice('unix:'.length) }
  const { hostname, port, protocol } = new URL(url)
  const own = protocol === 'https:' ? 443 : 80
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? own : Number(port) }
}

/** What `Host` says to a target by itself. */
export function authorityOf({ url }: Target): string {
  return url.startsWith('unix:') ? 'localhost' : new URL(url).host
}
