import { isIPv6 } from 'node:net'
import { ipv6Groups } from '@sluice/options'

/**
 * What the connections of one client come from: an address of IPv4, or the first 64 bits of one of IPv6, which is the least that a
 * customer gets (RFC 6177). IPv4 in IPv6 is IPv4.
 */
export function clientNetwork(address: string): string {
  const bare = address.replace(/%.*$/, '')
  if (!isIPv6(bare)) return address
  const groups = ipv6Groups(bare)
  if (!isMapped(groups)) return `${groups.slice(0, 4).map(hex).join(':')}::/64`
  const [high = 0, low = 0] = groups.slice(6)
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

/** RFC 4291 section 2.5.5.2. */
function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xff_ff && groups.slice(0, 5).every((group) => group === 0)
}

function hex(group: number): string {
  return group.toString(16)
}
