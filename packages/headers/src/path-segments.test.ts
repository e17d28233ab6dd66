import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { judgePath, type PathMode, type PathModes } from './index.js'

const all = (mode: PathMode): PathModes => ({ encodedSlashes: mode, doubleSlashes: mode, dotSegments: mode })
const verdict = (target: string, modes: PathModes): string => {
  const judged = judgePath(target, modes)
  return judged.ok ? judged.path : judged.rule
}

const mode = fc.constantFrom<PathMode>('preserve', 'reject', 'normalise')
const modes = fc.record({ encodedSlashes: mode, doubleSlashes: mode, dotSegments: mode })
const piece = fc.constantFrom(
  ...[
    '/',
    '//',
    '.',
    '..',
    '%2e',
    '%2E',
    '%2f',
    '%2F',
    '%5c',
    '\\',
    ';x',
    'a',
    'b~',
    '%61',
    '%zz',
    '%',
    '%c3%a9',
  ],
  ...['%c0%ae', '%25', '%252e', '\xe9', '#'],
)
const target = fc
  .tuple(fc.array(piece), fc.constantFrom('', '?', '?a=/../%zz//'))
  .map(([pieces, query]) => `/${pieces.join('')}${query}`)

it.each([
  ['/a/%2e%2E/b', 'dot-segment'],
  ['/a/..;x=1/b', 'dot-segment'],
  ['/a/.', 'dot-segment'],
  ['/a/..%3bx/b', 'dot-segment'],
  ['/a/%2e%2E%3B/b', 'dot-segment'],
  ['/a\\..\\b', 'encoded-slash'],
  ['/a%2Fb', 'encoded-slash'],
  ['/a%5cb', 'encoded-slash'],
  ['//10.0.0.1/', 'double-slash'],
  ['/a//', 'double-slash'],
  ['/%zz', 'encoding'],
  ['/100%', 'encoding'],
  ['/%c0%ae%c0%ae/', 'encoding'],
  ['/%ff', 'encoding'],
  ['/\xc0\xae\xc0\xae/x', 'encoding'],
  ['/%c3\xa9', '/%c3\xa9'],
  ['/\xc3\xa9', '/\xc3\xa9'],
  ['/a#/../b', 'fragment'],
  ['/a/...', '/a/...'],
  ['/a/.b/..c?x=//../%zz%2F', '/a/.b/..c?x=//../%zz%2F'],
  ['/%e2%82%ac/%2525', '/%e2%82%ac/%2525'],
  ['*', '*'],
  ['host:443', 'host:443'],
])('reject: %s gives %s', (path, expected) => {
  expect(verdict(path, all('reject'))).toBe(expected)
})

it('rejects dots between encoded slashes where slashes may pass', () => {
  for (const path of ['/admin%2f..%2fx', '/a%5C.', '/a/..%2fb', '/a\\..\\b'])
    for (const dotSegments of ['reject', 'normalise'] as const)
      expect(verdict(path, { dotSegments })).toBe('dot-segment')
})

it.each([
  ['/', '/'],
  ['//', '/'],
  ['//10.0.0.1//x//', '/10.0.0.1/x/'],
  ['/../../etc/passwd', '/etc/passwd'],
  ['/a/b/../c/./d', '/a/c/d'],
  ['/a//../b', '/b'],
  ['/a/b/..', '/a/'],
  ['/a/.', '/a/'],
  ['/..', '/'],
  ['/a/%2E%2e/b', '/b'],
  ['/a/..;x/b', '/b'],
  ['/%7euser/%41%3a%2f', '/~user/A%3A%2F'],
  ['/a\\b%5cc', '/a%5Cb%5Cc'],
  ['/%252e%252e/x', '/%252e%252e/x'],
  ['/a/../b?x=/../%7e', '/b?x=/../%7e'],
])('normalise: %s becomes %s', (path, expected) => {
  expect(verdict(path, all('normalise'))).toBe(expected)
})

it('normalises dots as RFC 3986 says where empty segments stay', () => {
  expect(verdict('/a//../b', { dotSegments: 'normalise' })).toBe('/a/b')
  expect(verdict('/mid/content=5/../6', { dotSegments: 'normalise' })).toBe('/mid/6')
  expect(verdict('/a/b/c/./../../g', { dotSegments: 'normalise' })).toBe('/a/g')
  expect(verdict('/a%2fb/./c', { dotSegments: 'normalise' })).toBe('/a%2fb/c')
})

describe('whatever the path', () => {
  it('preserve is an identity', () => {
    fc.assert(
      fc.property(fc.oneof(target, fc.string()), (path) => {
        expect(judgePath(path, {})).toEqual({ ok: true, path })
        expect(judgePath(path, all('preserve'))).toEqual({ ok: true, path })
      }),
    )
  })

  it('reject changes nothing of what it lets pass', () => {
    fc.assert(
      fc.property(target, (path) => {
        const judged = judgePath(path, all('reject'))
        if (judged.ok) expect(judged.path).toBe(path)
      }),
    )
  })

  it('a second time changes nothing, nor the query at any time', () => {
    fc.assert(
      fc.property(target, modes, (path, chosen) => {
        const once = judgePath(path, chosen)
        if (!once.ok) return
        expect(judgePath(once.path, chosen)).toEqual(once)
        expect(once.path.split('?')[1]).toBe(path.split('?')[1])
        expect(once.path[0]).toBe('/')
      }),
      { numRuns: 1000 },
    )
  })

  it('what normalise gives has none of what it removes', () => {
    fc.assert(
      fc.property(target, (path) => {
        const judged = judgePath(path, all('normalise'))
        if (!judged.ok) return
        const [plain = ''] = judged.path.split('?')
        expect(plain).not.toMatch(/\/\/|\\|%[\da-f]?[a-f]|%2E/)
        expect(plain.split(/\/|%2F|%5C/).filter((part) => /^\.\.?(;|$)/.test(part))).toEqual([])
        expect(() => decodeURIComponent(plain)).not.toThrow()
      }),
      { numRuns: 1000 },
    )
  })
})
