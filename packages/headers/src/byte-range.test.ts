import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ByteRange,
  contentRangeUnsatisfied,
  formatContentRange,
  parseByteRanges,
  parseContentRange,
  parseRange,
} from './index.js'

describe('parseRange', () => {
  it.each<[string, number, ByteRange[] | 'unsatisfiable' | undefined]>([
    ['bytes=0-499', 10_000, [{ first: 0, last: 499 }]],
    ['bytes=9500-', 10_000, [{ first: 9500, last: 9999 }]],
    ['bytes=-500', 10_000, [{ first: 9500, last: 9999 }]],
    ['bytes=0-0', 1, [{ first: 0, last: 0 }]],
    ['BYTES=0-1', 10, [{ first: 0, last: 1 }]],
    ['bytes=0-99', 10, [{ first: 0, last: 9 }]],
    ['bytes=-99', 10, [{ first: 0, last: 9 }]],
    [
      'bytes= 0-0 ,\t-1',
      10,
      [
        { first: 0, last: 0 },
        { first: 9, last: 9 },
      ],
    ],
    [
      'bytes=,0-0,,5-5,',
      10,
      [
        { first: 0, last: 0 },
        { first: 5, last: 5 },
      ],
    ],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=10-12,-0', 10, 'unsatisfiable'],
    ['bytes=10-,0-0', 10, [{ first: 0, last: 0 }]],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=-5', 0, undefined],
    ['bytes=99999999999999999999-', 10, 'unsatisfiable'],
    ['bytes=1-99999999999999999999', 10, [{ first: 1, last: 9 }]],
    ['bytes=-99999999999999999999', 10, [{ first: 0, last: 9 }]],
    ['bytes=2-1', 10, undefined],
    ['bytes=99999999999999999999-99999999999999999998', 10, undefined],
    ['bytes=5-6,2-1', 10, undefined],
    ['bytes=', 10, undefined],
    ['bytes=,', 10, undefined],
    ['bytes=-', 10, undefined],
    ['bytes=a-b', 10, undefined],
    ['bytes=0x1-2', 10, undefined],
    ['bytes=1 -2', 10, undefined],
    ['bytes=-1-2', 10, undefined],
    ['bytes =0-1', 10, undefined],
    ['bytes 0-1', 10, undefined],
    ['items=0-1', 10, undefined],
    ['', 10, undefined],
  ])('%s of %i bytes', (value, size, ranges) => {
    expect(parseRange(value, size)).toEqual(ranges)
  })

  it('keeps the order asked for, and makes one of what overlaps or touches', () => {
    expect(parseRange('bytes=8-9,0-1,4-5', 10)).toEqual([
      { first: 8, last: 9 },
      { first: 0, last: 1 },
      { first: 4, last: 5 },
    ])
    expect(parseRange('bytes=0-1,6-7,2-3,3-6', 10)).toEqual([{ first: 0, last: 7 }])
    expect(parseRange('bytes=0-,0-,0-,0-', 10)).toEqual([{ first: 0, last: 9 }])
  })

  it('ignores a flood of ranges, and of commas', () => {
    const many = (n: number): string =>
      `bytes=${Array.from({ length: n }, (_, i) => `${2 * i}-${2 * i}`).join(',')}`
    expect(parseRange(many(16), 1000)).toHaveLength(16)
    expect(parseRange(many(17), 1000)).toBeUndefined()
    expect(parseRange(`bytes=${','.repeat(100)}0-0`, 1000)).toBeUndefined()
  })

  it('gives the bytes asked for, each once', () => {
    const int = fc.nat({ max: 30 })
    const one = fc.oneof(
      fc.tuple(int, int).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      int.map((a) => `${a}-`),
      int.map((a) => `-${a}`),
    )
    fc.assert(
      fc.property(
        fc.array(one, { minLength: 1, maxLength: 16 }),
        fc.integer({ min: 1, max: 25 }),
        (specs, size) => {
          const asked = new Set<number>()
          for (const spec of specs) {
            const [from = '', to = ''] = spec.split('-')
            const first = from === '' ? Math.max(0, size - Number(to)) : Number(from)
            const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
            for (let i = first; i <= last; i++) asked.add(i)
          }
          const ranges = parseRange(`bytes=${specs.join(', ')}`, size)
          if (asked.size === 0) {
            expect(ranges).toBe('unsatisfiable')
            return
          }
          const given: number[] = []
          for (const { first, last } of ranges as ByteRange[])
            for (let i = first; i <= last; i++) given.push(i)
          expect(given.length).toBe(asked.size)
          expect(new Set(given)).toEqual(asked)
        },
      ),
    )
  })

  it('never fails, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `bytes=${text}`),
        ),
        fc.nat(),
        (value, size) => {
          const ranges = parseRange(value, size)
          if (!Array.isArray(ranges)) return
          for (const { first, last } of ranges) expect(0 <= first && first <= last && last < size).toBe(true)
        },
      ),
    )
  })
})

describe('parseByteRanges', () => {
  it('leaves ends that only the size tells open', () => {
    expect(parseByteRanges('bytes=1-2, 3-, -4')).toEqual([{ first: 1, last: 2 }, { first: 3 }, { suffix: 4 }])
  })
})

describe('parseContentRange', () => {
  it.each([
    ['bytes 0-4/10', { first: 0, last: 4, size: 10 }],
    ['Bytes 0-4/*', { first: 0, last: 4 }],
    ['bytes */10', { size: 10 }],
    ['bytes 4-3/10', undefined],
    ['bytes 0-10/10', undefined],
    ['bytes 0-4', undefined],
    ['bytes=0-4/10', undefined],
    ['bytes 0-4/10, bytes 5-9/10', undefined],
    ['bytes */*', undefined],
    ['bytes 0-99999999999999999999/*', undefined],
    ['items 0-4/10', undefined],
    ['', undefined],
  ])('%s', (value, says) => {
    expect(parseContentRange(value)).toEqual(says)
  })

  it('reads what formatContentRange writes', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(),
        fc.option(fc.integer({ min: 1 }), { nil: undefined }),
        (first, length, more) => {
          const last = first + length
          const size = more === undefined ? undefined : last + more
          const says = parseContentRange(formatContentRange(first, last, size))
          expect(says).toEqual(size === undefined ? { first, last } : { first, last, size })
        },
      ),
    )
    expect(parseContentRange(contentRangeUnsatisfied(7))).toEqual({ size: 7 })
  })
})
