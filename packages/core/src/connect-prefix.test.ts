import { expect, it } from 'vitest'
import { connectPrefix } from './connect-prefix.js'

it.each([
  ['/api/x?y', '/x?y', '/api'],
  ['/api', '/', '/api'],
  ['/api/', '/', '/api'],
  ['/api?x=/y', '/?x=/y', '/api'],
  ['/a//b', '//b', '/a'],
  ['http://h/api/x', 'http://h/x', '/api'],
  // Another query, or another URL, is none of Connect's doing.
  ['/x?a', '/x?b', undefined],
  ['/old/x', '/new', undefined],
  ['/x', '/x', undefined],
  ['*', '/', undefined],
])('%s as %s is below %s', (originalUrl, url, prefix) => {
  expect(connectPrefix({ originalUrl, url })).toBe(prefix)
})

it('leaves what Express tells alone', () => {
  expect(connectPrefix({ originalUrl: '/api/x', url: '/x', baseUrl: '' })).toBeUndefined()
  expect(connectPrefix({ url: '/x' })).toBeUndefined()
})
