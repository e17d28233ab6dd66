import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { outOfFiles } from '../../../test/kit/out-of-files.js'
import { skipUnless } from '../../../test/kit/skip.js'
import {
  parseCacheControl,
  parseDeltaSeconds,
  parseFieldNames,
  parseTargetedCacheControl,
} from './cache-control.js'

const read = (...lines: string[]) =>
  Object.fromEntries(parseCacheControl(lines.flatMap((line) => ['Cache-Control', line])))

describe('parseCacheControl', () => {
  it.each<[string, string[], Record<string, string | true>]>([
    ['nothing', [], {}],
    ['an empty field', [''], {}],
    ['names in any case', ['No-StOrE, MaX-aGe=1'], { 'no-store': true, 'max-age': '1' }],
    ['quotes mean the same', ['max-age="3600"'], { 'max-age': '3600' }],
    ['single quotes are characters', ["max-age='3600'"], { 'max-age': "'3600'" }],
    [
      'what is quoted is no directive',
      ['x="max-age=3600, no-store", max-age=1'],
      { x: 'max-age=3600, no-store', 'max-age': '1' },
    ],
    ['escapes', [String.raw`x="a\"b\\, c"`], { x: String.raw`a"b\, c` }],
    ['a member in quotes is none', ['"no-store, x", public'], { public: true }],
    ['an open quote hides nothing', ['x="a, no-store'], { x: '"a', 'no-store': true }],
    ['nor what is on other lines', ['x="a', 'no-store"'], { x: '"a', 'no-store': '"' }],
    ['the first counts', ['max-age=1800, max-age=1'], { 'max-age': '1800' }],
    ['on several lines too', ['max-age=1', 'max-age=1800'], { 'max-age': '1' }],
    ['lists of names add up', ['private="a"', 'private="b, c"'], { private: 'a,b, c' }],
    ['the whole is more than names', ['no-cache="a", no-cache'], { 'no-cache': true }],
    ['whichever comes first', ['private, private="a"'], { private: true }],
    ['a blank before = is kept', ['max-age =3600'], { 'max-age': ' =3600' }],
    ['a blank after = is kept', ['max-age= 3600'], { 'max-age': ' 3600' }],
    ['empty members', [', ,,max-age=1,,'], { 'max-age': '1' }],
    ['an empty value is one', ['max-age='], { 'max-age': '' }],
    ['a name keeps its meaning, whatever follows', ['no-store; max-age=1'], { 'no-store': '; max-age=1' }],
    ['what is no name is none', ['@, =1, {no-store}, public'], { public: true }],
  ])('%s', (_name, lines, expected) => {
    expect(read(...lines)).toEqual(expected)
  })

  it('reads another field, and only that', () => {
    const fields = ['Cache-Control', 'no-store', 'Surrogate-Control', 'max-age=1']
    expect([...parseCacheControl(fields, 'surrogate-control')]).toEqual([['max-age', '1']])
  })

  it('finds again what was written, quoted or not, between whatever else', () => {
    const name = fc
      .stringMatching(/^[a-z][a-z-]{0,8}$/)
      .filter((one) => one !== 'private' && one !== 'no-cache')
    const value = fc.string({ unit: fc.constantFrom('a', '1', ',', '"', '\\', '=', ' ') })
    const directives = fc.uniqueArray(fc.tuple(name, value), { selector: ([one]) => one })
    fc.assert(
      fc.property(directives, (list) => {
        const line = list
          .map(([one, text]) => `${one}="${text.replace(/["\\]/g, String.raw`\$&`)}"`)
          .join(', ')
        expect(read(line)).toEqual(Object.fromEntries(list))
      }),
    )
  })

  it('never throws, and never loses a directive that stands alone between commas', () => {
    const bit = fc.constantFrom('"', '\\', ',', '=', ' ', 'a', 'max-age', '1', ';')
    fc.assert(
      fc.property(fc.array(bit), (bits) => {
        const junk = bits.join('')
        // An even number of quotes before it may hold it. None may by a quote of its own.
        const found = read(junk.replaceAll('"', ''), `no-store, ${junk}`)
        expect(found['no-store']).toBe(true)
      }),
    )
  })

  it.each(['"', '\\"', ',', 'a="', '=', ' ', 'a =', '"a",', 'a="\\'])('takes %s many times', (text) => {
    expect(() => read(text.repeat(100_000))).not.toThrow()
  })
})

describe('parseDeltaSeconds', () => {
  it.each<[string | true | undefined, number | undefined]>([
    ['0', 0],
    ['003600', 3600],
    ['2147483647', 2_147_483_647],
    ['2147483648', 2_147_483_648],
    ['99999999999', 2_147_483_648],
    ['9'.repeat(400), 2_147_483_648],
    ['-1', undefined],
    ['1.0', undefined],
    ['a1', undefined],
    ['1a', undefined],
    [' 1', undefined],
    ['', undefined],
    ["'1'", undefined],
    [true, undefined],
    [undefined, undefined],
  ])('%s', (value, expected) => {
    expect(parseDeltaSeconds(value)).toBe(expected)
  })
})

describe('parseFieldNames', () => {
  it.each<[string, string[] | undefined]>([
    ['Set-Cookie', ['set-cookie']],
    [' a ,, B ', ['a', 'b']],
    ['a b', undefined],
    [' ="a"', undefined],
    ['', undefined],
    [',', undefined],
  ])('%s', (value, expected) => {
    expect(parseFieldNames(value)).toEqual(expected)
  })
})

describe('parseTargetedCacheControl', () => {
  const targeted = (...lines: string[]) => {
    const found = parseTargetedCacheControl(
      lines.flatMap((line) => ['CDN-Cache-Control', line]),
      'cdn-cache-control',
    )
    return found && Object.fromEntries(found)
  }

  it.each<[string, string[], Record<string, string | true> | undefined]>([
    ['nothing', [], undefined],
    ['an empty field', [' '], undefined],
    ['numbers and flags', ['max-age=60, no-store'], { 'max-age': '60', 'no-store': true }],
    ['several lines', ['max-age=60', 'private'], { 'max-age': '60', private: true }],
    ['the last of two, as dictionaries have it', ['max-age=60, max-age=1'], { 'max-age': '1' }],
    ['a flag that is off', ['max-age=60, no-store=?0'], { 'max-age': '60' }],
    ['parameters are passed over', ['max-age=60;x=1'], { 'max-age': '60' }],
    ['names of fields', ['no-cache="a, b"'], { 'no-cache': 'a, b' }],
    ['a token', ['private=a'], { private: 'a' }],
    ['a string is no number', ['max-age="60"'], { 'max-age': '"60"' }],
    ['below zero', ['max-age=-1'], { 'max-age': '-1' }],
    ['a fraction', ['max-age=1.5'], { 'max-age': '1.5' }],
    ['a list', ['max-age=(1 2)'], { 'max-age': '()' }],
    ['one wrong member makes all wrong', ['max-age=60, &&&'], undefined],
    ['a blank before =', ['max-age =60'], undefined],
    ['a blank after =', ['max-age= 60'], undefined],
    ['capitals', ['MaX-aGe=60'], undefined],
  ])('%s', (_name, lines, expected) => {
    expect(targeted(...lines)).toEqual(expected)
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => targeted(text)).not.toThrow()
      }),
    )
  })
})

it.skipIf(skipUnless(process.platform !== 'win32', 'limits of open files that can be set'))(
  'lets nothing be stored by what a targeted field overrules, while there is no file to open for its parser',
  async () => {
    const said = await outOfFiles(
      new URL('..', import.meta.url),
      `
      import { createRequire } from 'node:module'
      import { parseTargetedCacheControl } from '@sluice/headers'
      const parse = () => [...parseTargetedCacheControl(['CDN-Cache-Control', 'private, max-age=1'], 'cdn-cache-control').keys()]
      // Node 20 keeps for good what it couldn't read of a package.
      createRequire(import.meta.resolve('@sluice/headers')).resolve('structured-headers')
      starve()
      const first = parse()
      feed()
      console.log(...first, ...parse())`,
    )
    expect(said).toBe('no-store private max-age\n')
  },
)
