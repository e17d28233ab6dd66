import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ForwardedElement, formatForwarded, parseForwarded, walkForwarded } from './index.js'

const proxies = (address: string): boolean => address.startsWith('10.')

describe('parseForwarded', () => {
  it.each<[string, ForwardedElement[]]>([
    ['', []],
    [
      'for=192.0.2.60;proto=http;by=203.0.113.43',
      [{ for: { name: '192.0.2.60' }, proto: 'http', by: { name: '203.0.113.43' } }],
    ],
    ['FOR="_gazonk"', [{ for: { name: '_gazonk' } }]],
    ['For="[2001:DB8:cafe::17]:4711"', [{ for: { name: '2001:db8:cafe::17', port: 4711 } }]],
    ['for="[::ffff:192.0.2.1]"', [{ for: { name: '192.0.2.1' } }]],
    ['for="[fe80::1%eth0]:1"', [{ for: { name: 'fe80::1', port: 1 } }]],
    [
      'for=192.0.2.43, for=198.51.100.17',
      [{ for: { name: '192.0.2.43' } }, { for: { name: '198.51.100.17' } }],
    ],
    ['for=Unknown;by=_SEVKISEK', [{ for: { name: 'unknown' }, by: { name: '_SEVKISEK' } }]],
    ['for="192.0.2.1:_p0.x-Y"', [{ for: { name: '192.0.2.1', port: '_p0.x-Y' } }]],
    ['host="a.example:81";proto=https', [{ host: 'a.example:81', proto: 'https' }]],
    [';for=unknown;;proto=http;', [{ for: { name: 'unknown' }, proto: 'http' }]],
    [', for=_a ,\t, proto=http,', [{ for: { name: '_a' } }, { proto: 'http' }]],
    ['Secret="a, \\"b\\\\;=";x=1', [{ extensions: ['secret', 'a, "b\\;=', 'x', '1'] }]],
    ['for="_quoted"; '.trim(), [{ for: { name: '_quoted' } }]],
  ])('reads %j', (value, elements) => {
    expect(parseForwarded(value)).toEqual(elements)
  })

  it.each([
    'for',
    'for=',
    '=a',
    'for =_a',
    'for= _a',
    'for=_a; proto=http',
    'for=_a ;proto=http',
    'for=_a proto=http',
    'for=_a;For=_b',
    'x=1;X=2',
    'for=2001:db8::1',
    'for=[2001:db8::1]',
    'for="2001:db8::1"',
    'for="[2001:db8::1"',
    'for="[192.0.2.1]"',
    'for="[192.0.2.1:80]"',
    'for=192.0.2.1:80',
    'for="192.0.2.1:"',
    'for="192.0.2.1:65536"',
    'for="192.0.2.1:123456"',
    'for=192.0.2.256',
    'for=a.example',
    'for=_',
    'for="_a b"',
    'for=""',
    'for="_a',
    'for=_a"',
    '"for=_a"',
    'for="_a"b',
    'x="\u0001"',
    'x="\\\n"',
    'x="\u20ac"',
    'x=\u00e9',
    'for=_a, bad',
    ';',
  ])('refuses %j', (value) => {
    expect(parseForwarded(value)).toBeUndefined()
  })
})

describe('formatForwarded', () => {
  it.each<[ForwardedElement, string]>([
    [{ for: { name: '192.0.2.1' } }, 'for=192.0.2.1'],
    [{ for: { name: '192.0.2.1', port: 80 }, proto: 'http' }, 'for="192.0.2.1:80";proto=http'],
    [{ for: { name: '2001:db8::1' }, by: { name: '_x', port: '_y' } }, 'for="[2001:db8::1]";by="_x:_y"'],
    [{ host: 'a.example:8080', proto: 'https' }, 'host="a.example:8080";proto=https'],
    [{ extensions: ['secret', 'a"b\\c', 'empty', ''] }, 'secret="a\\"b\\\\c";empty=""'],
  ])('writes %j', (element, text) => {
    expect(formatForwarded(element)).toBe(text)
  })

  it.each<[string, ForwardedElement]>([
    ['a line break', { host: 'a\r\nb: c' }],
    ['text beyond Latin-1', { proto: '\u20ac' }],
    ['a name that is none', { extensions: ['a b', '1'] }],
  ])('throws for %s', (_, element) => {
    expect(() => formatForwarded(element)).toThrow(TypeError)
  })
})

const port = fc.oneof(fc.nat(65_535), fc.stringMatching(/^_[\w.-]{1,9}$/))
const node = fc
  .record(
    {
      name: fc.oneof(
        fc.ipV4(),
        fc.constantFrom('2001:db8::1', '::1', 'fd00::12', 'unknown'),
        fc.stringMatching(/^_[\w.-]{1,9}$/),
      ),
      port,
    },
    { requiredKeys: ['name'] },
  )
  .map((one) => ({ ...one }))
const text = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,20}$/)
const extensions = fc
  .uniqueArray(fc.tuple(fc.stringMatching(/^x[a-z0-9!~-]{0,5}$/), text), {
    selector: ([name]) => name,
    minLength: 1,
  })
  .map((pairs) => pairs.flat())
const element: fc.Arbitrary<ForwardedElement> = fc
  .record({ for: node, by: node, host: text, proto: text, extensions }, { requiredKeys: [] })
  .filter((one) => Object.keys(one).length > 0)
  .map((one) => ({ ...one }))
const junk = fc.oneof(
  fc.string(),
  fc
    .array(fc.constantFrom('for=', '"', '\\', ',', ';', '=', '10.0.0.1', '_x', ' ', '(', '[', ']', 'by='))
    .map((all) => all.join('')),
)

describe('Forwarded', () => {
  it('survives its being written and read', () => {
    fc.assert(
      fc.property(fc.array(element, { minLength: 1 }), (elements) => {
        const value = elements.map(formatForwarded).join(', ')
        expect(parseForwarded(value)).toEqual(elements)
      }),
    )
  })

  it('never throws for junk, and what it takes can be written again', () => {
    fc.assert(
      fc.property(junk, (value) => {
        const elements = parseForwarded(value)
        walkForwarded(value, '10.0.0.1', () => true)
        if (elements !== undefined)
          expect(parseForwarded(elements.map(formatForwarded).join(', '))).toEqual(elements)
      }),
      { numRuns: 2_000 },
    )
  })

  it('is walked to the same elements as it is read to', () => {
    const hop = fc.record({ for: fc.record({ name: fc.ipV4() }), host: text })
    fc.assert(
      fc.property(fc.array(hop, { minLength: 1 }), (elements) => {
        const walk = walkForwarded(elements.map(formatForwarded).join(','), '10.0.0.1', () => true)
        expect(walk.elements).toEqual(elements)
        expect(walk.believed).toEqual(elements.map((one) => one.for.name))
      }),
    )
  })

  it('ends at what a stranger has written, whatever that is', () => {
    fc.assert(
      fc.property(junk, element, (before, extra) => {
        const trusted = `${formatForwarded({ ...extra, for: { name: '192.0.2.9' } })}, for=10.0.0.2`
        const walk = walkForwarded(`${before}, ${trusted}`, '10.0.0.1', proxies)
        expect(walk).toEqual(walkForwarded(trusted, '10.0.0.1', proxies))
        expect(walk.address).toBe('192.0.2.9')
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('walkForwarded', () => {
  it.each<[string, string, string, string[]]>([
    ['for=1.1.1.1', '9.9.9.9', '9.9.9.9', []],
    ['for=1.1.1.1', '10.0.0.1', '1.1.1.1', ['1.1.1.1']],
    ['for=6.6.6.6, for=1.1.1.1, for="10.0.0.2:99"', '10.0.0.1', '1.1.1.1', ['1.1.1.1', '10.0.0.2']],
    ['for=1.1.1.1, for=unknown', '10.0.0.1', '10.0.0.1', []],
    ['for=1.1.1.1, for=_secret, for=10.0.0.2', '10.0.0.1', '10.0.0.2', ['10.0.0.2']],
    ['for=1.1.1.1, proto=https', '10.0.0.1', '10.0.0.1', []],
    ['for=1.1.1.1, nonsense', '10.0.0.1', '10.0.0.1', []],
    ['for=1.1.1.1,', '10.0.0.1', '10.0.0.1', []],
    ['for=1.1.1.1, , for=10.0.0.2', '10.0.0.1', '10.0.0.2', ['10.0.0.2']],
    ['', '10.0.0.1', '10.0.0.1', []],
    ['for="6.6.6.6, for=1.1.1.1', '10.0.0.1', '1.1.1.1', ['1.1.1.1']],
    ['for="[fe80::1%eth0]"', '10.0.0.1', 'fe80::1', ['fe80::1']],
  ])('%j by way of %s', (value, peer, address, believed) => {
    expect(walkForwarded(value, peer, proxies)).toMatchObject({ address, believed })
  })

  it('believes of one that is not named what was spoken to a trusted proxy', () => {
    const walk = walkForwarded('for=6.6.6.6, for=_x;proto=https;host=a', '10.0.0.1', proxies)
    expect(walk.elements).toEqual([{ for: { name: '_x' }, proto: 'https', host: 'a' }])
  })

  it('looks at 10,000 elements at most, and asks of no more', () => {
    let asked = 0
    const trusted = (): boolean => ++asked > 0
    const { believed } = walkForwarded('for=10.0.0.1,'.repeat(20_000).slice(0, -1), '10.0.0.1', trusted)
    expect(believed).toHaveLength(10_000)
    expect(asked).toBe(10_000)
  })

  it.each([
    ['commas', ','.repeat(65_536)],
    ['quotes', '"'.repeat(65_537)],
    ['escapes', `"${'\\'.repeat(65_536)}`],
    ['escaped quotes', `for="${'\\"'.repeat(32_768)}`],
    ['a quoted string', `x="${'a'.repeat(65_536)}"`],
    ['semicolons', ';'.repeat(65_536)],
    ['parameters', Array.from({ length: 10_000 }, (_, i) => `x${i}=1`).join(';')],
  ])('takes 64 KB of %s for what they are', (_, value) => {
    for (let i = 0; i < 20; i++) {
      parseForwarded(value)
      walkForwarded(value, '10.0.0.1', () => true)
    }
  })
})
