import { contentCodings, getAll, type HeaderList, parseEntityTag, varyNames } from '@sluice/headers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { codedFields, type EtagMode, varyFields, withoutVary } from './coded-fields.js'

const coded = (...headers: string[]) => codedFields(headers, 'gzip', 'weak')
const ends = ['Vary', 'Accept-Encoding', 'Content-Encoding', 'gzip']

describe('codedFields', () => {
  it('says what the body is coded in, and that another request may get another form', () => {
    expect(coded()).toEqual(ends)
    expect(coded('Server', 'x', 'date', 'y')).toEqual(['Server', 'x', 'date', 'y', ...ends])
  })

  it.each(['Content-Length', 'Accept-Ranges', 'Content-MD5', 'Digest', 'Content-Digest', 'Repr-Digest'])(
    'drops %s',
    (name) => {
      const list = ['A', '1', name, 'x', 'B', '2', name.toLowerCase(), 'y', name.toUpperCase(), 'z']
      expect(coded(...list)).toEqual(['A', '1', 'B', '2', ...ends])
    },
  )

  it('tells the length where it is known', () => {
    const headers = ['Content-Length', '100', 'A', '1']
    expect(codedFields(headers, 'br', 'weak', 7)).toEqual([
      ...['A', '1', 'Vary', 'Accept-Encoding', 'Content-Encoding', 'br', 'Content-Length', '7'],
    ])
    expect(getAll(codedFields(headers, 'br', 'weak', 0), 'content-length')).toEqual(['0'])
  })

  it.each<[string, string[], string[]]>([
    ['merged in its place', ['vary', 'Origin', 'A', '1'], ['vary', 'Origin, Accept-Encoding', 'A', '1']],
    ['into the first of several', ['Vary', 'A', 'Vary', 'B'], ['Vary', 'A, Accept-Encoding', 'Vary', 'B']],
    ['there already', ['Vary', 'accept-ENCODING, A'], ['Vary', 'accept-ENCODING, A']],
    [
      'there in a later line',
      ['Vary', 'A', 'Vary', 'Accept-Encoding'],
      ['Vary', 'A', 'Vary', 'Accept-Encoding'],
    ],
    ['anything', ['Vary', '*'], ['Vary', '*']],
    ['anything among others', ['Vary', 'A', 'Vary', 'B,*'], ['Vary', 'A', 'Vary', 'B,*']],
    ['empty', ['Vary', ' '], ['Vary', 'Accept-Encoding']],
    [
      'a name that only looks like it',
      ['Vary', 'X-Accept-Encoding'],
      ['Vary', 'X-Accept-Encoding, Accept-Encoding'],
    ],
  ])('Vary: %s', (_name, headers, expected) => {
    expect(coded(...headers)).toEqual([...expected, 'Content-Encoding', 'gzip'])
    const varied = varyFields(headers)
    expect(varied).toEqual(expected)
  })

  it.each<[string, string, string, string]>([
    ['a strong one', '"x"', 'W/"x"', '"x--gzip"'],
    ['an empty one', '""', 'W/""', '"--gzip"'],
    ['one with commas and bytes above 127', '"a,\xfc"', 'W/"a,\xfc"', '"a,\xfc--gzip"'],
    ['one that has a suffix', '"x--br"', 'W/"x--br"', '"x--br--gzip"'],
    ['a weak one', 'W/"x"', 'W/"x"', 'W/"x"'],
    ['one without quotes', 'x', 'x', 'x'],
    ['one that never ends', '"x', '"x', '"x'],
    ['a quote in quotes', '"x"y"', '"x"y"', '"x"y"'],
    ['a blank in quotes', '"x y"', '"x y"', '"x y"'],
    ['a quote alone', '"', '"', '"'],
    ['one in lower case', 'w/"x"', 'w/"x"', 'w/"x"'],
    ['nothing', '', '', ''],
  ])('ETag: %s', (_name, etag, weak, suffix) => {
    const headers = ['ETag', etag]
    expect(codedFields(headers, 'gzip', 'weak')).toEqual(['ETag', weak, ...ends])
    expect(codedFields(headers, 'gzip', 'suffix')).toEqual(['ETag', suffix, ...ends])
  })

  it('takes the place of a coding that is none, and comes after one that is', () => {
    expect(coded('content-encoding', 'Identity', 'A', '1', 'Content-Encoding', '')).toEqual([
      'A',
      '1',
      ...ends,
    ])
    expect(contentCodings(coded('Content-Encoding', 'br', 'Content-Encoding', 'identity'))).toEqual([
      'br',
      'gzip',
    ])
  })

  it('keeps all else as it is, whatever the fields are', () => {
    const names = [
      'Vary',
      'vary',
      'ETag',
      'Content-Length',
      'content-encoding',
      'DIGEST',
      'Date',
      'Server',
      'X',
      '',
    ]
    const values = ['', '*', 'Origin', 'gzip', 'identity', '"x"', 'W/"x"', '"x', ',', 'Accept-Encoding']
    const name = fc.oneof(fc.constantFrom(...names), fc.string())
    const field = fc.tuple(name, fc.oneof(fc.constantFrom(...values), fc.string()))
    const mode = fc.constantFrom<EtagMode>('weak', 'suffix')
    fc.assert(
      fc.property(fc.array(field), mode, fc.option(fc.nat()), (fields, etag, length) => {
        const headers = fields.flat()
        const before = headers.slice()
        const out = codedFields(headers, 'br', etag, length ?? undefined)
        expect(headers).toEqual(before)
        expect(others(out)).toEqual(others(headers))
        expect(contentCodings(out)).toEqual([...contentCodings(headers), 'br'])
        expect(getAll(out, 'content-length')).toEqual(length === null ? [] : [String(length)])
        for (const gone of ['digest', 'content-digest', 'repr-digest', 'content-md5', 'accept-ranges'])
          expect(getAll(out, gone)).toEqual([])
        expect(saysAcceptEncoding(out)).toBe(true)
        const tags = getAll(headers, 'etag')
        for (const [i, tag] of getAll(out, 'etag').entries()) {
          const was = parseEntityTag(tags[i] as string)
          if (was === undefined || was.weak) expect(tag).toBe(tags[i])
          else expect(parseEntityTag(tag)).toEqual(asCoded(was.tag, etag))
        }
      }),
    )
  })
})

describe('varyFields', () => {
  it('gives the same list where there is nothing to add', () => {
    for (const vary of ['Accept-Encoding', 'Origin, ACCEPT-encoding', '*', 'a,*']) {
      const headers = ['A', '1', 'vary', vary]
      expect(varyFields(headers)).toBe(headers)
    }
  })

  it('never edits the list', () => {
    const headers = Object.freeze(['Vary', 'Origin']) as HeaderList
    expect(varyFields(headers)).toEqual(['Vary', 'Origin, Accept-Encoding'])
    expect(varyFields(Object.freeze([]) as unknown as HeaderList)).toEqual(['Vary', 'Accept-Encoding'])
  })

  it('takes another name', () => {
    const headers = ['Vary', 'Accept-Encoding']
    const out = varyFields(headers, 'Available-Dictionary')
    expect(out).toEqual(['Vary', 'Accept-Encoding, Available-Dictionary'])
    expect(varyFields(out, 'available-dictionary')).toBe(out)
  })

  it('has no more to add to what it gave, and takes time that grows with it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom('*', ',', ' ', 'a', 'Accept-Encoding') })),
        (lines) => {
          const out = varyFields(lines.flatMap((line) => ['Vary', line]))
          expect(varyFields(out)).toBe(out)
          expect(saysAcceptEncoding(out)).toBe(true)
        },
      ),
    )
    for (const part of [',', ' ', ' ,', 'a,', '* '])
      expect(varyFields(['Vary', part.repeat(50_000)])[1]).toMatch(/Accept-Encoding$/)
  })
})

const changed =
  /^(?:vary|etag|content-length|content-encoding|digest|content-digest|repr-digest|content-md5|accept-ranges)$/i

function others(headers: HeaderList): string[] {
  return headers.filter((_, i) => !changed.test(headers[i - (i % 2)] as string))
}

function saysAcceptEncoding(headers: HeaderList): boolean {
  const names = varyNames(headers)
  // What is no list of names is read as `*`.
  return names === '*' || names.includes('accept-encoding')
}

function asCoded(tag: string, etag: EtagMode): object {
  return etag === 'weak' ? { tag, weak: true } : { tag: `${tag}--br`, weak: false }
}

describe('withoutVary', () => {
  it.each([
    [['Vary', 'Accept-Encoding'], []],
    [
      ['A', '1', 'vary', 'ACCEPT-encoding, Origin', 'B', '2'],
      ['A', '1', 'vary', 'Origin', 'B', '2'],
    ],
    [
      ['Vary', 'Origin,accept-encoding', 'Vary', 'Accept-Encoding', 'Vary', 'Cookie'],
      ['Vary', 'Origin', 'Vary', 'Cookie'],
    ],
    [
      ['Vary', '*'],
      ['Vary', '*'],
    ],
  ])('%j is %j', (given, left) => {
    expect(withoutVary(given)).toEqual(left)
  })

  it('gives the same list where it is not named', () => {
    const headers = ['Vary', 'X-Accept-Encoding, Origin', 'Accept-Encoding', 'gzip']
    expect(withoutVary(headers)).toBe(headers)
  })
})
