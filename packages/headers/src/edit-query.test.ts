import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editQuery } from './index.js'

it('leaves a query without rules as it is, byte for byte', () => {
  for (const rules of [{}, { set: {}, append: {}, remove: [] }])
    fc.assert(
      fc.property(fc.string(), (target) => {
        expect(editQuery(rules)(target)).toBe(target)
      }),
    )
  expect(editQuery({})('/x?a=1&a=2;b=3&%zz&&')).toBe('/x?a=1&a=2;b=3&%zz&&')
})

describe('an edited query', () => {
  it.each([
    [{ remove: ['x'] }, '/p?a=1&a=2;b=3', '/p?a=1'],
    [{ remove: ['x'] }, '/p?a=1&%zz=2&b=%&c=%4', '/p?a=1'],
    [{ remove: ['secret'] }, '/p?a=1;secret=2', '/p'],
    [{ remove: ['secret'] }, '/p?secret=1&%73ecret=2&a=%2F+b&secret', '/p?a=%2F+b'],
    [{ remove: ['x'] }, '/p?&&a&b=', '/p?a&b='],
    [{ remove: ['a b', 'é'] }, '/p?a+b=1&a%20b=2&%C3%A9=3&\xc3\xa9=4&c', '/p?c'],
    [{ only: ['b', 'a'] }, '/p?a=1&x=2&b=3&a=4', '/p?a=1&b=3&a=4'],
    [{ only: [] }, '/p?a=1', '/p'],
    [{ set: { a: '9' } }, '/p?x=1&a=1&y=2&a=3', '/p?x=1&a=9&y=2'],
    [{ set: { a: 'ä &=' } }, '/p', '/p?a=%C3%A4%20%26%3D'],
    [{ append: { a: '2' } }, '/p?a=1', '/p?a=1&a=2'],
    [{ append: { a: '2' } }, '/p?', '/p?a=2'],
    [{ only: ['a'], remove: ['a'], set: { b: '1' }, append: { c: '2' } }, '/p?a=1&d', '/p?b=1&c=2'],
    [{ append: { a: '2' } }, '/p?a#b', '/p?a=2'],
    // A target that cuts a fragment off would never see what was set behind one.
    [{ set: { a: '2' } }, '/p#', '/p?a=2'],
    [{ set: { a: '2' } }, '/p#b?a=1', '/p?a=2'],
  ])('%j: %s becomes %s', (rules, before, after) => {
    expect(editQuery(rules)(before)).toBe(after)
  })

  it('keeps the order and the bytes of what parses', () => {
    const parameter = fc.stringMatching(/^[a-z]{1,3}=([a-z+]|%2[0-9a-fA-F]){0,4}$/)
    fc.assert(
      fc.property(fc.array(parameter, { minLength: 1 }), (parameters) => {
        const query = parameters.join('&')
        expect(editQuery({ append: { UPPER: '1' } })(`/?${query}`)).toBe(`/?${query}&UPPER=1`)
        const kept = parameters.filter((each) => !each.startsWith('a='))
        expect(editQuery({ remove: ['a'] })(`/?${query}`)).toBe(kept.length ? `/?${kept.join('&')}` : '/')
      }),
    )
  })

  it('holds nothing that does not parse, whatever came', () => {
    const piece = fc.constantFrom('a', '=', '&', ';', '%', '%zz', '%41', '#', '+', '?')
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const edit = editQuery({ remove: ['secret'] })
        const once = edit(`/?${pieces.join('')}`)
        expect(once).not.toMatch(/[;#]|%(?![\da-f]{2})|&&/i)
        expect(edit(once)).toBe(once)
      }),
    )
  })
})
