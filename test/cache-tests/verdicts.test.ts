import { expect, it } from 'vitest'
import { byKind, bySuite, failures } from './lib/report.mjs'
import { select, withNeeds } from './lib/suite.mjs'
import { count, verdicts } from './lib/verdicts.mjs'

const test = (id: string, needs: string[] = [], kind = 'required', suite = 'some') => ({
  ...{ id, name: `name of ${id}`, suite, kind, needs },
})

const a = test('a')
const b = test('b', ['a'])
const c = test('c', ['b'], 'optimal')
const d = test('d', ['a'], 'check', 'more')
const tests = [a, b, c, d]

it('counts a test as honoured only if all that it needs passed, and all that those need', () => {
  const found = verdicts(tests, {
    a: ['Assertion', 'Response 2 comes from cache'],
    b: true,
    c: true,
    d: true,
  })
  expect(count(tests, found)).toEqual({ all: 4, passed: 3, honoured: 0 })
  expect(found.get('a')?.says).toBe('Assertion: Response 2 comes from cache')
  expect(found.get('c')?.says).toBe('it passed, but needs b')
})

it('counts all where all passed', () => {
  const found = verdicts(tests, { a: true, b: true, c: true, d: true })
  expect(count(tests, found)).toEqual({ all: 4, passed: 4, honoured: 4 })
  expect(failures(tests, found)).toEqual([])
})

it('counts what was not run, what needs a test that was not run, and tests that need each other, as failed', () => {
  const round = [test('x', ['y']), test('y', ['x'])]
  const found = verdicts([a, b, ...round], { b: true, x: true, y: true })
  expect(count([a, b, ...round], found)).toEqual({ all: 4, passed: 3, honoured: 0 })
  expect(found.get('a')?.says).toBe('it was not run')
})

it('shows passes by kind and by suite, the second figure where it differs', () => {
  const runs = [
    { title: 'one', found: verdicts(tests, { a: true, b: true, c: ['Setup', 'retry'], d: true }) },
    { title: 'other', found: verdicts(tests, { a: ['Assertion', 'no'], b: true, c: true, d: true }) },
  ]
  expect(byKind(tests, runs).split('\n')).toEqual([
    '|       | required, of 2 | optimal, of 1 | check, of 1 |',
    '| ----- | -------------: | ------------: | ----------: |',
    '| one   |              2 |             0 |           1 |',
    '| other |          1 (0) |         1 (0) |       1 (0) |',
  ])
  expect(bySuite(tests, runs)).toContain(
    '| some  | 2/2 required, 0/1 optimal | 1 (0)/2 required, 1 (0)/1 optimal |',
  )
})

it('leaves the suite for Surrogate-Control out of what counts', () => {
  const more = test('s', [], 'required', 'surrogate-control')
  const found = verdicts([a, more], { a: true })
  expect(byKind([a, more], [{ title: 'one', found }])).toContain('required, of 1')
})

it('selects tests by their id and by their suite, and adds what they need', () => {
  expect(select(tests, ['more', 'a'])).toEqual([a, d])
  expect(withNeeds(tests, [c])).toEqual([c, b, a])
  expect(() => select(tests, ['e'])).toThrow("got 'e', takes the id of a test or of a suite: some, more")
})
