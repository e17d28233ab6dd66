import { expect, it } from 'vitest'
import { mountPath } from './mount-path.js'

it.each([
  ['/api/x?y', '/x?y', '/api'],
  ['/api', '/', '/api'],
  ['/api/', '/', '/api'],
  ['/api?x=/y', '/?x=/y', '/api'],
  ['/a//b', '//b', '/a'],
  ['http://h/api/x', 'http://h/x', '/api'],
  // Another query, or another URL, is none of Connect's doing.
  ['/x?a', '/x?b', ''],
  ['/old/x', '/new', ''],
  ['/x', '/x', ''],
  ['*', '/', ''],
])('%s as %s is below %s', (originalUrl, url, prefix) => {
  expect(mountPath({ originalUrl, url })).toBe(prefix)
})

it('is what Express tells, where it tells', () => {
  expect(mountPath({ originalUrl: '/api/x', url: '/x', baseUrl: '' })).toBe('')
  expect(mountPath({ originalUrl: '/api/x', url: '/x', baseUrl: '/a' })).toBe('/a')
  expect(mountPath({ originalUrl: '/api/x', url: '/x', baseUrl: 7 })).toBe('')
  expect(mountPath({ url: '/x' })).toBe('')
})
