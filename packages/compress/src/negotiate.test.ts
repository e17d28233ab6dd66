import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Coding } from './coding.js'
import { acceptEncodingOf, type Chosen, Negotiation } from './negotiate.js'

const all: readonly Coding[] = ['zstd', 'br', 'gzip', 'deflate']
const of = (accept: string | undefined, offered = all) => new Negotiation(offered).choose(accept)

describe('choose', () => {
  it.each<[string, string | undefined, Chosen | undefined]>([
    ['no field', undefined, 'identity'],
    ['an empty field', '', 'identity'],
    ['a field of blanks', ' \t', 'identity'],
    ['no member', ',, ,', 'identity'],
    ['a browser', 'gzip, deflate, br, zstd', 'zstd'],
    ['a browser of yesterday', 'gzip, deflate, br', 'br'],
    ['a browser that plays a film', 'identity;q=1, *;q=0', 'identity'],
    ['order breaks ties, not the client', 'deflate, gzip', 'gzip'],
    ['the greater weight', 'zstd;q=0.5, gzip;q=0.6', 'gzip'],
    ['weights in any case and with blanks', 'ZSTD ; Q=0.3 ,\tGZip;q=0.4', 'gzip'],
    ['three decimals', 'zstd;q=0.998, br;q=0.999', 'br'],
    ['1 in full is as good as 1', 'br, gzip;q=1.000, deflate;q=1.', 'br'],
    ['a name of old', 'x-gzip', 'gzip'],
    ['0 refuses', 'gzip;q=0', 'identity'],
    ['0.000 refuses too', 'gzip;q=0.000, *', 'zstd'],
    ['a coding not listed is refused', 'compress', 'identity'],
    ['anything', '*', 'zstd'],
    ['anything but', '*, zstd;q=0, br;q=0', 'gzip'],
    ['the name counts before the wildcard', '*;q=0.5, br;q=0.1, gzip;q=0.8', 'gzip'],
    ['the wildcard for those not named', 'gzip;q=0.1, *;q=0.2', 'zstd'],
    ['identity if it is liked better', 'gzip;q=0.5, identity', 'identity'],
    ['a coding if both are liked', 'gzip, identity', 'gzip'],
    ['a coding before identity unnamed', 'gzip;q=0.001', 'gzip'],
    ['identity is named by a wildcard too', 'deflate;q=0.1, *;q=0.9, br;q=0, zstd;q=0, gzip;q=0', 'identity'],
    ['no identity', 'identity;q=0, gzip', 'gzip'],
    ['no identity by a wildcard', 'br;q=0.1, *;q=0', 'br'],
    ['nothing at all', 'identity;q=0', undefined],
    ['nothing by a wildcard', '*;q=0', undefined],
    ['nothing but what is not there', 'compress, identity;q=0.0', undefined],
    ['identity alone is named against the wildcard', '*;q=0, identity;q=0.1', 'identity'],
    ['of one that comes twice the first', 'gzip;q=0, gzip', 'identity'],
    ['a weight above 1 is none', 'gzip;q=2, br;q=0.1', 'br'],
    ['a weight of letters is none', 'gzip;q=high', 'identity'],
    ['a weight that can not be read is no wildcard', 'zstd;q=1.1, *;q=0.1', 'br'],
    ['a weight of identity that can not be read', 'identity;q=0.0000', 'identity'],
    ['a wildcard with a weight that can not be read', '*;q=-0', 'identity'],
    ['a blank in the weight', 'gzip;q= 1', 'identity'],
    ['another parameter', 'gzip;level=9', 'identity'],
    ['two weights', 'gzip;q=1;q=0', 'identity'],
    ['a name with more behind', 'gzip2, gzip br, "br"', 'identity'],
    ['garbage beside a coding', '\u0000, =;, ;q=1, gzip, "', 'gzip'],
    ['names of what all objects have', '__proto__, constructor', 'identity'],
  ])('%s', (_name, accept, expected) => {
    expect(of(accept)).toBe(expected)
  })

  it('chooses among what is offered alone, in the order of the offer', () => {
    expect(of('zstd, br, deflate', ['deflate', 'br'])).toBe('deflate')
    expect(of('*;q=0.5, zstd', ['gzip'])).toBe('gzip')
    expect(of('*', [])).toBe('identity')
    expect(of('identity;q=0', [])).toBeUndefined()
  })

  it('says what RFC 9110 section 12.5.3 says, however often and in whatever order it is asked', () => {
    const offer = fc.uniqueArray(fc.constantFrom(...all))
    fc.assert(
      fc.property(offer, fc.array(fieldValue, { minLength: 1, maxLength: 20 }), (offered, values) => {
        const negotiation = new Negotiation(offered)
        for (const value of [...values, ...values].reverse())
          expect(negotiation.choose(value)).toBe(asTheRfcReads(value, offered))
      }),
      { numRuns: 500 },
    )
  })

  it('gives what is offered, identity or nothing, whatever the field says', () => {
    const bit = fc.constantFrom(
      'gzip',
      'br',
      'identity',
      '*',
      ';',
      'q=',
      '0',
      '1',
      '.',
      ',',
      ' ',
      '"',
      '\xa0',
    )
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: bit }), fieldValue), (value) => {
        expect([...all, 'identity', undefined]).toContain(of(value))
      }),
    )
  })

  it('counts a field of more than 8192 characters as not sent', () => {
    const rest = 'identity;q=0,gzip;q=0'
    expect(of(`${' '.repeat(8_192 - rest.length)}${rest}`)).toBeUndefined()
    expect(of(`${' '.repeat(8_193 - rest.length)}${rest}`)).toBe('identity')
    for (const part of ['gzip,', '*;q=0,', ',', ' ', '"', 'gzip ', 'gzip;', '\\'])
      expect(of(part.repeat(100_000 / part.length))).toBe('identity')
  })

  it('remembers values without end, and is right about each', () => {
    const negotiation = new Negotiation(all)
    const ask = (i: number) => negotiation.choose(`br;q=0.${i % 1_000}, x${i}, gzip;q=0.5`)
    for (let i = 0; i < 2_000; i++) expect(ask(i)).toBe(Number(`0.${i % 1_000}`) >= 0.5 ? 'br' : 'gzip')
    const long = `gzip,${'x'.repeat(1_000)}`
    expect([negotiation.choose(long), negotiation.choose(long)]).toEqual(['gzip', 'gzip'])
    expect([negotiation.choose('*;q=0'), negotiation.choose('*;q=0')]).toEqual([undefined, undefined])
  })
})

describe('acceptEncodingOf', () => {
  it('joins lines, whatever the case of their names', () => {
    expect(acceptEncodingOf(['Accept', '*/*', 'Accept-Encoding', 'gzip'])).toBe('gzip')
    expect(acceptEncodingOf(['ACCEPT-encoding', 'gzip', 'A', 'b', 'accept-encoding', 'br;q=0'])).toBe(
      'gzip,br;q=0',
    )
  })

  it('tells an empty field from none', () => {
    expect(acceptEncodingOf(['Accept-Encoding', ''])).toBe('')
    expect(acceptEncodingOf(['Accept-Encodings', 'gzip', 'X', 'accept-encoding'])).toBeUndefined()
  })
})

const blanks = fc.constantFrom('', '', '', ' ', '\t', '  ')
const name = fc.constantFrom(
  ...['zstd', 'br', 'gzip', 'deflate', 'x-gzip', 'identity', '*', 'compress', 'GZIP', 'Identity', 'gzi', ''],
)
const parameter = fc.constantFrom(
  ...['q=0', 'q=0.', 'q=0.0', 'q=0.000', 'q=0.001', 'q=0.2', 'Q=0.20', 'q=0.999', 'q=1', 'q=1.000', 'q=1.'],
  ...[
    'q=0.0000',
    'q=1.001',
    'q=2',
    'q=-1',
    'q=',
    'q',
    'q= 1',
    '',
    'x=1',
    'q=1;q=0',
    'q="1"',
    'q=.5',
    'q=0,5',
  ],
)
const member = fc
  .tuple(blanks, name, blanks, fc.option(fc.tuple(blanks, parameter)), blanks)
  .map(([a, named, b, more, c]) => `${a}${named}${b}${more === null ? '' : `;${more.join('')}`}${c}`)
const fieldValue = fc.array(member, { maxLength: 6 }).map((members) => members.join(','))

/** The section read once more, by other means: in thousandths, where identity unnamed is liked least of all that is liked. */
function asTheRfcReads(value: string, offered: readonly Coding[]): Chosen | undefined {
  const said: Record<string, number> = Object.create(null)
  for (const text of value.split(',')) {
    const at = text.indexOf(';')
    let coding = strip(at < 0 ? text : text.slice(0, at)).toLowerCase()
    if (coding === 'x-gzip') coding = 'gzip'
    let weight = at < 0 ? 1_000 : thousandths(strip(text.slice(at + 1)))
    if (weight === -1 && offered.some((each) => each === coding)) weight = 0
    if (weight >= 0 && said[coding] === undefined) said[coding] = weight
  }
  const rank = (coding: string) => said[coding] ?? said['*']
  let best: Chosen | undefined
  let most = 0
  for (const coding of [...offered, 'identity'] as const) {
    const liked = rank(coding) ?? (coding === 'identity' ? 0.5 : 0)
    if (liked > most) {
      most = liked
      best = coding
    }
  }
  return best
}

/** `qvalue` of section 12.4.2, character by character; -1 for what is none. */
function thousandths(text: string): number {
  if (text.slice(0, 2).toLowerCase() !== 'q=') return -1
  const [first, point, ...decimals] = text.slice(2)
  if ((first !== '0' && first !== '1') || (point !== undefined && point !== '.')) return -1
  if (decimals.length > 3 || decimals.some((digit) => digit < '0' || digit > '9')) return -1
  const sum = Number(first) * 1_000 + Number(decimals.join('').padEnd(3, '0'))
  return sum > 1_000 ? -1 : sum
}

function strip(text: string): string {
  let [from, to] = [0, text.length]
  while (from < to && (text[from] === ' ' || text[from] === '\t')) from++
  while (to > from && (text[to - 1] === ' ' || text[to - 1] === '\t')) to--
  return text.slice(from, to)
}
