import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fieldLine } from './field-line.js'

/** The grammar of RFC 9112 section 5, read anew each time. */
function line(name: string, value: string | undefined): string | undefined {
  const valid = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) && /^[\t -~\x80-\xff]*$/.test(value ?? '\0')
  return valid ? `${name}: ${value}\r\n` : undefined
}

it('is the line of its field, whatever was asked for before', () => {
  // Few names and values of few lengths: nearly all of them meet in the same place.
  const name = fc.string({ unit: fc.constantFrom('a', 'A', '-', ':', ' ', '\n', 'é'), maxLength: 3 })
  const value = fc.option(
    fc.string({ unit: fc.constantFrom('a', 'b', '\t', '\r', '\n', '\0', 'ÿ', 'Ł'), maxLength: 3 }),
    {
      nil: undefined,
    },
  )
  const asked = fc.array(fc.tuple(name, value), { maxLength: 40 })
  fc.assert(
    fc.property(asked, (fields) => {
      for (const [n, v] of fields) expect(fieldLine(n, v)).toBe(line(n, v))
      for (const [n, v] of fields) expect(fieldLine(n, v)).toBe(line(n, v))
    }),
  )
})

it.each([
  ['x'.repeat(32), 'y'.repeat(64)],
  ['x'.repeat(33), 'y'.repeat(65)],
  ['x', 'y'.repeat(20_000)],
])('is the same for long ones', (name, value) => {
  const expected = `${name}: ${value}\r\n`
  expect(fieldLine(name, value)).toBe(expected)
  expect(fieldLine(name, value)).toBe(expected)
  expect(fieldLine(name, `${value.slice(1)}z`)).toBe(`${name}: ${value.slice(1)}z\r\n`)
})
