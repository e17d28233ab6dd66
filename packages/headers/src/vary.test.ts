import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { varyNames, varyValue } from './vary.js'

describe('varyNames', () => {
  it.each<[string[], readonly string[] | '*']>([
    [[], []],
    [[''], []],
    [['Foo, bar,, foo'], ['bar', 'foo']],
    [
      ['b', 'A'],
      ['a', 'b'],
    ],
    [['*'], '*'],
    [['*, *'], '*'],
    [[', *'], '*'],
    [['', '*'], '*'],
    [['*, Foo'], '*'],
    [['Foo, *'], '*'],
    [['Foo', '*'], '*'],
    [['foo bar'], '*'],
    [['"foo"'], '*'],
  ])('%j', (lines, expected) => {
    expect(varyNames(lines.flatMap((line) => ['Vary', line]))).toEqual(expected)
  })
})

describe('varyValue', () => {
  const value = (name: string, ...lines: string[]) =>
    varyValue(
      name,
      lines.flatMap((line) => [name.toUpperCase(), line]),
    )

  it.each<[string, string, string[], string[]]>([
    ['lines are joined', 'foo', ['1', '2'], ['1, 2']],
    ['blanks around commas', 'foo', [' 1, 2 '], ['1,2']],
    ['case of languages', 'accept-language', ['en, de'], ['eN, De']],
    ['blanks', 'accept-language', ['en, de;q=0.5'], [' en ,  de ; q=0.5']],
    ['weights written otherwise', 'accept-encoding', ['gzip;q=1.0, br;q=0.50'], ['br;q=0.5', 'gzip']],
    ['twice the same', 'accept-encoding', ['gzip, gzip'], ['gzip']],
    ['types', 'accept', ['text/*;level=1, */*;Q=0.1'], ['TEXT/*;Level=1,*/*;q=0.10']],
    ['a type twice', 'accept', ['a/b, c/d, A/B'], ['a/b, c/d']],
    ['order of codings', 'accept-encoding', ['gzip, br'], ['br, gzip']],
    ['no member', 'accept', [' , '], ['']],
  ])('the same: %s', (_name, name, a, b) => {
    expect(value(name, ...a)).toBe(value(name, ...b))
  })

  it.each<[string, string, string[], string[]]>([
    ['none and empty', 'foo', [], ['']],
    ['case', 'foo', ['a'], ['A']],
    ['order', 'foo', ['1, 2'], ['2, 1']],
    ['empty members', 'foo', ['1,,2'], ['1,2']],
    ['blanks in quotes', 'foo', ['"a, b"'], ['"a,b"']],
    ['a comma in quotes', 'foo', ['"a", b'], ['"a, b"']],
    ['blanks between words', 'foo', ['a  b'], ['a b']],
    ['weights', 'accept-language', ['en;q=0.5'], ['en;q=0.6']],
    ['a weight of none', 'accept-encoding', ['gzip;q=0'], ['gzip']],
    ['order of languages', 'accept-language', ['en, de'], ['de, en']],
    ['order of types', 'accept', ['text/html, application/json'], ['application/json, text/html']],
    ["case of a parameter's value", 'accept', ['a/b;profile=A'], ['a/b;profile=a']],
    ['quotes in a type', 'accept', ['a/b;x="Y"'], ['a/b;x="y"']],
    ['what is no list', 'user-agent', ['a (b, c)'], ['a (b,c)']],
    ['cookies', 'cookie', ['a=1, b'], ['a=1,b']],
  ])('not the same: %s', (_name, name, a, b) => {
    expect(value(name, ...a)).not.toBe(value(name, ...b))
  })

  it('says what one value is, however often it is asked and whatever was asked between', () => {
    const language = fc.constantFrom('en', 'de', 'fr;q=0.5', '*;q=0.1', 'EN')
    fc.assert(
      fc.property(fc.array(language), fc.array(language), (a, b) => {
        const first = value('accept-language', a.join(', '))
        value('accept-language', b.join(', '))
        expect(value('accept-language', a.join(' , '))).toBe(first)
      }),
    )
  })

  it('takes anything, in time that grows with it', () => {
    for (const text of ['"', '\\"', ',', ' ', ';', ' ;', 'q=', '" ', 'a;'])
      for (const name of ['foo', 'accept']) expect(typeof value(name, text.repeat(50_000))).toBe('string')
  })
})
