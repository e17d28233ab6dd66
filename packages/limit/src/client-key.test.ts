import { isIPv6 } from 'node:net'
import { ipv6Groups } from '@sluice/options'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clientKey } from './client-key.js'
import { ipPrefix } from './ip-prefix.js'

const keyOf = (address: string, options = {}): string => clientKey(options)({ client: { address } } as never)

/** An address of IPv6 in one of the ways to spell it. */
const spelt = fc
  .record({
    groups: fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
      minLength: 8,
      maxLength: 8,
    }),
    upper: fc.boolean(),
    padded: fc.boolean(),
    gap: fc.tuple(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 8 })),
    dotted: fc.boolean(),
    zone: fc.constantFrom('', '%eth0', '%1'),
  })
  .map(({ groups, upper, padded, gap, dotted, zone }) => {
    const [from, to] = [Math.min(...gap), Math.max(...gap)]
    const last = dotted ? 6 : 8
    const zeros = to - from >= 1 && to <= last && groups.slice(from, to).every((group) => group === 0)
    const text = (list: readonly number[]): string[] =>
      list.map((group) => group.toString(16).padStart(padded ? 4 : 1, '0'))
    const tail = dotted
      ? [
          groups
            .slice(6)
            .flatMap((group) => [group >> 8, group & 255])
            .join('.'),
        ]
      : []
    const written = zeros
      ? `${text(groups.slice(0, from)).join(':')}::${[...text(groups.slice(to, last)), ...tail].join(':')}`
      : [...text(groups.slice(0, last)), ...tail].join(':')
    return { groups, address: (upper ? written.toUpperCase() : written) + zone }
  })

describe('ipPrefix', () => {
  it('is the same for all spellings of an address, and the groups that it says', () => {
    fc.assert(
      fc.property(spelt, ({ groups, address }) => {
        const isIpv4 = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
        const isNat64 =
          groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0)
        const wanted =
          isIpv4 || isNat64
            ? groups
                .slice(6)
                .flatMap((group) => [group >> 8, group & 255])
                .join('.')
            : groups.map((group) => group.toString(16)).join(':')
        return ipPrefix(address, 32, 128) === wanted
      }),
      { numRuns: 1_000 },
    )
  })

  it('agrees with the parser of URLs on any prefix', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.integer({ min: 1, max: 128 }), (address, bits) => {
        const groups = ipv6Groups(address).map((group, i) => {
          const kept = Math.min(16, Math.max(0, bits - i * 16))
          return (group & (0xffff << (16 - kept)) & 0xffff).toString(16)
        })
        const text = groups.slice(0, Math.ceil(bits / 16)).join(':')
        // Of those that hold an address of IPv4 the test above tells.
        if (ipPrefix(address, 32, 128).includes('.')) return true
        return ipPrefix(address, 32, bits) === (bits > 112 ? text : `${text}::`)
      }),
      { numRuns: 1_000 },
    )
  })

  it('takes what Node takes for an address of IPv6, and leaves all else as it is', () => {
    const almost = fc.array(
      fc.constantFrom(':', '::', '0', 'ffff', '1', 'g', '1.2.3.4', '12345', '.', '%a'),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(almost, (parts) => {
        const text = parts.join('')
        // With a zone Node takes some that are none.
        if (text.includes('%') || !text.includes(':')) return true
        return isIPv6(text) === (ipPrefix(text, 32, 64) !== text || isPrefix(text))
      }),
      { numRuns: 3_000 },
    )
  })
})

/** Whether the prefix of an address is spelt as it is itself. */
function isPrefix(text: string): boolean {
  return isIPv6(text) && /^(?:(?:0|[1-9a-f][\da-f]*):){4}:$/.test(text)
}

describe('clientKey', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:0207', '192.0.2.7'],
    ['64:ff9b::192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['2001:DB8:1:2::', '2001:db8:1:2::'],
    ['fe80::1%eth0', 'fe80:0:0:0::'],
    ['::1', '0:0:0:0::'],
    ['', ''],
    ['/run/socket', '/run/socket'],
    ['1::2::3', '1::2::3'],
    ['12345::', '12345::'],
    ['::1.2.3', '::1.2.3'],
    ['::1.2.3.256', '::1.2.3.256'],
  ])('of %j is %j', (address, key) => expect(keyOf(address)).toBe(key))

  it.each([
    [{ ipv4: 24 }, '192.0.2.7', '192.0.2.0'],
    [{ ipv4: 20 }, '192.0.31.7', '192.0.16.0'],
    [{ ipv4: 1 }, '192.0.2.7', '128.0.0.0'],
    [{ ipv4: 24 }, '::ffff:192.0.2.7', '192.0.2.0'],
    [{ ipv4: 24 }, 'no.ad.dr.ess', 'no.ad.dr.ess'],
    [{ ipv6: 48 }, '2001:db8:1:2::3', '2001:db8:1::'],
    [{ ipv6: 56 }, '2001:db8:1:12ff::3', '2001:db8:1:1200::'],
    [{ ipv6: 128 }, '2001:db8::3', '2001:db8:0:0:0:0:0:3'],
  ])('with %j of %j is %j', (options, address, key) => expect(keyOf(address, options)).toBe(key))

  it('names wrong options', () => {
    expect(() => clientKey({ ipv4: 0, ipv6: 129 })).toThrow(
      'clientKey.ipv4: got 0, takes a whole number from 1 to 32\nclientKey.ipv6: got 129, takes a whole number from 1 to 128',
    )
  })
})
