import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pemBlocks } from './pem.js'

const block = (label: string, body: string): string =>
  `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`

describe('pemBlocks()', () => {
  it('finds the blocks of any text, in order, whatever stands around them', () => {
    const noise = fc.string({
      unit: fc.constantFrom('a', '-', '\n', '\r', ' ', 'BEGIN', 'END', '-----END X-----'),
    })
    const one = fc.record({
      label: fc.constantFrom('CERTIFICATE', 'PRIVATE KEY', 'X'),
      body: fc.string({ unit: fc.constantFrom('A', 'b', '\n', '='), maxLength: 20 }),
    })
    fc.assert(
      fc.property(fc.array(fc.tuple(noise, one), { maxLength: 4 }), fc.boolean(), (parts, crlf) => {
        // What would begin a block of its own isn't noise.
        const clean = parts.map(([before, { label, body }]) => ({
          before: `${before.replaceAll('-----', '--')}\n`,
          label,
          body: body.replace(/\n+/g, '\n').trim(),
        }))
        const text = clean.map(({ before, label, body }) => before + block(label, body)).join('')
        expect(pemBlocks(crlf ? text.replaceAll('\n', '\r\n') : text)).toEqual(
          clean.map(({ label, body }) => ({ label, text: block(label, body) })),
        )
      }),
    )
  })

  it('takes any text for what it is, and half a block for none', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('-----', 'BEGIN ', 'END ', 'A', '\n', ' ') }), (text) => {
        for (const each of pemBlocks(text))
          expect(each.text).toMatch(/^-----BEGIN ([A-Z\d ]+)-----[\s\S]*-----END \1-----\n$/)
      }),
    )
    const whole = block('CERTIFICATE', 'AAAA')
    for (let end = 0; end < whole.length - 1; end++) expect(pemBlocks(whole.slice(0, end))).toEqual([])
  })

  it('takes a time in proportion to the text, be it all beginnings', () => {
    expect(pemBlocks('-----BEGIN CERTIFICATE-----\n'.repeat(100_000))).toEqual([])
  })
})
