import { fault, quote } from '@sluice/options'
import { PrefixTrie } from './prefix-trie.js'
import { readAddress } from './read-address.js'

/** A set of IP addresses. */
export interface IpSet {
  /** Entries that it was made of. */
  readonly size: number
  /** Whether an address is in it. What is no address is in none. */
  has(address: string): boolean
}

/** Faults of a list that an error tells of: of a list of 100,000 all may be wrong. */
const mostFaults = 20

/** The address that is looked for, or read. */
const words = new Uint32Array(4)

/**
 * A set of IP addresses made of CIDR ranges and single addresses, for long lists: 100,000 entries take some MB, and a look-up stays under 1 µs, its text
 * read included. What `cidrSet` of `@sluice/options` is for short ones.
 *
 * - An IPv4-mapped address (`::ffff:192.0.2.1`) is the IPv4 address, and a mapped range that of IPv4. No other range of IPv6 has IPv4
 *   addresses in it, not even `::/0`.
 * - An address of NAT64 (RFC 6052, `64:ff9b::/96`) is in the set if the IPv4 address in it is, or it itself.
 * - A zone id (`fe80::1%eth0`) is left out of account.
 * @param path the option's, for the error
 * @throws TypeError with a line for each wrong entry, 20 at most; bits set behind the prefix are one
 */
export function ipTrie(list: readonly string[], path = 'ipTrie'): IpSet {
  if (!Array.isArray(list))
    throw new TypeError(fault(path, quote(list), "a list of ranges such as ['10.0.0.0/8', '::1']"))
  return trieOf(list, (i) => `${path}[${i}]`)
}

/**
 * The same of entries that stand anywhere.
 * @param whereOf where an entry stands, for the error
 */
export function trieOf(list: readonly unknown[], whereOf: (i: number) => string): IpSet {
  const ipv4 = new Gathered(1, list.length)
  const ipv6 = new Gathered(4, list.length)
  const faults: string[] = []
  let wrong = 0
  for (let i = 0; i < list.length; i++) {
    const found = addEntry(list[i], ipv4, ipv6)
    if (found === undefined) continue
    if (++wrong <= mostFaults) faults.push(fault(whereOf(i), quote(list[i]), found))
  }
  if (wrong > mostFaults) faults.push(`and ${wrong - mostFaults} more`)
  if (wrong > 0) throw new TypeError(faults.join('\n'))
  return new IpTrie(list.length, ipv4.trie(), ipv6.trie())
}

class IpTrie implements IpSet {
  constructor(
    readonly size: number,
    private readonly ipv4: PrefixTrie,
    private readonly ipv6: PrefixTrie,
  ) {}

  has(address: string): boolean {
    const version = readAddress(address, words)
    if (version === 4) return this.ipv4.covers(words)
    if (version === 0) return false
    if (isMapped()) return this.hasLast()
    return this.ipv6.covers(words) || (isNat64() && this.hasLast())
  }

  /** Whether it has the IPv4 address in the last word. */
  private hasLast(): boolean {
    words[0] = words[3] as number
    return this.ipv4.covers(words)
  }
}

/** `::ffff:0:0/96`, RFC 4291 section 2.5.5.2. */
function isMapped(): boolean {
  return words[2] === 0xffff && words[0] === 0 && words[1] === 0
}

/** `64:ff9b::/96`, RFC 6052 section 2.1. */
function isNat64(): boolean {
  return words[0] === 0x64ff9b && words[1] === 0 && words[2] === 0
}

/** Prefixes of one family, as they come. */
class Gathered {
  private readonly words: Uint32Array
  private readonly lengths: Uint8Array
  private count = 0

  constructor(
    private readonly width: 1 | 4,
    most: number,
  ) {
    this.words = new Uint32Array(most * width)
    this.lengths = new Uint8Array(most)
  }

  /** @param from the first of the words that are the prefix */
  add(from: number, length: number): void {
    this.words.set(words.subarray(from, from + this.width), this.count * this.width)
    this.lengths[this.count++] = length
  }

  trie(): PrefixTrie {
    const { width, count } = this
    return new PrefixTrie({
      width,
      words: this.words.subarray(0, count * width),
      lengths: this.lengths.subarray(0, count),
    })
  }
}

/** Adds an entry to those of its family. Says what it should have been where it is none. */
function addEntry(entry: unknown, ipv4: Gathered, ipv6: Gathered): string | undefined {
  const takes = "an address or a range such as '10.0.0.0/8' or 'fd00::/8'"
  if (typeof entry !== 'string' || entry.includes('%')) return takes
  const slash = entry.indexOf('/')
  const version = readAddress(slash < 0 ? entry : entry.slice(0, slash), words)
  if (version === 0) return takes
  const most = version === 4 ? 32 : 128
  const length = slash < 0 ? most : prefixLength(entry, slash + 1)
  if (length > most) return takes
  if (keepFirst(length, version)) return `bits behind the prefix that are 0: '${textOf(version)}/${length}'`
  if (version === 4) ipv4.add(0, length)
  else if (length >= 96 && isMapped()) ipv4.add(3, length - 96)
  else ipv6.add(0, length)
  return undefined
}

/** The number from `at` to the end; endless for what is none. */
function prefixLength(entry: string, at: number): number {
  const text = entry.slice(at)
  return /^(0|[1-9]\d{0,2})$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY
}

/** Sets all bits of the address that was read to 0 but the first ones. Whether there were any. */
function keepFirst(length: number, version: 4 | 6): boolean {
  let had = false
  for (let w = 0; w < (version === 4 ? 1 : 4); w++) {
    const keep = Math.min(Math.max(length - w * 32, 0), 32)
    const word = words[w] as number
    const kept = keep === 0 ? 0 : (word >>> (32 - keep)) * 2 ** (32 - keep)
    if (kept !== word) had = true
    words[w] = kept
  }
  return had
}

/** The address that was read, as it is written. */
function textOf(version: 4 | 6): string {
  const octets = (word: number): string => [24, 16, 8, 0].map((by) => (word >>> by) & 255).join('.')
  if (version === 4) return octets(words[0] as number)
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((words[i >>> 1] as number) >>> (i % 2 === 0 ? 16 : 0)) & 0xffff).toString(16),
  )
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
