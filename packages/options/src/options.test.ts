import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  cidrSet,
  duration,
  integer,
  oneOf,
  parse,
  parseDuration,
  parseSize,
  ranged,
  regexp,
  secret,
  shortOr,
  size,
  v,
} from './index.js'

/** The message of what a function throws. */
function fault(fn: () => unknown): string {
  try {
    fn()
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message
  }
  return 'nothing thrown'
}

it.each([
  [250, 250],
  ['250ms', 250],
  ['2s', 2_000],
  ['1.5s', 1_500],
  ['5m', 300_000],
  ['1h', 3_600_000],
  [0, 0],
] as const)('duration %j is %d ms', (given, ms) => {
  expect(parseDuration(given)).toBe(ms)
})

it('a duration that no timer can hold is refused: it would end at once', () => {
  const timeouts = v.strictObject({ tunnel: duration() })
  expect(parse(timeouts, { tunnel: '596h' }, '')).toEqual({ tunnel: 2_145_600_000 })
  expect(fault(() => parse(timeouts, { tunnel: '720h' }, 'timeouts'))).toContain(
    "timeouts.tunnel: got '720h', takes at most 596h",
  )
})

it.each([
  [100, 100],
  ['1b', 1],
  ['64kb', 65_536],
  ['8MB' as '8mb', 8_388_608],
  ['1gb', 1_073_741_824],
] as const)('size %j is %d bytes', (given, bytes) => {
  expect(parseSize(given)).toBe(bytes)
})

it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '5 minutes', '5', '', null, {}])(
  '%j is neither',
  (given) => {
    expect(fault(() => parseDuration(given as never, 'a.b'))).toContain('a.b: got')
    expect(fault(() => parseSize(given as never, 'a.b'))).toContain('a.b: got')
  },
)

it('refuses a size of less than a byte, which would turn a limit off', () => {
  for (const given of ['0.5b', '0.0001kb'] as const)
    expect(fault(() => parseSize(given, 'a.b'))).toContain(`a.b: got '${given}'`)
  expect([parseSize('0.0kb'), parseSize('0.001kb')]).toEqual([0, 1])
})

describe('parse', () => {
  const schema = v.strictObject({
    interval: v.optional(duration(), 5_000),
    limit: v.optional(size(), 10),
    count: v.optional(integer(1, 10)),
    share: v.optional(ranged(0, 1)),
    kind: v.optional(oneOf('one', 'two')),
    inner: v.optional(
      v.record(
        v.string(),
        v.lazy(() => v.strictObject({ name: v.string() })),
      ),
    ),
    list: v.optional(v.array(v.string())),
  })

  it('fills in defaults and reads units', () => {
    expect(parse(schema, { limit: '1kb' }, 'x')).toEqual({ interval: 5_000, limit: 1_024 })
  })

  it('tells every fault at once: path, what it got, what it takes', () => {
    const text = fault(() =>
      parse(
        schema,
        {
          interval: '5 minutes',
          count: 11,
          share: 2,
          kind: 'three',
          intervall: 1,
          list: ['a', 5],
          inner: { a: { nam: 'x' } },
        },
        'health',
      ),
    )
    expect(text.split('\n').sort()).toEqual([
      'health.count: got 11, takes a whole number from 1 to 10',
      'health.inner.a.nam: unknown option, did you mean name?',
      'health.inner.a.name: got nothing, takes a text: it is required',
      "health.interval: got '5 minutes', takes milliseconds or a text such as '250ms', '2s', '5m', '1h'",
      'health.intervall: unknown option, did you mean interval?',
      "health.kind: got 'three', takes 'one', 'two'",
      'health.list[1]: got 5, takes a text',
      'health.share: got 2, takes a number from 0 to 1',
    ])
  })

  it('tells every unknown option of an object', () => {
    const text = fault(() =>
      parse(schema, { foo: 1, count: 0, bar: 2, inner: { a: { x: 1, y: 2 } } }, 'health'),
    )
    expect(text.split('\n').sort()).toEqual([
      'health.bar: unknown option, known are interval, limit, count, share, kind, inner, list',
      'health.count: got 0, takes a whole number from 1 to 10',
      'health.foo: unknown option, known are interval, limit, count, share, kind, inner, list',
      'health.inner.a.name: got nothing, takes a text: it is required',
      'health.inner.a.x: unknown option, known are name',
      'health.inner.a.y: unknown option, known are name',
    ])
    expect(fault(() => parse(v.strictObject({}), { a: 1 }, 'x'))).toBe('x.a: unknown option')
  })

  it.each([
    ['lihst', 'list'],
    ['LIST', 'list'],
    ['share2', 'share'],
    ['mist', undefined],
    ['kindness', undefined],
    ['imner', 'inner'],
  ])('of %s it hints at %s', (name, hint) => {
    const text =
      hint === undefined
        ? ', known are interval, limit, count, share, kind, inner, list'
        : `, did you mean ${hint}?`
    expect(fault(() => parse(schema, { [name]: 1 }, ''))).toBe(`${name}: unknown option${text}`)
  })

  it('tells what is no object at all', () => {
    const names = '{ interval, limit, count, share, kind, inner, list }'
    expect(fault(() => parse(schema, 5, 'health'))).toBe(`health: got 5, takes ${names}`)
    expect(fault(() => parse(schema, null, ''))).toBe(`options: got null, takes ${names}`)
  })

  it('takes no list for an object without options', () => {
    expect(fault(() => parse(schema, [], 'health'))).toContain('health: got [], takes { interval, ')
    expect(fault(() => parse(schema, { inner: { a: [] } }, 'x'))).toBe('x.inner.a: got [], takes { name }')
  })

  it.each([
    ['list', ['x', 'y']],
    ['Map', new Map([['x', 'y']])],
    ['Headers', new Headers({ x: 'y' })],
    ['promise', Promise.resolve({ x: 'y' })],
  ])('takes no %s for an object: what it holds would go unread', (_what, given) => {
    const values = v.record(v.string(), v.string())
    expect(parse(values, Object.assign(Object.create(null), { x: 'y' }), 'x')).toEqual({ x: 'y' })
    expect(fault(() => parse(values, given, 'x'))).toMatch(/^x: got .*, takes values by their names$/)
    const options = v.strictObject({ x: v.optional(v.string()) })
    expect(fault(() => parse(options, given, 'x'))).toMatch(/^x: got .*, takes \{ x \}$/)
  })

  it.each([
    ['Map', new Map([['key', 'hunter2']])],
    ['Headers', new Headers({ key: 'hunter2' })],
    ['Promise', Promise.resolve({ key: 'hunter2' })],
  ])('shows nothing of what a %s holds: it may be secret', (kind, given) => {
    const key = v.string()
    expect(fault(() => parse(v.record(key, key), given, 'x'))).toMatch(`x: got ${kind}, takes `)
    expect(fault(() => parse(v.strictObject({ key }), given, 'x'))).toBe(`x: got ${kind}, takes { key }`)
    expect(fault(() => parse(v.strictObject({ y: v.strictObject({}) }), { y: given }, 'x'))).not.toMatch(
      'hunter',
    )
  })

  it('tells what a list is of', () => {
    expect(fault(() => parse(schema, { list: 'a' }, 'x'))).toBe("x.list: got 'a', takes a list, each a text")
    const any = v.array(v.unknown())
    expect(fault(() => parse(any, 'a', 'x'))).toBe("x: got 'a', takes a list")
  })

  it('tells of the short form of options and of the long one', () => {
    const zone = shortOr(
      v.string(),
      'a name',
      v.strictObject({ zone: v.string(), min: v.optional(integer(1)) }),
    )
    expect(parse(zone, 'eu', 'x')).toBe('eu')
    expect(parse(zone, { zone: 'eu' }, 'x')).toEqual({ zone: 'eu' })
    expect(fault(() => parse(zone, 3, 'x'))).toBe('x: got 3, takes a name, or { zone, min }')
    expect(fault(() => parse(zone, ['eu'], 'x'))).toBe("x: got [ 'eu' ], takes a name, or { zone, min }")
    expect(fault(() => parse(zone, { zone: 'eu', mim: 2 }, 'x'))).toBe(
      'x.mim: unknown option, did you mean min?',
    )
  })

  it('takes no other thing for a secret that is an object', () => {
    const keys = v.strictObject({ keys: secret<object>((value) => typeof value === 'object', 'an object') })
    expect(fault(() => parse(keys, { keys: 'abc' }, ''))).toBe('keys: got a text, takes an object')
  })

  it('never shows a secret', () => {
    const key = v.strictObject({ key: secret<string>((value) => value === 'right', 'the right one') })
    expect(parse(key, { key: 'right' }, 'x')).toEqual({ key: 'right' })
    for (const [given, shown] of [
      ['hunter2', 'a text'],
      ['', 'an empty text'],
      [31_337, 'a number'],
      [Buffer.from('hunter2'), 'an object'],
      [null, 'null'],
      [undefined, 'nothing'],
    ])
      expect(fault(() => parse(key, { key: given }, 'x'))).toBe(`x.key: got ${shown}, takes the right one`)
  })

  it('never shows a long value whole', () => {
    expect(fault(() => parse(schema, { kind: 'x'.repeat(10_000) }, 'h')).length).toBeLessThan(300)
  })
})

describe('cidrSet', () => {
  it('holds ranges and single addresses of both families', () => {
    const set = cidrSet(['10.0.0.0/8', '192.168.1.7', 'fd00::/8', '::1'])
    expect(set.size).toBe(4)
    const inside = [
      '10.255.0.1',
      '192.168.1.7',
      'fd12::3',
      '::1',
      '::ffff:10.1.1.1',
      '::FFFF:a01:101',
      '0:0:0:0:0:ffff:10.1.1.1',
    ]
    const outside = [
      '11.0.0.1',
      '192.168.1.8',
      'fe80::1',
      '::2',
      'nonsense',
      '',
      '::ffff:11.0.0.1',
      '::ffff:b00:1',
      '1::ffff:a01:101',
      'fe80::ffff:1%lo',
    ]
    expect(inside.map((address) => set.has(address))).toEqual(inside.map(() => true))
    expect(outside.map((address) => set.has(address))).toEqual(outside.map(() => false))
  })

  it('takes an IPv4-mapped range for that of IPv4, and no other range of IPv6 for any of IPv4', () => {
    const mapped = cidrSet(['::ffff:10.0.0.0/104', '::ffff:c0a8:107'])
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.168.1.7'])
      expect(mapped.has(address)).toBe(true)
    for (const address of ['11.0.0.0', '192.168.1.8', '::1']) expect(mapped.has(address)).toBe(false)
    expect(cidrSet(['::ffff:0:0/96']).has('1.2.3.4')).toBe(true)
    expect(cidrSet(['::/0']).has('10.1.2.3')).toBe(false)
    expect(cidrSet(['::/0']).has('::1')).toBe(true)
  })

  it('refuses what is no range, and says the right one where bits are set behind the prefix', () => {
    const text = fault(() =>
      cidrSet(['10.0.0.1/8', 'fd00::1/8', '10.0.0.0/33', 'localhost', '::1/129', 7 as never], 'trust'),
    )
    expect(text.split('\n')).toEqual([
      "trust[0]: got '10.0.0.1/8', takes bits behind the prefix that are 0: '10.0.0.0/8'",
      "trust[1]: got 'fd00::1/8', takes bits behind the prefix that are 0: 'fd00::/8'",
      "trust[2]: got '10.0.0.0/33', takes an address or a range such as '10.0.0.0/8' or 'fd00::/8'",
      "trust[3]: got 'localhost', takes an address or a range such as '10.0.0.0/8' or 'fd00::/8'",
      "trust[4]: got '::1/129', takes an address or a range such as '10.0.0.0/8' or 'fd00::/8'",
      "trust[5]: got 7, takes an address or a range such as '10.0.0.0/8' or 'fd00::/8'",
    ])
    expect(fault(() => cidrSet('10.0.0.0/8' as never, 'trust'))).toContain('trust: got')
  })

  it('agrees with arithmetic on IPv4', () => {
    const octet = fc.integer({ min: 0, max: 255 })
    const address = fc.tuple(octet, octet, octet, octet)
    const value = (parts: number[]): number => parts.reduce((sum, part) => sum * 256 + part, 0)
    fc.assert(
      fc.property(address, fc.integer({ min: 0, max: 32 }), address, (base, bits, other) => {
        const block = 2 ** (32 - bits)
        const first = Math.floor(value(base) / block) * block
        const network = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256)
        const inside = value(other) >= first && value(other) < first + block
        expect(cidrSet([`${network.join('.')}/${bits}`]).has(other.join('.'))).toBe(inside)
      }),
    )
  })
})

describe('regexp()', () => {
  const takes = (value: unknown): boolean => fault(() => parse(regexp(), value, 'x')) === 'nothing thrown'

  it.each([/^\/u\/(\d+)$/, /^(?<id>[a-z]{1,8})(?=-)/iu, /a|b|c/g, /(?:a|b)+/y, /(?:[a-z]+\.)+/, /(?<=a)b/])(
    'takes %s',
    (value) => {
      expect(takes(value)).toBe(true)
    },
  )

  it('refuses one that backtracks without end, and says which part, and what to write', () => {
    const schema = v.strictObject({ replace: v.strictTuple([regexp(), v.string()]) })
    expect(fault(() => parse(schema, { replace: [/^x(a|aa)+$/, ''] }, 'routes[0].rewrite'))).toBe(
      "routes[0].rewrite.replace[0]: got /^x(a|aa)+$/, takes one that doesn't backtrack without end: (a|aa)+ takes one text in several ways, twice as many with each turn. Begin or end each turn with a character that nothing else in it takes, as in (?:[a-z]+\\.)+",
    )
    expect(fault(() => parse(regexp(), /\d+\d+$/, 'x'))).toBe(
      "x: got /\\d+\\d+$/, takes one that doesn't backtrack without end: \\d+, then \\d+, tried at every place, can share out one text in so many ways that the work grows with power 3 of its length. Begin with ^, and repeat only what the next part doesn't begin with, as in ^/([^/]+)/(.*)$",
    )
  })

  it('refuses what is none', () => {
    for (const value of ['^a$', undefined, null, {}, { source: 'a', exec() {} }])
      expect(fault(() => parse(regexp(), value, 'x'))).toMatch(/takes a regular expression$/)
  })
})
