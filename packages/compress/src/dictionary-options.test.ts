import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type DictionaryOptions, resolveDictionaries } from './dictionary-options.js'

const folder = mkdtempSync(join(tmpdir(), 'dictionaries-'))
afterAll(() => rmSync(folder, { recursive: true }))

const told = (options: unknown): string => {
  try {
    resolveDictionaries(options as DictionaryOptions)
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message
  }
  return 'nothing'
}

describe('dictionary options', () => {
  it('have defaults, and one size in which all fits', () => {
    const { rules, ...rest } = resolveDictionaries({ match: '/static/*.js' })
    expect(rest).toEqual({
      given: [],
      maxSize: 32 * 1024 * 1024,
      maxEntry: 4 * 1024 * 1024,
      maxCount: 256,
    })
    expect(rules.map(({ field, match, path }) => [field, match.text, path.text])).toEqual([
      ['match="/static/*.js"', '/static/*.js', '/static/*.js'],
    ])
    expect(
      resolveDictionaries({ match: [], given: [{ bytes: Buffer.from('a'), match: '/*' }], maxSize: 9 })
        .maxEntry,
    ).toBe(9)
  })

  it('read files at once', () => {
    const file = join(folder, 'app.js')
    writeFileSync(file, 'abc')
    const { given } = resolveDictionaries({ given: [{ file, match: '/*' }] })
    expect(given.map(({ bytes, hash }) => [String(bytes), hash])).toEqual([
      ['abc', 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='],
    ])
    writeFileSync(file, '')
    expect(told({ given: [{ file, match: '/*' }] })).toMatch(
      /given\[0\]\.file: .*takes a file that is not empty/,
    )
  })

  it('that are wrong are told with their path', () => {
    expect(told({})).toBe('dictionaries: got {}, takes match, given, or both')
    expect(told({ match: 'app.js' })).toMatch(/^dictionaries\.match: got 'app\.js', takes a path such as/)
    expect(told({ match: ['/a', '/:id'] })).toMatch(/^dictionaries\.match\[1\]: got '\/:id'/)
    expect(told({ match: { path: '/a', matchdest: [] } })).toMatch(
      /matchdest: unknown option, did you mean matchDest\?/,
    )
    expect(told({ match: { path: '/a', matchDest: ['Script'] } })).toMatch(/matchDest\[0\]: got 'Script'/)
    expect(told({ match: { path: '/a', id: 'é' } })).toMatch(/match\.id: .*printable ASCII/)
    expect(told({ match: '/a', maxSize: 0 })).toBe('dictionaries.maxSize: got 0, takes more than 0')
    expect(told({ match: '/a', maxCount: 0 })).toMatch(/maxCount: got 0/)
    expect(told({ given: [{ bytes: 'text', match: '/a' }] })).toMatch(
      /given\[0\]\.bytes: got 'text', takes a Uint8Array/,
    )
    expect(told({ given: [{ bytes: Buffer.from('a') }] })).toMatch(/given\[0\]\.match: got nothing/)
    const missing = join(folder, 'missing')
    expect(told({ given: [{ file: missing, match: '/a' }] })).toMatch(
      /given\[0\]\.file: .*takes a file that can be read: ENOENT/,
    )
  })
})
