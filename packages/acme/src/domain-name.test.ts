import { expect, it } from 'vitest'
import { domainName, wildcardOf } from './domain-name.js'

it.each([
  ['a.test', 'a.test'],
  ['A.Test.', 'a.test'],
  ['*.a.test', '*.a.test'],
  ['*.A.test.', '*.a.test'],
  ['bücher.test', 'xn--bcher-kva.test'],
  ['localhost', 'localhost'],
  ['1.a.test', '1.a.test'],
])('%j is the name %j', (text, name) => expect(domainName(text)).toBe(name))

it.each([
  ...['', '.', '*', '*.', '*.test.*', 'a.*.test', '*a.test', '*.*.test'],
  ...['a..test', '-a.test', 'a-.test', `${'a'.repeat(64)}.test`, `${'a.'.repeat(127)}test`],
  ...['127.0.0.1', '0x7f.1', '1.2.3', 'a.1', '::1', '[::1]'],
  ...[
    'a.test:443',
    'http://a.test',
    'a.test/x',
    'a_b.test',
    'a b.test',
    'a%2e.test',
    'a@b.test',
    '../a.test',
  ],
  ...['a\0.test', 'a.test\n', 'a.tes\u200bt/'],
])('%j is no name', (text) => expect(domainName(text)).toBeUndefined())

it('knows the wildcard over a name', () => {
  expect(wildcardOf('x.a.test')).toBe('*.a.test')
  expect(wildcardOf('localhost')).toBeUndefined()
})
