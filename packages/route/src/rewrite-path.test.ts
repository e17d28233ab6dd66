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
  [{ strip: '/%3Aid' }, '/:id/x', '/x', '/%3Aid'],
  [{ strip: '/api', prefix: '/v1/' }, '/api/x', '/v1/x', '/api'],
  [{ replace: [/^\/u\/(\d+)$/g, '/user?id=$1'] }, '/u/7?a=1', '/user?id=7&a=1', ''],
  [{ replace: [/^\/u\/(\d+)$/, '/user?id=$1'] }, '/u/7#a=1', '/user?id=7', ''],
  [{ query: { remove: ['a'] } }, '/x?a=1&b=%zz&c', '/x?c', ''],
  [{ strip: '/api' }, '*', '*', ''],
])('%j: %s goes out as %s', (options, path, sent, stripped) => {
  expect(run(rewritePath(options), path, 2)).toEqual([sent, stripped])
})

it.each(['a b', '#', 'x\r\n', '\0', 'é', '€', '$1 ', '$<é>'])(
  'refuses a replacement that makes no request-target: %j',
  (text) => {
    expect(() => rewritePath({ replace: [/x/, text] })).toThrow('rewrite.replace[1]: got')
  },
)

it('has no layer where all is preserved', () => {
  const end = () => 0
  for (const options of [undefined, 'preserve', {}, { dotSegments: 'preserve' }] as const)
    expect((pathPolicy(options) as unknown as (next: unknown) => unknown)(end)).toBe(end)
})

it('refuses wrong options, and paths that break a rule', () => {
  expect(() => rewritePath({ replace: [/(a+)+$/, ''] })).toThrow('rewrite.replace[0]')
  expect(() => rewritePath({ strip: '/users/:id' })).toThrow(
    "rewrite.strip: got '/users/:id', takes a path without parameters",
  )
  expect(() => pathPolicy({ dotSegments: 'x' as never })).toThrow('paths.dotSegments')
  expect(() => run(pathPolicy('reject'), '/a/..')).toThrow(
    expect.objectContaining({ code: 'http_request_error' }),
  )
})

it('is not got past by asking again after a fault', () => {
  const ctx = { out: { method: 'GET', path: `/${'x'.repeat(4_096)}` } }
  const handler = (
    rewritePath({ replace: [/x/, 'y'] }) as unknown as (next: () => number) => (ctx: unknown) => unknown
  )(() => 0)
  for (let i = 0; i < 2; i++)
    expect(() => handler(ctx)).toThrow(expect.objectContaining({ code: 'http_request_error' }))
})
