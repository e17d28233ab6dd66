import { createHmac } from 'node:crypto'
import type { HeaderList } from '@sluice/headers'
import { matcher } from './tell-tales.js'

/** Fields of requests by which browsers, CDNs and proxies tell who the client is; `forward` drops `Forwarded` and `X-Forwarded-*` itself. */
const identities = matcher([
  'cf-connecting-ip*',
  'cf-ipcountry',
  'cf-pseudo-ipv4',
  'client-ip',
  'cluster-client-ip',
  'do-connecting-ip',
  'fastly-client-ip',
  'fly-client-ip',
  'from',
  'proxy-user',
  'remote-addr',
  'true-client-ip',
  'x-appengine-user-ip',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-coming-from',
  'x-envoy-external-address',
  'x-geo*',
  'x-host-ip',
  'x-ip',
  'x-nf-client-connection-ip',
  'x-original-forwarded-for',
  'x-original-remote-addr',
  'x-originating-ip',
  'x-proxyuser-ip',
  'x-real-ip',
  'x-remote-addr',
  'x-remote-ip',
  'x-user-ip',
  'x-vercel-forwarded-for',
  'x-vercel-ip-*',
])

/** The list without fields that tell who the client is; the same list if there are none. */
export function withoutIdentity(headers: HeaderList): HeaderList {
  let left: HeaderList | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (identities(name.toLowerCase().replaceAll(/[^\da-z]/g, '-'))) left ??= headers.slice(0, i)
    else left?.push(name, headers[i + 1] as string)
  }
  return left ?? headers
}

/** Names that are remembered: an HMAC takes some microseconds, and most clients ask more than once. */
const remembered = 1_000

/**
 * Gives each address a name that says nothing to whoever lacks the secret: `_` and 128 bits of its HMAC-SHA-256, an identifier as RFC 7239
 * section 6.3 has it. Without a key it would be no secret: there are no more than 2^32 addresses of IPv4 to try.
 */
export function clientNames(secret: string): (address: string) => string {
  const names = new Map<string, string>()
  return (address) => {
    let name = names.get(address)
    if (name === undefined) {
      if (names.size >= remembered) names.clear()
      const digest = createHmac('sha256', secret).update(`sluice client ${address}`).digest()
      name = `_${digest.subarray(0, 16).toString('base64url')}`
      names.set(address, name)
    }
    return name
  }
}
