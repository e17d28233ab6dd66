import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entityTagMembers, parseEntityTag, parseEntityTags } from './entity-tag.js'

describe('entityTagMembers', () => {
  it.each<[string, string, string[]]>([
    ['tags as they are written', '"a", W/"b" ,"c"', ['"a"', 'W/"b"', '"c"']],
    ['commas in a tag', '"a,b", "c"', ['"a,b"', '"c"']],
    ['any', '*', ['*']],
    ['what is no tag', 'abc, "d", w/"e"', ['abc', '"d"', 'w/"e"']],
    ['a quote that never ends', '"a, "b"', ['"a', '"b"']],
    ['nothing between the quotes', '""', ['""']],
  ])('%s', (_name, value, expected) => {
    expect(entityTagMembers(value)).toEqual(expected)
  })

  it('gives back any list of tags', () => {
    const tag = fc
      .tuple(fc.boolean(), fc.stringMatching(/^[\x21\x23-\x7e\x80-\xff]*$/))
      .map(([weak, opaque]) => `${weak ? 'W/' : ''}"${opaque}"`)
    fc.assert(
      fc.property(fc.array(tag, { minLength: 1 }), fc.constantFrom(',', ', ', ' ,\t'), (tags, between) => {
        expect(entityTagMembers(tags.join(between))).toEqual(tags)
        expect(parseEntityTags(tags.join(between))).toEqual(tags.map(parseEntityTag))
      }),
    )
  })

  it('takes time that grows with the list alone', () => {
    for (const part of ['"', '",', ' ', ' ,', 'W/"', '"a', 'W/'])
      expect(Array.isArray(entityTagMembers(part.repeat(50_000)))).toBe(true)
  })
})
