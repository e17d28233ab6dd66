import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { safeTargets } from './index.js'
import { canonicalAddress, prohibited } from './prohibited-address.js'

const of = (address: string): string | undefined => prohibited(canonicalAddress(address) ?? '')

// First, last, one below, one above (undefined where that is refused too).
const blocks4: [string, string, string | undefined, string | undefined][] = [
  ['0.0.0.0', '0.255.255.255', undefined, '1.0.0.0'],
  ['10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
  ['100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
  ['127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
  ['168.63.129.16', '168.63.129.16', '168.63.129.15', '168.63.129.17'],
  ['169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
  ['172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
  ['192.0.0.0', '192.0.0.255', '191.255.255.255', '192.0.1.0'],
  ['192.0.2.0', '192.0.2.255', '192.0.1.255', '192.0.3.0'],
  ['192.88.99.0', '192.88.99.255', '192.88.98.255', '192.88.100.0'],
  ['192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
  ['198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
  ['198.51.100.0', '198.51.100.255', '198.51.99.255', '198.51.101.0'],
  ['203.0.113.0', '203.0.113.255', '203.0.112.255', '203.0.114.0'],
  ['224.0.0.0', '239.255.255.255', '223.255.255.255', undefined],
  ['240.0.0.0', '255.255.255.255', undefined, undefined],
]

const ones = (prefix: string): string => `${prefix}${':ffff'.repeat(8 - prefix.split(':').length)}`
const blocks6: [string, string, string | undefined, string | undefined][] = [
  ['::', ones('1fff'), undefined, '2000::'],
  ['::1', '::1', undefined, undefined],
  ['64:ff9b:1::', ones('64:ff9b:1'), undefined, undefined],
  ['100::', ones('100:0:0:0'), undefined, undefined],
  ['2001::', ones('2001:1ff'), ones('2000'), '2001:200::'],
  ['2001:db8::', ones('2001:db8'), ones('2001:db7'), '2001:db9::'],
  ['3fff::', ones('3fff:fff'), ones('3ffe'), '3fff:1000::'],
  ['4000::', ones('fbff'), ones('3fff'), undefined],
  ['5f00::', ones('5f00'), undefined, undefined],
  ['fc00::', ones('fdff'), undefined, undefined],
  ['fe80::', ones('febf'), undefined, undefined],
  ['fec0::', ones('feff'), undefined, undefined],
  ['ff00::', ones('ffff'), undefined, undefined],
]

it.each([...blocks4, ...blocks6])('refuses %s to %s, and neither %s nor %s', (first, last, below, above) => {
  expect(of(first)).toBeDefined()
  expect(of(last)).toBeDefined()
  if (below !== undefined) expect(of(below)).toBeUndefined()
  if (above !== undefined) expect(of(above)).toBeUndefined()
})

it.each([
  '169.254.169.254',
  'fd00:ec2::254',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  '169.254.170.2',
])('refuses the metadata of clouds at %s', (address) => expect(of(address)).toBeDefined())

const octets = (address: string): number[] => address.split('.').map(Number)
const number = (address: string): number => octets(address).reduce((n, octet) => n * 256 + octet, 0)
const hex = (address: string): string => {
  const [a = 0, b = 0, c = 0, d = 0] = octets(address)
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}

/** IPv6 that goes to an IPv4 address or names it. */
const forms: Record<string, (address: string) => string> = {
  mapped: (address) => `::ffff:${address}`,
  'mapped in hex': (address) => `::FFFF:${hex(address)}`,
  'mapped at length': (address) => `0000:0:0:0:0:ffff:${hex(address)}`,
  compatible: (address) => `::${address}`,
  '6to4': (address) => `2002:${hex(address)}::1`,
  NAT64: (address) => `64:ff9b::${address}`,
  'NAT64 of one’s own': (address) => `64:ff9b:1::${address}`,
  Teredo: (address) => `2001:0:${hex(address)}::1`,
}

/** IPv4 as URLs may have it. */
const spellings: ((address: string) => string)[] = [
  (address) => address,
  (address) => `${address}.`,
  (address) => String(number(address)),
  (address) => `0x${number(address).toString(16)}`,
  (address) =>
    octets(address)
      .map((octet) => `0x${octet.toString(16)}`)
      .join('.'),
  (address) =>
    octets(address)
      .map((octet) => `0${octet.toString(8)}`)
      .join('.'),
  (address) => `${octets(address)[0]}.${number(address) % 2 ** 24}`,
]

const inside = fc
  .constantFrom(...blocks4)
  .chain(([first, last]) => fc.integer({ min: number(first), max: number(last) }))
  .map((n) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join('.'))

describe('no address inside a refused block passes', () => {
  const hook = safeTargets({ allow: [] })

  it('in any spelling', () => {
    fc.assert(
      fc.property(inside, fc.constantFrom(...spellings), (address, spell) => {
        const { hostname } = new URL(`http://${spell(address)}/`)
        expect(() => hook.check({ host: hostname, port: 80 })).toThrow('no target may be at')
      }),
    )
  })

  it.each(Object.keys(forms))('as IPv6: %s', (form) => {
    fc.assert(
      fc.property(inside, (address) => {
        const { hostname } = new URL(`http://[${forms[form]?.(address)}]/`)
        expect(() => hook.check({ host: hostname.slice(1, -1), port: 80 })).toThrow('no target may be at')
      }),
    )
  })

  it('and nothing outside 2000::/3 but what embeds a public IPv4', () => {
    const group = fc.integer({ min: 0, max: 0xffff })
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const [first = 0] = groups
        const address = groups.map((each) => each.toString(16)).join(':')
        if (first >> 13 !== 1) expect(of(address)).toBeDefined()
        else if (first !== 0x2001 && first !== 0x2002 && first !== 0x3fff) expect(of(address)).toBeUndefined()
      }),
    )
  })
})

it.each(['mapped', 'mapped in hex', '6to4', 'NAT64'])('a public IPv4 passes as %s', (form) => {
  expect(of(forms[form]?.('8.8.8.8') ?? '')).toBeUndefined()
})

it('has no form for what is no address, or has a zone', () => {
  for (const text of ['', 'a.test', '1.2.3', 'fe80::1%eth0', '::1%1'])
    expect(canonicalAddress(text)).toBeUndefined()
})
