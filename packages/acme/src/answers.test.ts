import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AcmeError, printable } from './acme-error.js'
import type { AcmeAnswer } from './acme-http.js'
import { readProblem } from './acme-problem.js'
import { read } from './answers.js'
import { authorizationSchema } from './authorization.js'
import { directorySchema } from './directory.js'
import { orderSchema } from './order.js'
import { renewalInfoSchema } from './renewal-info.js'

const answerOf = (text: string, status = 200): AcmeAnswer => ({
  url: 'https://ca.test/1',
  status,
  text,
  field: () => undefined,
  links: () => [],
})

/** Neither control characters, nor what ends a line or turns the direction of text. */
const safe = /^[^\p{C}\p{Zl}\p{Zp}]*$/u

const documents = {
  directory: [
    directorySchema,
    {
      newNonce: 'https://ca.test/n',
      newAccount: 'https://ca.test/a',
      newOrder: 'https://ca.test/o',
      meta: { profiles: { a: 'b' } },
    },
  ],
  order: [
    orderSchema,
    {
      status: 'valid',
      expires: '2030-01-01T00:00:00.5Z',
      identifiers: [{ type: 'dns', value: 'a.test' }],
      authorizations: ['https://ca.test/1'],
      finalize: 'https://ca.test/f',
    },
  ],
  authorization: [
    authorizationSchema,
    {
      identifier: { type: 'dns', value: 'a.test' },
      status: 'valid',
      challenges: [{ type: 'dns-01', url: 'https://ca.test/c', status: 'valid', token: 'a'.repeat(22) }],
    },
  ],
  'renewal information': [
    renewalInfoSchema,
    { suggestedWindow: { start: '2030-01-01T00:00:00+02:00', end: '2030-01-02T00:00:00Z' } },
  ],
} as const

describe.each(Object.entries(documents))('%s', (_, [schema, document]) => {
  it('is read', () => {
    expect(read('order', answerOf(JSON.stringify(document)), schema)).toBeTypeOf('object')
  })

  it('with anything in the place of a part is read, or is an error that is safe to show', () => {
    const names = Object.keys(document)
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.jsonValue(),
        fc.constantFrom(200, 400, 503),
        (name, value, status) => {
          const text = JSON.stringify({ ...document, [name]: value })
          try {
            expect(read('order', answerOf(text, status), schema)).toBeTypeOf('object')
          } catch (error) {
            expect(error).toBeInstanceOf(AcmeError)
            expect((error as Error).message).toMatch(safe)
            expect((error as Error).message.length).toBeLessThan(1_000)
          }
        },
      ),
    )
  })

  it('of any text is an error that is safe to show', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => {
        expect(() => read('order', answerOf(text), schema)).toThrow(AcmeError)
        expect(() => read('order', answerOf(text), schema)).toThrow(safe)
      }),
    )
  })
})

it('reads of any JSON a problem that is safe to show, or none', () => {
  const document = fc.record(
    {
      type: fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()),
      detail: fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()),
      instance: fc.oneof(fc.webUrl(), fc.jsonValue()),
      subproblems: fc.oneof(
        fc.array(
          fc.oneof(fc.record({ type: fc.string(), detail: fc.string({ unit: 'binary' }) }), fc.jsonValue()),
        ),
        fc.jsonValue(),
      ),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.oneof(document, fc.jsonValue()), (json) => {
      const problem = readProblem(json)
      if (problem === undefined) return
      const texts = problem.subproblems.flatMap(({ type, detail, name = '' }) => [type, detail, name])
      for (const text of [problem.type, problem.detail, problem.instance ?? '', ...texts]) {
        expect(text).toMatch(safe)
        expect(text.length).toBeLessThanOrEqual(500)
      }
      expect(problem.subproblems.length).toBeLessThanOrEqual(100)
    }),
  )
})

it('shows text in one line, and short', () => {
  expect(printable('a\r\n\tb\u001b[2Jc\u202ed\u2028e\u0085f')).toBe('a b [2Jc d e f')
  expect(printable('x'.repeat(1_000), 10)).toBe('xxxxxxx...')
  expect(printable('\u{1F512} Zertifikat für müller.test')).toBe('\u{1F512} Zertifikat für müller.test')
})
