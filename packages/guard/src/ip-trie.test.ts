import { cidrSet, ipv6Groups } from '@sluice/options'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ipTrie } from './ip-trie.js'
import { PrefixTrie } from './prefix-trie.js'

/** The first bits of an address, as a range. */
function rangeOf(groups: readonly number[], length: number): string {
  const bits = BigInt(128 - length)
  const whole = groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n)
  const kept = (whole >> bits) << bits
  const shown = Array.from({ length: 8 }, (_, i) => ((kept >> BigInt(112 - 16 * i)) & 0xffffn).toString(16))
  return `${shown.join(':')}/${length}`
}

function rangeOfIpv4(address: number, length: number): string {
  const kept = length === 0 ? 0 : Math.floor(address / 2 ** (32 - length)) * 2 ** (32 - length)
  return `${dotted(kept)}/${length}`
}

const dotted = (word: number): string =>
  [24, 16, 8, 0].map((by) => Math.floor(word / 2 ** by) % 256).join('.')

// Few values, so that addresses lie in ranges, and ranges in each other.
const group = fc.constantFrom(0, 1, 0x8000, 0xffff, 0xfffe, 0x64, 0xff9b)
const groups = fc.array(group, { minLength: 8, maxLength: 8 })
const word = fc
  .array(fc.constantFrom(0, 1, 10, 128, 255), { minLength: 4, maxLength: 4 })
  .map((octets) => octets.reduce<number>((sum, octet) => sum * 256 + octet, 0))
const entry = fc.oneof(
  fc.tuple(word, fc.integer({ min: 0, max: 32 })).map(([address, length]) => rangeOfIpv4(address, length)),
  fc.tuple(groups, fc.integer({ min: 0, max: 128 })).map(([address, length]) => rangeOf(address, length)),
  fc
    .tuple(word, fc.integer({ min: 0, max: 32 }))
    .map(([address, length]) => rangeOfIpv4(address, length).replace('/', `/${96 + length}#`))
    .map((text) => `::ffff:${text.replace(/#.*/, '')}`),
  word.map(dotted),
)
const address = fc.oneof(
  word.map(dotted),
  word.map((each) => `::ffff:${dotted(each)}`),
  // The same address by either spelling: with octets, and in groups alone.
  word.map((each) => `64:ff9b::${dotted(each)}`),
  word.map((each) => `64:ff9b:0:0:0:0:${(each >>> 16).toString(16)}:${(each & 0xffff).toString(16)}`),
  groups.map((all) => all.map((each) => each.toString(16)).join(':')),
)

/** The IPv4 address in one of NAT64 (RFC 6052 section 2.1). */
function insideNat64(address: string): string | undefined {
  const all = ipv6Groups(address)
  const [first, second, ...rest] = all
  if (first !== 0x64 || second !== 0xff9b || rest.slice(0, 4).some((each) => each !== 0)) return undefined
  return dotted((all[6] as number) * 2 ** 16 + (all[7] as number))
}

describe('ipTrie', () => {
  it('has what a list of blocks has, and of NAT64 what is in it', () => {
    const property = fc.property(
      fc.array(entry, { maxLength: 40 }),
      fc.array(address, { minLength: 1, maxLength: 40 }),
      (list, asked) => {
        const trie = ipTrie(list)
        const blocks = cidrSet(list)
        for (const each of asked) {
          const inside = each.includes(':') ? insideNat64(each) : undefined
          const has = blocks.has(each) || (inside !== undefined && blocks.has(inside))
          expect([each, trie.has(each)]).toEqual([each, has])
        }
        // Of each entry its own first address.
        for (const each of list) expect([each, trie.has(each.replace(/\/.*/, ''))]).toEqual([each, true])
      },
    )
    fc.assert(property, { numRuns: 500 })
  })

  it('has nothing when it is empty, and everything of a family with a range of no bits', () => {
    expect(ipTrie([]).has('1.2.3.4')).toBe(false)
    const all = ipTrie(['0.0.0.0/0'])
    expect([all.has('255.1.2.3'), all.has('::ffff:1.2.3.4'), all.has('::1')]).toEqual([true, true, false])
    const all6 = ipTrie(['::/0', '2001:db8::/32'])
    expect([all6.has('1.2.3.4'), all6.has('::ffff:1.2.3.4'), all6.has('2001::')]).toEqual([
      false,
      false,
      true,
    ])
    expect(all6.size).toBe(2)
  })

  it('unwraps IPv4-mapped addresses, NAT64 and zone ids', () => {
    const trie = ipTrie(['192.0.2.0/24', 'fe80::/10', '::ffff:198.51.100.0/120'])
    for (const each of [
      '::ffff:192.0.2.7',
      '::FFFF:c000:207',
      '0:0:0:0:0:ffff:192.0.2.7',
      '64:ff9b::192.0.2.7',
      '64:ff9b::c000:207',
      '64:ff9b::192.0.2.7%eth0',
      '::ffff:192.0.2.7%1',
      'fe80::1%eth0',
      '198.51.100.200',
    ])
      expect([each, trie.has(each)]).toEqual([each, true])
    for (const each of [
      '::192.0.2.7',
      '64:ff9b:0:0:0:1:192.0.2.7',
      '64:ff9b:1::192.0.2.7',
      '2002:c000:207::',
      '198.51.101.1',
    ])
      expect([each, trie.has(each)]).toEqual([each, false])
  })

  it('takes a range of NAT64 for what it is, and for no IPv4 address', () => {
    const trie = ipTrie(['64:ff9b::/96'])
    expect([trie.has('64:ff9b::1.2.3.4'), trie.has('1.2.3.4')]).toEqual([true, false])
  })

  it('has nothing that is no address', () => {
    const trie = ipTrie(['0.0.0.0/0', '::/0'])
    for (const each of [
      '',
      'unknown',
      '_hidden',
      '1.2.3',
      '[::1]',
      '1.2.3.4:80',
      ' 1.2.3.4',
      'a'.repeat(1e5),
    ])
      expect([each, trie.has(each)]).toEqual([each, false])
  })

  it('names every wrong entry, and what it would have taken', () => {
    const list = [
      '10.0.0.1/8',
      '10.0.0.0/33',
      '2001:db8::1/32',
      'example.org',
      7,
      '1.2.3.4/',
      '::1%lo',
      '1.2.3.4/08',
    ]
    expect(() => ipTrie(list as string[], 'guard.ip.deny')).toThrow(
      new TypeError(
        [
          "guard.ip.deny[0]: got '10.0.0.1/8', takes bits behind the prefix that are 0: '10.0.0.0/8'",
          "guard.ip.deny[1]: got '10.0.0.0/33', takes an address or a range such as '10.0.0.0/8' or 'fd00::/8'",
          "guard.ip.deny[2]: got '2001:db8::1/32', takes bits behind the prefix that are 0: '2001:db8::/32'",
          ...["[3]: got 'example.org'", '[4]: got 7', "[5]: got '1.2.3.4/'", "[6]: got '::1%lo'"].map(
            (text) => `guard.ip.deny${text}, takes an address or a range such as '10.0.0.0/8' or 'fd00::/8'`,
          ),
          "guard.ip.deny[7]: got '1.2.3.4/08', takes an address or a range such as '10.0.0.0/8' or 'fd00::/8'",
        ].join('\n'),
      ),
    )
    expect(() => ipTrie('10.0.0.0/8' as never)).toThrow("ipTrie: got '10.0.0.0/8', takes a list of ranges")
    expect(() => ipTrie(Array.from({ length: 50 }, () => 'x'))).toThrow(/\nand 30 more$/)
  })

  it('is as small as it says: 14 bytes an entry of IPv4, 26 of IPv6', () => {
    const bytes = (trie: PrefixTrie): number =>
      Object.values(trie).reduce((sum, each) => sum + (ArrayBuffer.isView(each) ? each.byteLength : 0), 0)
    const lengths = Uint8Array.from({ length: 1_000 }, () => 24)
    const ipv4 = Uint32Array.from({ length: 1_000 }, (_, i) => i * 256)
    // One node less than there are leaves, which is 9 bytes.
    expect(bytes(new PrefixTrie({ width: 1, words: ipv4, lengths }))).toBe(14 * 1_000 - 9)
    const ipv6 = Uint32Array.from({ length: 4_000 }, (_, i) => (i % 4 === 0 ? i * 256 : 0))
    expect(bytes(new PrefixTrie({ width: 4, words: ipv6, lengths }))).toBe(26 * 1_000 - 9)
  })
})
