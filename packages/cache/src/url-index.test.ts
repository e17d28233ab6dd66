import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Keyed, UrlIndex } from './url-index.js'

const urls = ['http://a/', 'http://a/x', 'http://a/x y']
/** More than are remembered. */
const ends = ['', ' y', ...Array.from({ length: 150 }, (_, i) => ` s=${i}`)]

describe('UrlIndex', () => {
  it('finds all that is held of a URL, whatever its keys are', () => {
    const one = fc.record({
      url: fc.constantFrom(...urls),
      end: fc.constantFrom(...ends),
      start: fc.constantFrom('', '', '', 'GET '),
      gone: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(one, { maxLength: 300, size: 'max' }), (steps) => {
        const held = new Map<string, Keyed>()
        const index = new UrlIndex((key) => held.get(key))
        for (const { end, gone, start, url } of steps) {
          const key = start + url + end
          const old = held.get(key)
          if (old !== undefined) {
            held.delete(key)
            index.remove(old)
          }
          if (gone) continue
          const value = { key, url }
          held.set(key, value)
          index.add(value)
        }
        for (const url of urls) {
          const found = new Set(index.of(url))
          for (const value of held.values()) if (value.url === url) expect(found).toContain(value)
          for (const value of found) expect(held.get(value.key)).toBe(value)
        }
        index.clear()
      }),
    )
  })
})
