import { BlockList, isIP } from 'node:net'
import { ipv6Groups } from '@sluice/options'

/**
 * Blocks of IPv4 that no public server has: the IANA special-purpose registry (RFC 6890, RFC 8190), multicast, and what
 * clouds answer on. The few addresses in 192.0.0.0/24 that are reachable serve no HTTP.
 */
const blocks4: readonly (readonly [cidr: string, what: string])[] = [
  ['0.0.0.0/8', 'unspecified'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared'],
  ['127.0.0.0/8', 'loopback'],
  ['168.63.129.16/32', 'cloud metadata'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved for protocols'],
  ['192.0.2.0/24', 'documentation'],
  ['192.88.99.0/24', '6to4 relay'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved or broadcast'],
]

/**
 * Blocks inside 2000::/3 that no public server has. All outside it is refused as a whole: ::, ::1, fc00::/7 (with
 * fd00:ec2::254), fe80::/10, ff00::/8, and what isn't given out yet.
 */
const blocks6: readonly (readonly [cidr: string, what: string])[] = [
  ['2001::/23', 'reserved for protocols'], // Teredo and ORCHID among them
  ['2001:db8::/32', 'documentation'],
  ['3fff::/20', 'documentation'],
]

const global6 = listOf('2000::/3', 'ipv6')
const lists4 = blocks4.map(([cidr, what]) => [listOf(cidr, 'ipv4'), what] as const)
const lists6 = blocks6.map(([cidr, what]) => [listOf(cidr, 'ipv6'), what] as const)

function listOf(cidr: string, family: 'ipv4' | 'ipv6'): BlockList {
  const [address, bits] = cidr.split('/') as [string, string]
  const list = new BlockList()
  list.addSubnet(address, Number(bits), family)
  return list
}

/**
 * An address in its one form: IPv4 for an IPv4-mapped one, since that is where the connection goes. `undefined` for what is
 * none, and for one with a zone: zones are of this machine's links.
 */
export function canonicalAddress(address: string): string | undefined {
  const kind = isIP(address)
  if (kind === 4) return address
  if (kind === 0 || address.includes('%')) return undefined
  const groups = ipv6Groups(address)
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  return mapped ? ipv4(groups[6] as number, groups[7] as number) : groups.map((g) => g.toString(16)).join(':')
}

/**
 * Why a target that somebody else has chosen must not be at this address; `undefined` if it may. 6to4 (RFC 3056) and NAT64
 * (RFC 6052) addresses count as the IPv4 address that they embed; ISATAP ones (RFC 5214 section 6.1) as that and as IPv6.
 * @param address as {@link canonicalAddress} gives it
 */
export function prohibited(address: string): string | undefined {
  if (isIP(address) === 4) return lists4.find(([list]) => list.check(address, 'ipv4'))?.[1]
  const groups = ipv6Groups(address)
  const [first = 0, second = 0, third = 0] = groups
  const nat64 = first === 0x64 && second === 0xff9b && groups.slice(2, 6).every((group) => group === 0)
  if (nat64) return embedded('NAT64', groups[6] as number, groups[7] as number)
  // Its interface identifier has ::5efe in the middle, with the bit for a global one or without.
  const isatap = (groups[4] === 0 || groups[4] === 0x200) && groups[5] === 0x5efe
  const inner = isatap ? embedded('ISATAP', groups[6] as number, groups[7] as number) : undefined
  if (inner !== undefined) return inner
  if (first === 0x2002) return embedded('6to4', second, third)
  if (!global6.check(address, 'ipv6')) return 'not global unicast'
  return lists6.find(([list]) => list.check(address, 'ipv6'))?.[1]
}

function embedded(how: string, high: number, low: number): string | undefined {
  const what = prohibited(ipv4(high, low))
  return what === undefined ? undefined : `${what} by ${how}`
}

function ipv4(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
