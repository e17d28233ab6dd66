import { isIPv6 } from 'node:net'
import { cleanAddress } from '@sluice/headers'
import { type Endpoint, format } from '@sluice/proxy-protocol'
import type { ClientEnds } from './client-ends.js'

/**
 * What a connection to a target begins with, so that the target knows for whom it was made (PROXY protocol). Without a client
 * (a probe, say) it is LOCAL, which version 1 calls UNKNOWN; a client whose address nobody knows (on a Unix socket) is
 * UNKNOWN in both. An IPv4-mapped address is written as IPv4; if only one end is IPv4, it is mapped, since both ends are of
 * one family (section 2.2).
 */
export function proxyHeader(version: 1 | 2, ends: ClientEnds | undefined): Buffer {
  if (ends === undefined) return format(version, { command: 'local', family: 'unspec' })
  const source = clean(ends.source)
  const destination = clean(ends.destination)
  if (source === undefined || destination === undefined)
    return format(version, { command: 'proxy', family: 'unspec' })
  const six = isIPv6(source.address) || isIPv6(destination.address)
  return format(version, {
    command: 'proxy',
    family: six ? 'inet6' : 'inet',
    source: six ? mapped(source) : source,
    destination: six ? mapped(destination) : destination,
  })
}

function clean({ address, port }: Endpoint): Endpoint | undefined {
  const plain = cleanAddress(address)
  return plain === undefined ? undefined : { address: plain, port }
}

function mapped(end: Endpoint): Endpoint {
  return isIPv6(end.address) ? end : { address: `::ffff:${end.address}`, port: end.port }
}
