import { BlockList, isIP } from 'node:net'
import { fault, quote } from './fault.js'

/** A set of IP addresses, made of CIDR ranges. */
export interface CidrSet {
  /** Entries that it was made of. */
  readonly size: number
  /** Whether an address is in it; an IPv4-mapped one counts as IPv4. What is no address is in none. */
  has(address: string): boolean
}

/**
 * A set of addresses made of CIDR ranges and single addresses. IPv4-mapped ranges (::ffff:0:0/96 and what is inside it) mean
 * those of IPv4; no other range of IPv6 has IPv4 addresses in it, not even ::/0.
 * @param path the option's, for the error
 * @throws TypeError with a line for every wrong entry; bits set behind the prefix are one
 */
export function cidrSet(list: readonly string[], path = 'cidr'): CidrSet {
  if (!Array.isArray(list))
    throw new TypeError(fault(path, quote(list), "a list of ranges such as ['10.0.0.0/8', '::1']"))
  // A list for each family: one for both takes ::/0 for all of IPv4 too.
  const blocks = { ipv4: new BlockList(), ipv6: new BlockList() }
  const faults: string[] = []
  list.forEach((entry: unknown, i) => {
    const range = typeof entry === 'string' ? readRange(entry) : undefined
    const where = `${path}[${i}]`
    if (range === undefined) {
      faults.push(fault(where, quote(entry), "an address or a range such as '10.0.0.0/8' or 'fd00::/8'"))
      return
    }
    const first = network(range.address, range.bits, range.family)
    if (first !== undefined) {
      const { bits } = range
      faults.push(fault(where, quote(entry), `bits behind the prefix that are 0: '${first}/${bits}'`))
      return
    }
    const { address, bits, family } = plainRange(range)
    blocks[family].addSubnet(address, bits, family)
  })
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
  return {
    size: list.length,
    has(address) {
      const kind = isIP(address)
      if (kind === 4) return blocks.ipv4.check(address, 'ipv4')
      if (kind === 0) return false
      // However it is spelt: `::ffff:7f00:1` is 127.0.0.1.
      const groups = /ffff:/i.test(address) && !address.includes('%') ? ipv6Groups(address) : undefined
      return groups !== undefined && isMapped(groups)
        ? blocks.ipv4.check(octets(groups), 'ipv4')
        : blocks.ipv6.check(address, 'ipv6')
    },
  }
}

interface Range {
  readonly address: string
  readonly bits: number
  readonly family: 'ipv4' | 'ipv6'
}

function readRange(entry: string): Range | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry)
  if (match === null) return undefined
  const address = match[1] as string
  const kind = isIP(address)
  if (kind === 0 || address.includes('%')) return undefined
  const most = kind === 4 ? 32 : 128
  const bits = match[2] === undefined ? most : Number(match[2])
  return bits > most ? undefined : { address, bits, family: kind === 4 ? 'ipv4' : 'ipv6' }
}

/** An IPv4-mapped range as the range of IPv4 that it is; any other as it is. */
function plainRange(range: Range): Range {
  if (range.family === 'ipv4' || range.bits < 96) return range
  const parts = ipv6Groups(range.address)
  if (!isMapped(parts)) return range
  return { address: octets(parts), bits: range.bits - 96, family: 'ipv4' }
}

/** Whether these groups are an IPv4 address (RFC 4291 section 2.5.5.2). */
function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)
}

/** The IPv4 address of the last two groups. */
function octets(groups: readonly number[]): string {
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 255])
    .join('.')
}

/** The network's own address if `address` isn't it. */
function network(address: string, bits: number, family: 'ipv4' | 'ipv6'): string | undefined {
  const parts = family === 'ipv4' ? address.split('.').map(Number) : ipv6Groups(address)
  const width = family === 'ipv4' ? 8 : 16
  const masked = parts.map((part, i) => {
    const keep = Math.min(Math.max(bits - i * width, 0), width)
    return part & ~((1 << (width - keep)) - 1)
  })
  if (masked.every((part, i) => part === parts[i])) return undefined
  if (family === 'ipv4') return masked.join('.')
  return new URL(`http://[${masked.map((part) => part.toString(16)).join(':')}]`).hostname.slice(1, -1)
}

/** The eight groups of an IPv6 address, as numbers. */
export function ipv6Groups(address: string): number[] {
  // The URL parser writes an embedded IPv4 address as two groups.
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : new Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16))
}
