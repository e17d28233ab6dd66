import { isIP } from 'node:net'
import { ipv6Groups } from '@sluice/options'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readAddress } from './read-address.js'

const words = new Uint32Array(4)

/** What Node makes of it, whatever the zone is named: Node wants letters and digits, and an interface may be `br_lan`. */
function expected(given: string): { version: number; words: number[] } {
  const text = given.replace(/:([^:%]*)%.+$/s, ':$1')
  const version = isIP(text)
  if (version === 4) {
    const [a, b, c, d] = text.split('.').map(Number) as [number, number, number, number]
    return { version, words: [a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d] }
  }
  if (version === 0) return { version, words: [] }
  const groups = ipv6Groups(text)
  const pairs = [0, 2, 4, 6].map((i) => (groups[i] as number) * 0x10000 + (groups[i + 1] as number))
  return { version, words: pairs }
}

function read(text: string): { version: number; words: number[] } {
  words.fill(0xdeadbeef)
  const version = readAddress(text, words)
  const count = version === 6 ? 4 : version === 4 ? 1 : 0
  return { version, words: [...words.subarray(0, count)] }
}

describe('readAddress', () => {
  it.each([
    ...['1.2.3.4', '255.255.255.255', '0.0.0.0', '01.2.3.4', '1.2.3', '1.2.3.4.5', '1.2.3.256', '1..2.3'],
    ...['', '.', ':', '::', '::1', '1::', '1:', ':1', '::1::', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8:9'],
    ...['1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8', '1::2::3', ':::'],
    ...[
      '::ffff:1.2.3.4',
      '::1.2.3.4',
      '1:2:3:4:5:6:1.2.3.4',
      '1:2:3:4:5:6:7:1.2.3.4',
      '1.2.3.4::',
      '::1.2.3',
    ],
    ...[
      '::1.2.3.4:5',
      '64:ff9b::1.2.3.4',
      'fe80::1%eth0',
      'fe80::1%',
      '%',
      'fe80::%1%2',
      'fe80::1%br_lan',
      '1.2.3.4%eth0',
    ],
    ...[
      '12345::',
      '::g',
      'ABCD:ef01::',
      '[::1]',
      '::1 ',
      ' ::1',
      '1.2.3.4 ',
      '0x1.2.3.4',
      '1.2.3.4/8',
      '٣.1.1.1',
    ],
    ...['::1.2.3.4%lo', '1:2:3:4:5:6:7', '::0:0:0:0:0:0:0', '0::0:0:0:0:0:0:0', '1.2.3.1000', '1.2.3.-4'],
  ])('reads %j as Node does', (text) => {
    expect(read(text)).toEqual(expected(text))
  })

  it('reads what looks like an address as Node does', () => {
    const group = fc.oneof(
      fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16)),
      fc.constant('0'),
    )
    const piece = fc.oneof(
      { weight: 5, arbitrary: group },
      fc.constantFrom(':', '::', '.', '%', '1.2.3.4', 'g', '00000', ''),
    )
    const joined = fc
      .array(piece, { maxLength: 9 })
      .chain((all) => fc.constantFrom(all.join(':'), all.join('.'), all.join('')))
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      joined,
      fc.string({ unit: fc.constantFrom(...'0 1 2 3 a f : . %'.split(' ')) }),
    )
    fc.assert(
      fc.property(text, (each) => {
        expect(read(each)).toEqual(expected(each))
      }),
      { numRuns: 2_000 },
    )
  })
})
