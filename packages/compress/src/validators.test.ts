import { conditions, get, getAll, type HeaderList } from '@sluice/headers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { codedFields, type EtagMode } from './coded-fields.js'
import { asClient, asTarget } from './validators.js'

const date = 'Sun, 06 Nov 1994 08:49:37 GMT'

/** What of one field is left, or `undefined`. */
const mapped = (name: string, value: string, etag: EtagMode, chosen?: string) =>
  get(asTarget([name, value], etag, chosen), name.toLowerCase())

describe('asTarget', () => {
  it.each<[string, string, string, string]>([
    ['one that we have weakened', 'W/"x"', '"x"', 'W/"x"'],
    ['one with a suffix', '"x--gzip"', '"x--gzip"', '"x"'],
    ['a plain one', '"x"', '"x"', '"x"'],
    ['a list', 'W/"a" ,"b", "c--br"', '"a", "b", "c--br"', 'W/"a", "b", "c"'],
    ['a suffix that somebody has weakened', 'W/"x--zstd"', '"x--zstd"', 'W/"x"'],
    ['commas in a tag', 'W/"a,b", "c,d--gzip"', '"a,b", "c,d--gzip"', 'W/"a,b", "c,d"'],
    ['a suffix in front of another', '"x--br--gzip"', '"x--br--gzip"', '"x--br"'],
    ['nothing but a suffix', '"--gzip"', '"--gzip"', '""'],
    [
      'a suffix that is no coding',
      '"x--snappy", "x--", "x-gzip", "x--GZIP"',
      '"x--snappy", "x--", "x-gzip", "x--GZIP"',
      '"x--snappy", "x--", "x-gzip", "x--GZIP"',
    ],
    [
      'a suffix of another Node or of a dictionary',
      '"a--deflate", "b--dcb", "c--dcz"',
      '"a--deflate", "b--dcb", "c--dcz"',
      '"a", "b", "c"',
    ],
    ['any', '*', '*', '*'],
    [
      'what is no tag',
      'x--gzip, w/"x", W/x, "x--gzip',
      'x--gzip, w/"x", W/x, "x--gzip',
      'x--gzip, w/"x", W/x, "x--gzip',
    ],
    ['what is no tag beside one', 'y, W/"x--br"', 'y, "x--br"', 'y, W/"x"'],
    ['nothing', '', '', ''],
  ])('If-Match: %s', (_name, value, weak, suffix) => {
    expect(mapped('If-Match', value, 'weak')).toBe(weak)
    expect(mapped('if-match', value, 'suffix', 'br')).toBe(suffix)
  })

  it('maps If-None-Match with a suffix alone, since weak ones match there anyway', () => {
    expect(mapped('If-None-Match', 'W/"x", "y--gzip"', 'weak')).toBe('W/"x", "y--gzip"')
    expect(mapped('If-None-Match', 'W/"x", "y--gzip", "z", *', 'suffix')).toBe('W/"x", "y", "z", *')
  })

  it('takes in If-None-Match the suffix of the coding that the answer would be in alone', () => {
    const list = '"x--br", "x--gzip", "y"'
    expect(mapped('If-None-Match', list, 'suffix', 'gzip')).toBe('"x--br", "x", "y"')
    expect(mapped('If-None-Match', list, 'suffix', 'identity')).toBe(list)
    expect(mapped('If-None-Match', list, 'suffix')).toBe('"x", "x", "y"')
  })

  it('maps each line of several', () => {
    const headers = ['If-Match', 'W/"a"', 'Host', 'x', 'if-match', '"b", W/"c"']
    expect(asTarget(headers, 'weak')).toEqual(['If-Match', '"a"', 'Host', 'x', 'if-match', '"b", "c"'])
  })

  it('gives the same list where nothing changes, and never edits it', () => {
    const headers = ['Host', 'x', 'If-None-Match', 'W/"x"', 'If-Match', '"x"', 'If-Modified-Since', date]
    expect(asTarget(headers, 'weak')).toBe(headers)
    expect(asTarget(headers, 'suffix')).toBe(headers)
    expect(asTarget(['I', '', 'if', 'W/"x"', 'If-Matches', 'W/"x"'], 'weak')).toHaveLength(6)
    const frozen = Object.freeze(['If-Match', 'W/"x"', 'Range', 'bytes=0-']) as unknown as HeaderList
    expect(asTarget(frozen, 'weak')).toEqual(['If-Match', '"x"'])
  })

  describe('a part', () => {
    const part = (name: string, value: string, etag: EtagMode, chosen?: string) => {
      const headers = ['range', 'bytes=5-', name, value, 'Host', 'x']
      const out = asTarget(headers, etag, chosen)
      if (out === headers) return 'kept'
      expect(getAll(out, 'range')).toEqual([])
      expect(getAll(out, 'if-range')).toEqual([])
      expect(out).toContain('Host')
      return 'whole'
    }

    it.each<[string, string, EtagMode, string | undefined, 'kept' | 'whole']>([
      ['of what has a strong tag', '"x"', 'weak', 'gzip', 'kept'],
      ['of what has a strong tag', '"x"', 'suffix', 'gzip', 'kept'],
      ['of what we have weakened', 'W/"x"', 'weak', 'gzip', 'whole'],
      ['of what never had a strong tag', 'W/"x"', 'suffix', 'identity', 'whole'],
      ['of a coded form', '"x--br"', 'suffix', 'gzip', 'whole'],
      ['of a coded form, for a client that takes none now', '"x--br"', 'suffix', 'identity', 'whole'],
      ['of what ends in a coding without us', '"x--br"', 'weak', 'gzip', 'kept'],
      ['since a date, where a coded form may be as old', date, 'weak', 'gzip', 'whole'],
      ['since a date, where nobody says', date, 'suffix', undefined, 'whole'],
      ['since a date, of a client that takes no coding', date, 'weak', 'identity', 'kept'],
      ['of what has no tag', 'x', 'weak', 'identity', 'whole'],
      ['of what has a tag that is none', '"x', 'suffix', 'identity', 'whole'],
      ['of two tags', '"x", "y"', 'weak', 'identity', 'whole'],
      ['of nothing', '', 'weak', 'identity', 'whole'],
    ])('%s: %s, %s, %s: %s', (_name, value, etag, chosen, expected) => {
      expect(part('If-Range', value, etag, chosen)).toBe(expected)
    })

    it('is asked for without a condition', () => {
      const headers = ['Range', 'bytes=5-', 'Accept-Encoding', 'gzip']
      expect(asTarget(headers, 'weak')).toBe(headers)
    })

    it('is not asked for where If-Match tells of a coded form', () => {
      expect(part('If-Match', 'W/"x"', 'weak')).toBe('whole')
      expect(part('If-Match', '"x--gzip"', 'suffix')).toBe('whole')
      expect(part('If-Match', '"x"', 'weak')).toBe('kept')
    })

    it('goes with all its lines, and nothing that only looks like them', () => {
      const headers = [
        'If-Range',
        'W/"x"',
        'Range',
        'a',
        'RANGE',
        'b',
        'Ranges',
        'c',
        'X-If-Range',
        'd',
        'Ra-ge',
        'e',
      ]
      expect(asTarget(headers, 'weak')).toEqual(['Ranges', 'c', 'X-If-Range', 'd', 'Ra-ge', 'e'])
    })
  })

  it('takes any list, in time that grows with it', () => {
    const bit = fc.constantFrom('W/', '"', '--gzip', ',', ' ', 'x', '*', '--')
    fc.assert(
      fc.property(fc.string({ unit: bit }), fc.constantFrom<EtagMode>('weak', 'suffix'), (value, etag) => {
        for (const name of ['If-Match', 'If-None-Match', 'If-Range']) {
          const once = asTarget([name, value], etag, 'gzip')
          expect(once).toSatisfy((list: HeaderList) => list.length === 2 || name === 'If-Range')
        }
      }),
    )
    for (const text of ['"', '",', ' ', '"x--gzip",', 'W/"x" ,', '--gzip', '"--', '-'])
      for (const name of ['If-Match', 'If-None-Match', 'If-Range'])
        for (const etag of ['weak', 'suffix'] as const)
          expect(asTarget([name, text.repeat(20_000)], etag).length).toBeLessThan(3)
  })
})

describe('asClient', () => {
  const told = (etag: string, sent: string | undefined, mode: EtagMode, chosen?: string) =>
    get(asClient(['Date', date, 'ETag', etag], sent, mode, chosen), 'etag')

  it.each<[string, string, string | undefined, EtagMode, string | undefined, string]>([
    ['weakened', '"x"', 'W/"x"', 'weak', 'gzip', 'W/"x"'],
    ['plain', '"x"', '"x"', 'weak', 'gzip', '"x"'],
    ['both, and a coding would be sent', '"x"', '"x", W/"x"', 'weak', 'gzip', 'W/"x"'],
    ['both, and no coding would be sent', '"x"', 'W/"x", "x"', 'weak', 'identity', '"x"'],
    ['both, and nobody says', '"x"', 'W/"x", "x"', 'weak', undefined, '"x"'],
    ['one of a list', '"x"', '"a", W/"x" , "b"', 'weak', 'br', 'W/"x"'],
    ['the suffix', '"x"', '"x--gzip"', 'suffix', 'gzip', '"x--gzip"'],
    ['the suffix, where nobody says', '"x"', '"a", "x--br", "x--gzip"', 'suffix', undefined, '"x--br"'],
    ['several suffixes', '"x"', '"x--br", "x", "x--gzip"', 'suffix', 'gzip', '"x--gzip"'],
    ['the suffix of a coding that would not be sent', '"x"', '"x--br", "x"', 'suffix', 'gzip', '"x"'],
    ['a suffix that somebody has weakened', '"x"', 'W/"x--gzip"', 'suffix', 'gzip', 'W/"x--gzip"'],
    ['plain in suffix mode', '"x"', '"y--gzip", "x"', 'suffix', 'gzip', '"x"'],
    ['a weak one of its own', 'W/"x"', '"y", W/"x"', 'suffix', 'gzip', 'W/"x"'],
    ['what the target has weakened itself', 'W/"x"', '"x"', 'weak', 'gzip', '"x"'],
    ['a list of others', '"x"', 'W/"y", "z"', 'weak', 'gzip', '"x"'],
    ['any', '"x"', '*', 'suffix', 'gzip', '"x"'],
    ['no condition', '"x"', undefined, 'weak', 'gzip', '"x"'],
    ['nothing that is a tag', '"x"', 'x, "x', 'weak', 'gzip', '"x"'],
    ['a tag of the target that is none', 'x', 'W/"x", x', 'weak', 'gzip', 'x'],
  ])('%s', (_name, etag, sent, mode, chosen, expected) => {
    expect(told(etag, sent, mode, chosen)).toBe(expected)
  })

  it('gives the same list where nothing changes, and never edits it', () => {
    const headers = Object.freeze(['A', '1', 'etag', '"x"']) as unknown as HeaderList
    for (const sent of [undefined, '"x"', '*', '"y"']) expect(asClient(headers, sent, 'weak')).toBe(headers)
    expect(asClient(headers, 'W/"x"', 'weak')).toEqual(['A', '1', 'etag', 'W/"x"'])
    const bare = ['A', '1']
    const ofPlain = ['Content-Length', '9', 'Accept-Ranges', 'bytes', 'Repr-Digest', 'x', 'Content-MD5', 'y']
    for (const sent of ['W/"x"', '"x"']) {
      const got = asClient([...ofPlain, ...headers, ...ofPlain, 'Vary', 'B'], sent, 'weak')
      expect(got.filter((name) => ofPlain.includes(name))).toEqual(
        sent === '"x"' ? [...ofPlain, ...ofPlain] : [],
      )
      expect(got).toEqual(expect.arrayContaining(['A', '1', 'etag', sent, 'Vary', 'B']))
    }
    expect(asClient(bare, 'W/"x"', 'weak')).toBe(bare)
  })
})

describe('there and back', () => {
  const tag = fc.stringMatching(/^[!#-~\x80-\xff]{0,6}$/).map((text) => `"${text}"`)
  const mode = fc.constantFrom<EtagMode>('weak', 'suffix')
  const coding = fc.constantFrom('zstd', 'br', 'gzip', 'deflate')
  const given = (etag: string, by: string, how: EtagMode) =>
    get(codedFields(['ETag', etag], by, how), 'etag') as string
  const list = (own: string, others: string[], at: number) => {
    const all = [...others]
    all.splice(at % (others.length + 1), 0, own)
    return all.join(', ')
  }

  it('a client that has a coded form is told that it is good, by its own tag', () => {
    fc.assert(
      fc.property(
        tag,
        fc.boolean(),
        mode,
        coding,
        fc.array(tag),
        fc.nat(),
        (strong, weak, how, by, others, at) => {
          const etag = weak ? `W/${strong}` : strong
          const own = given(etag, by, how)
          const sent = list(own, others, at)
          expect(conditions(asTarget(['If-None-Match', sent], how, by), { etag })).toBe(304)
          expect(get(asClient(['ETag', etag], sent, how, by), 'etag')).toBe(own)
        },
      ),
    )
  })

  it('a client that has a coded form may write over it', () => {
    fc.assert(
      fc.property(tag, mode, coding, fc.option(coding), (etag, how, by, now) => {
        const headers = ['If-Match', given(etag, by, how)]
        expect(conditions(asTarget(headers, how, now ?? undefined), { etag })).toBeUndefined()
      }),
    )
  })

  it('a client that has another version is told neither', () => {
    fc.assert(
      fc.property(tag, tag, mode, coding, (etag, old, how, by) => {
        fc.pre(etag !== old)
        const own = given(old, by, how)
        expect(conditions(asTarget(['If-None-Match', own], how, by), { etag })).toBeUndefined()
        expect(conditions(asTarget(['If-Match', own], how, by), { etag })).toBe(412)
      }),
    )
  })

  it('a form in another coding is not good for a client that does not take it', () => {
    fc.assert(
      fc.property(tag, coding, coding, (etag, had, now) => {
        fc.pre(had !== now)
        const headers = ['If-None-Match', given(etag, had, 'suffix')]
        expect(conditions(asTarget(headers, 'suffix', now), { etag })).toBeUndefined()
      }),
    )
  })

  it('no part of the plain form goes to a client that has a part of a coded one', () => {
    const name = fc.constantFrom('If-Range', 'If-Match')
    fc.assert(
      fc.property(tag, mode, coding, name, fc.boolean(), (etag, how, by, field, first) => {
        const condition = [field, given(etag, by, how)]
        const range = ['Range', 'bytes=100-']
        const out = asTarget(first ? [...range, ...condition] : [...condition, ...range], how, by)
        expect(getAll(out, 'range')).toEqual([])
      }),
    )
  })
})
