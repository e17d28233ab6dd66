import { expect, it } from 'vitest'
import { originsOf } from './origins-of.js'

it('gives the targets that there are, and the same list as long as they are the same', () => {
  const one = { all: [{ url: 'http://a' }, { url: 'http://b' }] }
  const two = { all: [{ url: 'http://c' }] }
  const origins = originsOf([one, two], ['http://alias'])
  const first = origins()
  expect(first).toEqual(['http://a', 'http://b', 'http://c', 'http://alias'])
  expect(origins()).toBe(first)
  two.all = []
  expect(origins()).toEqual(['http://a', 'http://b', 'http://alias'])
  expect(originsOf([], ['http://alias'])()).toEqual(['http://alias'])
})
