import { expect, it } from 'vitest'
import { pathPolicy, type RewritePathOptions, rewritePath } from './index.js'

const run = (layer: unknown, path: string, times = 1) => {
  const ctx = { out: { method: 'GET', path } } as { out: { path: string }; stripped?: string }
  const handler = (layer as (next: () => number) => (ctx: unknown) => unknown)(() => 0)
  for (let i = 0; i < times; i++) handler(ctx)
  return [ctx.out.path, ctx.stripped]
}

it.each<[RewritePathOptions, string, string, string]>([
  [{ strip: '/api' }, '/api', '/', '/api'],
  [{ strip: '/api/' }, '/api/x?y', '/x?y', '/api'],
  [{ strip: '/api' }, '/api?x', '/?x', '/api'],
  [{ strip: '/api' }, '/apix', '/apix', ''],
  [{ strip: '/api' }, '/%61pi/a%2Fb', '/a%2Fb', '/api'],
  [{ strip: '/api' }, '/api//10.0.0.1/', '/10.0.0.1/', '/api'],
  // To those who resolve URLs as browsers do it is `//10.0.0.1`.
  [{ strip: '/api' }, '/api/\\10.0.0.1/', '/10.0.0.1/', '/api'],
  [{ replace: [/^\/go/, ''] }, '/go/\\/x', '/x', ''],
  [{ strip: '/api' }, '/api/api/x', '/api/x', '/api'],
  [{ strip: '/api', prefix: '/v1/' }, '/api/x', '/v1/x', '/api'],
  [{ replace: [/^\/u\/(\d+)$/g, '/user?id=$1'] }, '/u/7?a=1', '/user?id=7&a=1', ''],
  [{ replace: [/^\/u\/(\d+)$/, '/user?id=$1'] }, '/u/7#a=1', '/user?id=7', ''],
  [{ query: { remove: ['a'] } }, '/x?a=1&b=%zz&c', '/x?c', ''],
  [{ strip: '/api' }, '*', '*', ''],
])('%j: %s goes out as %s', (options, path, sent, stripped) => {
  expect(run(rewritePath(options), path, 2)).toEqual([sent, stripped])
})

it('fails where a replacement is no request-target, and refuses wrong options', () => {
  expect(() => run(rewritePath({ replace: [/x/, 'a b'] }), '/x')).toThrow(
    expect.objectContaining({ code: 'proxy_internal_error' }),
  )
  expect(() => rewritePath({ replace: [/(a+)+$/, ''] })).toThrow('rewrite.replace[0]')
  expect(() => pathPolicy({ dotSegments: 'x' as never })).toThrow('paths.dotSegments')
  expect(() => run(pathPolicy('reject'), '/a/..')).toThrow(
    expect.objectContaining({ code: 'http_request_error' }),
  )
})

it('is not got past by asking again after a fault', () => {
  const ctx = { out: { method: 'GET', path: '/x' } }
  const handler = (
    rewritePath({ replace: [/x/, 'a b'] }) as unknown as (next: () => number) => (ctx: unknown) => unknown
  )(() => 0)
  expect(() => handler(ctx)).toThrow()
  expect(() => handler(ctx)).toThrow()
})
