import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isPathPattern, PathPattern } from './path-pattern.js'

describe('path patterns', () => {
  it('match whole paths, with * for any characters', () => {
    const cases: [pattern: string, matching: string[], others: string[]][] = [
      ['/app.js', ['/app.js'], ['/app.jsx', '/x/app.js', '/appxjs', '/']],
      ['/static/*.js', ['/static/.js', '/static/a/b.js'], ['/static/js', '/static/a.css', '/a/static/a.js']],
      ['/*', ['/', '/a/b'], ['']],
      ['/a*a', ['/aa', '/aba'], ['/a', '/ab']],
      ['/app/*/main.*.js', ['/app/1/main.2.js'], ['/app/main.2.js', '/app/1/main.js']],
      ['/**/x', ['//x', '/a/x'], ['/x']],
    ]
    for (const [pattern, matching, others] of cases) {
      const made = new PathPattern(pattern)
      for (const path of matching) expect(made.matches(path), `${pattern} ${path}`).toBe(true)
      for (const path of others) expect(made.matches(path), `${pattern} ${path}`).toBe(false)
    }
  })

  it('mean what the same expression means', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 12 })
    const path = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 16 })
    fc.assert(
      fc.property(text, path, (pattern, rest) => {
        const expression = new RegExp(`^/${pattern.replaceAll('*', '.*')}$`)
        expect(new PathPattern(`/${pattern}`).matches(`/${rest}`)).toBe(expression.test(`/${rest}`))
      }),
      { numRuns: 2000 },
    )
  })

  it('are what URL patterns read alike', () => {
    for (const text of ['/', '/*', '/app.*.js', "/a-b_c~!$&',;=@%20"]) expect(isPathPattern(text)).toBe(true)
    for (const text of [
      '',
      'app.js',
      '*',
      '//b.example/*',
      '/:id',
      '/(a|b)',
      '/a?',
      '/a+',
      '/{a}',
      '/a"b',
      '/a b',
      '/\\a',
      '/é',
      1,
    ])
      expect(isPathPattern(text), String(text)).toBe(false)
  })
})
