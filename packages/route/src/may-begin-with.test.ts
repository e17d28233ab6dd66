import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRouter, mayBeginWith, rewritePath } from './index.js'

it.each([
  ['/api', '/api', true],
  ['/api', '/api/', true],
  ['/api/', '/api', true],
  ['/api', '/api/v1', true],
  ['/api/v1', '/api', true],
  ['/', '/api', true],
  ['=/api', '/api', true],
  ['=/api/', '/api', true],
  ['/%61pi', '/ap%69', true],
  ['/:tenant/users', '/api', true],
  ['/api', '/', true],
  ['/api', '/app', false],
  ['/api', '/ap', false],
  ['/api', '/API', false],
  ['=/api', '/api/v1', false],
  ['/:tenant/users', '/api/orders', false],
])('of %s a path may begin with %s: %s', (path, strip, may) => {
  expect(mayBeginWith(path, strip)).toBe(may)
})

it('never says no where something is stripped', () => {
  const part = fc.constantFrom('a', 'b', '%61', ':p', '')
  const of = (length: object) => fc.array(part, length).map((parts) => `/${parts.join('/')}`)
  const strips = of({ maxLength: 3 }).filter((strip) => !strip.includes(':'))
  const asked = of({ maxLength: 4 }).map((path) => path.replaceAll(':p', 'c'))
  fc.assert(
    fc.property(fc.constantFrom('', '='), of({ maxLength: 3 }), strips, asked, (exact, path, strip, came) => {
      const find = createRouter([{ match: { path: exact + path }, value: true }])
      if (find({ method: 'GET', authority: 'a', path: came, headers: [] }) === undefined) return
      const ctx = { out: { method: 'GET', path: came } } as { out: object; stripped?: string }
      const layer = rewritePath({ strip }) as unknown as (next: () => number) => (ctx: unknown) => number
      layer(() => 0)(ctx)
      if (ctx.stripped !== '') expect(mayBeginWith(exact + path, strip)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})
