import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { fault, quote } from '@sluice/options'
import type { Endpoint } from './exchange.js'
import type { ProbeTarget } from './probe-case.js'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6')

/**
 * Reads whom to probe, and looks its name up once: the addresses that were judged are those that are connected to.
 * @param anywhere whether it may be another machine than this one
 * @throws TypeError a URL that can't be probed, or one of another machine
 * @throws Error a name that has no address
 */
export async function locate(
  target: string,
  anywhere: boolean,
): Promise<ProbeTarget & { readonly endpoints: readonly Endpoint[] }> {
  const url = URL.canParse(target) ? new URL(target) : undefined
  // A password in it is not shown.
  if (url !== undefined && (url.username !== '' || url.password !== '')) {
    throw new TypeError('target: got a URL with credentials, takes one such as http://127.0.0.1:8080')
  }
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(fault('target', quote(target), 'a URL such as http://127.0.0.1:8080'))
  }
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const found = await lookup(name, { all: true })
  const elsewhere = found.find(
    ({ address, family }) => !loopback.check(address, family === 6 ? 'ipv6' : 'ipv4'),
  )
  if (elsewhere !== undefined && !anywhere) {
    const told = isIP(name) === 0 ? `${name} is ${elsewhere.address}` : name
    throw new TypeError(`target: ${told}, which is not this machine; say that it is yours to probe it`)
  }
  const tls = url.protocol === 'https:'
  const port = Number(url.port) || (tls ? 443 : 80)
  const servername = tls && isIP(name) === 0 ? name : undefined
  return {
    host: url.host,
    path: `${url.pathname}${url.search}`,
    endpoints: found.map(({ address }) => ({ address, port, tls, servername })),
  }
}
