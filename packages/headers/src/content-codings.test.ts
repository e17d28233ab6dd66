import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentCodings } from './content-codings.js'

const of = (...lines: string[]) => contentCodings(lines.flatMap((line) => ['Content-Encoding', line]))

describe('contentCodings', () => {
  it.each<[string, string[], string[]]>([
    ['one', ['gzip'], ['gzip']],
    ['in any case', ['GZip'], ['gzip']],
    ['several in the order applied', ['gzip, br'], ['gzip', 'br']],
    ['several lines', ['gzip', 'br,zstd'], ['gzip', 'br', 'zstd']],
    ['one that was applied twice', ['gzip, gzip'], ['gzip', 'gzip']],
    ['names of old', ['X-GZIP, x-compress'], ['gzip', 'compress']],
    ['identity is none', ['identity'], []],
    ['identity among others', ['gzip, Identity, br'], ['gzip', 'br']],
    ['an empty line', [''], []],
    ['empty members', [' , gzip,, '], ['gzip']],
    ['a coding that nobody knows', ['aws-chunked'], ['aws-chunked']],
    ['what is no name', ['gzip;q=1, "br"'], ['gzip;q=1', '"br"']],
  ])('%s', (_name, lines, expected) => {
    expect(of(...lines)).toEqual(expected)
  })

  it('reads the field alone, however its name is written', () => {
    const headers = ['Accept-Encoding', 'br', 'content-ENCODING', 'gzip', 'Content-Encodings', 'zstd']
    expect(contentCodings(headers)).toEqual(['gzip'])
  })

  it('gives one shared list for bodies that are not coded, which nobody can fill', () => {
    expect(of()).toBe(of('identity'))
    expect(() => (of() as string[]).push('gzip')).toThrow(TypeError)
  })

  it('tells the same whether members stand in one line or in many', () => {
    const member = fc.constantFrom('gzip', 'BR', ' x-gzip', 'identity', '', ' ', 'a b')
    fc.assert(
      fc.property(fc.array(member), (members) => {
        expect(of(...members)).toEqual(of(members.join(',')))
      }),
    )
  })

  it('takes time that grows with the field alone', () => {
    expect(of(','.repeat(100_000))).toEqual([])
    expect(of('gzip,'.repeat(20_000))).toHaveLength(20_000)
  })
})
