import { expect, it } from 'vitest'
import { anchorsOf } from './anchors.js'

it('are those that GitHub makes of headings', () => {
  const page = [
    '# A page',
    '## What is refused, and by which name',
    "## A server's TLS",
    '## `rewrite` of [fields](x.md#y) **too**',
    '## snake_case - über #',
    '```sh',
    '# no heading',
    '~~~',
    '```',
    '## A page',
    '####### none',
    '#none',
    '### A page',
  ]
  expect(anchorsOf(page.join('\n'))).toEqual([
    'a-page',
    'what-is-refused-and-by-which-name',
    'a-servers-tls',
    'rewrite-of-fields-too',
    'snake_case---über',
    'a-page-1',
    'a-page-2',
  ])
})
