import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LocationMap, mapRefresh } from './index.js'

const map: LocationMap = {
  from: ['http://t:1'],
  base: '',
  scheme: 'https',
  authority: 'site.example',
  prefix: '',
  all: true,
}

describe('Refresh', () => {
  it.each([
    ['0; url=http://t:1/a', '0; url=https://site.example/a'],
    ['5;URL = "http://t:1/a" rest', '5;URL = "https://site.example/a" rest'],
    ["0.5, url='http://t:1/a", "0.5, url='https://site.example/a"],
    ['0 http://t:1/a?b=1;c', '0 https://site.example/a?b=1;c'],
    ['1;//t:1', '1;//site.example'],
  ])('%s becomes %s', (value, to) => {
    expect(mapRefresh(value, map)).toBe(to)
  })

  it.each([
    '',
    '5',
    '5;',
    '5; url=',
    '0; url=http://o/',
    'http://t:1/a',
    'url=http://t:1/',
    'x; url=http://t:1/',
  ])('%s stays as it is', (value) => {
    expect(mapRefresh(value, map)).toBe(value)
  })

  it('is not broken by a quote in a path', () => {
    const value = '0; url="http://t:1/a"'
    expect(mapRefresh(value, { ...map, prefix: '/x" ' })).toBe(value)
  })

  it('keeps its time and what is around the URL', () => {
    const head = fc.constantFrom('0;', '10 ; ', '1.5,url=', '3; URL = ')
    const quote = fc.constantFrom('', '"', "'")
    fc.assert(
      fc.property(head, quote, fc.webPath(), (start, mark, path) => {
        if (mark !== '' && path.includes(mark)) return
        expect(mapRefresh(`${start}${mark}http://t:1${path}${mark}`, map)).toBe(
          `${start}${mark}https://site.example${path}${mark}`,
        )
      }),
    )
  })
})
