import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRouter, rewritePath } from './index.js'

const taken = (pattern: string, path: string): boolean =>
  createRouter([{ match: { path: pattern }, value: true }])({
    method: 'GET',
    authority: 'h',
    path,
    headers: [],
  }) !== undefined

describe('another spelling of the same path', () => {
  it.each([
    ['/$metadata', '/%24metadata'],
    ['/%24metadata', '/$metadata'],
    ['/@scope/pkg', '/%40scope/pkg'],
    ['/v1/x:cancel', '/v1/x%3acancel'],
    ['/a\\b', '/a%5cb'],
    ['/a%3fb', '/a%3Fb'],
    ['/b%C3%BCro', '/b%c3%bcro'],
    ['/büro', '/b%C3%BCro'],
    ['/b%c3%bcro', '/b\xc3\xbcro'],
    ['/b%C3%BCro', '/b%c3\xbcro'],
    ['/€/😀', '/%e2%82%ac/%F0%9F%98%80'],
    ['/a%2fb', '/a%2Fb'],
    ['/a%00', '/a%00'],
    ['/a%7f', '/a%7F'],
  ])('%s takes %j', (pattern, path) => {
    expect(taken(pattern, path)).toBe(true)
    expect(taken(`=${pattern}`, path)).toBe(true)
  })

  it.each([
    ['/a/b', '/a%2fb'],
    ['/a%2Fb', '/a/b'],
    ['/a%2541', '/aA'],
    ['/aA', '/a%2541'],
    ['/a%255c', '/a%5c'],
    ['/bro', '/b%fcro'],
    ['/büro', '/b\xfcro'],
    ['/%3Aid', '/x'],
    ['/a%zz', '/a%ZZ'],
  ])('%s takes no %j, which is another path', (pattern, path) => {
    expect(taken(pattern, path)).toBe(false)
  })

  it('is found, whichever of its bytes are escaped', () => {
    const segment = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .map((text) => text.replace(/[/%?#\s:]/g, '_'))
    const way = fc.constantFrom('raw', 'upper', 'lower')
    fc.assert(
      fc.property(segment, fc.infiniteStream(way), (text, ways) => {
        const spelt = Array.from(Buffer.from(text), (byte) => {
          const escaped = `%${byte.toString(16).padStart(2, '0')}`
          const how = ways.next().value
          if (how === 'raw') return String.fromCharCode(byte)
          return how === 'upper' ? escaped.toUpperCase() : escaped
        }).join('')
        expect(taken(`/${text}`, `/${spelt}`)).toBe(true)
        expect(taken(`/${text}x`, `/${spelt}`)).toBe(false)
      }),
    )
  })
})

it.each([
  ['/b%C3%BCro', '/b%c3%bcro/x', '/x'],
  ['/@scope', '/%40scope/x', '/x'],
  ['/a%20b', '/a%20b', '/'],
  ['/a/b', '/a%2fb/x', '/a%2fb/x'],
])('strip %s makes %s of %s', (strip, path, sent) => {
  const ctx = { out: { method: 'GET', path } } as { out: { path: string }; stripped?: string }
  const layer = rewritePath({ strip }) as unknown as (next: () => number) => (ctx: unknown) => unknown
  layer(() => 0)(ctx)
  expect(ctx.out.path).toBe(sent)
  // Goes into fields, so it stays as it was written.
  expect(ctx.stripped).toBe(sent === path ? '' : strip)
})
