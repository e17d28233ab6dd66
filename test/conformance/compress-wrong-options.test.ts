import { compress, createCompressor } from '@sluice/compress'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'

const upstreams = { x: 'http://127.0.0.1:9' }

const wrong: [string, object][] = [
  ['encodings', { encodings: ['lzma'] }],
  ['encodings', { encodings: [] }],
  ['encodings', { encodings: ['gzip', 'gzip'] }],
  ['encodings', { encodings: 'gzip' }],
  ['threshold', { threshold: '1 tb' }],
  ['threshold', { threshold: -1 }],
  ['level', { level: 'best' }],
  ['level.gzip', { level: { gzip: 10 } }],
  ['level.gzip', { level: { gzip: 0 } }],
  ['level.br', { level: { br: 4.5 } }],
  ['level.zstd', { level: { zstd: 20 } }],
  ['level.lzma', { level: { lzma: 1 } }],
  ['types', { types: ['text/html'] }],
  ['etag', { etag: 'strong' }],
  ['unacceptable', { unacceptable: 415 }],
  ['best', { best: 0 }],
  ['best', { best: 'yes' }],
  ['encoding', { encoding: ['br'] }],
]

describe('a wrong option of compression', () => {
  const takes = (path: string) =>
    expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(path) })

  it.each(wrong)('is told by its path: %s', (name, options) => {
    expect(() => compress(options)).toThrow(takes(`compress.${name}`))
    expect(() => createCompressor(options, 'mine')).toThrow(takes(`mine.${name}`))
    expect(() => createProxy({ upstreams, compress: options })).toThrow(takes(`compress.${name}`))
    const routes = [
      { path: '/a', upstream: 'x' },
      { upstream: 'x', compress: options },
    ]
    expect(() => createProxy({ upstreams, routes })).toThrow(takes(`routes[1].compress.${name}`))
  })

  it.each([['yes'], [1], [null], [[]]])('is told where it is none: %j', (options) => {
    expect(() => createProxy({ upstreams, compress: options as never })).toThrow(takes('compress'))
  })

  it('says what it takes', () => {
    expect(() => createProxy({ upstreams, compress: { level: { gzip: 10 } } })).toThrow(
      'compress.level.gzip: got 10, takes a whole number from 1 to 9',
    )
  })

  it.each([['etag', 'suffix'] as const, ['unacceptable', 406] as const])(
    'is also that a route would do otherwise than the proxy what is done before it is known: %s',
    (name, value) => {
      const routes = [{ upstream: 'x', compress: { [name]: value } as object }]
      expect(() => createProxy({ upstreams, routes, compress: true })).toThrow(
        takes(`routes[0].compress.${name}`),
      )
    },
  )
})
