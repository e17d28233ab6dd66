import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { preferredType } from './accept.js'

const types = ['application/json', 'text/html', 'text/plain'] as const
const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'

describe('preferredType', () => {
  it.each([
    ['no field', undefined, 'application/json'],
    ['an empty field', '', 'application/json'],
    ['what can not be read', ';;,, /x, */html', 'application/json'],
    ['curl', '*/*', 'application/json'],
    ['a browser', browser, 'text/html'],
    ['a client of an API', 'application/json', 'application/json'],
    ['weights', 'text/html;q=0.5, application/json;q=0.4', 'text/html'],
    [
      'weights in any case and with blanks',
      'text/html ; Q = 0.3 , application/json;q=0.4',
      'application/json',
    ],
    ['names in any case', 'TEXT/HTML', 'text/html'],
    ['a name before a wildcard', '*/*, text/html', 'text/html'],
    ['a subtype of any kind', 'text/*', 'text/html'],
    ['the exact range decides, not the widest', 'text/*;q=0.9, text/html;q=0.1', 'text/plain'],
    ['the first of two alike', 'text/plain, text/html', 'text/plain'],
    ['0 refuses', 'application/json;q=0, */*', 'text/html'],
    ['0.000 refuses too', 'application/json;q=0.000, text/plain;q=0.001', 'text/plain'],
    ['nothing that is there', 'image/png', undefined],
    ['all refused', '*/*;q=0', undefined],
    ['a weight that is none leaves its member out', 'text/html;q=2, text/plain;q=0.1', 'text/plain'],
    ['quotes hide commas', 'text/plain;x="a, text/html;q=1";q=0.2, text/html;q=0.1', 'text/plain'],
    ['a quote that never ends', 'text/html;x="', 'text/html'],
  ])('%s', (_name, accept, expected) => {
    expect(preferredType(accept, types)).toBe(expected)
  })

  it('gives one of the types or none, whatever the field says, in time that grows with it', () => {
    const bit = fc.constantFrom('text', 'html', '/', '*', ',', ';', 'q', '=', '0', '.5', '"', '\\', ' ')
    fc.assert(
      fc.property(fc.array(bit, { maxLength: 200 }), (bits) => {
        expect([...types, undefined]).toContain(preferredType(bits.join(''), types))
      }),
    )
    for (const part of ['"', '\\"', ',', ';', 'a/b;q="', 'a,"\\', 'q= '])
      preferredType(part.repeat(10_000), types)
  })
})
