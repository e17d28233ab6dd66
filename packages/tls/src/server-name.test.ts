import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readServerName } from './index.js'
import { readCertificateName } from './server-name.js'

describe('readServerName()', () => {
  it.each([
    ['a.test', 'a.test'],
    ['WwW.A.Test', 'www.a.test'],
    ['a.test.', 'a.test'],
    ['localhost', 'localhost'],
    ['_acme.a-b.test', '_acme.a-b.test'],
    ['b\u00fccher.test', 'xn--bcher-kva.test'],
    ['B\u00dcCHER.TEST.', 'xn--bcher-kva.test'],
    ['xn--bcher-kva.test', 'xn--bcher-kva.test'],
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['2001:DB8::A', '2001:db8:0:0:0:0:0:a'],
    [`${'a'.repeat(63)}.test`, `${'a'.repeat(63)}.test`],
    [`${'a.'.repeat(126)}a`, `${'a.'.repeat(126)}a`],
    [`${'a.'.repeat(126)}a.`, `${'a.'.repeat(126)}a`],
  ])('reads %s', (given, name) => {
    expect(readServerName(given)).toBe(name)
  })

  it.each([
    '',
    '.',
    '..',
    '.a.test',
    'a..test',
    'a.test..',
    '*.a.test',
    'a b.test',
    'a.test\0',
    'a.test\n',
    'a/b',
    'a.test:443',
    '[::1]',
    'fe80::1%eth0',
    'a\u0000b',
    '\u00ad',
    `${'a'.repeat(64)}.test`,
    'a.'.repeat(128),
    `${'a.'.repeat(126)}aa`,
    '\u00fc'.repeat(254),
    '__proto__.'.repeat(30),
  ])('refuses %j', (given) => {
    expect(readServerName(given)).toBeUndefined()
  })

  it('gives what it takes for the same, and is held to the letter by another reading', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'Z', '0', '-', '_', '.', '*', ' ', '\u00fc', ':', 'aaaaaaaaaaaaaaaa'),
      maxLength: 40,
    })
    fc.assert(
      fc.property(text, (given) => {
        const read = readServerName(given)
        if (read !== undefined) expect(readServerName(read)).toBe(read)
        if (/[^\0-\x7f]|:/.test(given)) return
        const labels = (given.endsWith('.') ? given.slice(0, -1) : given).toLowerCase().split('.')
        const allowed = new Set('abcdefghijklmnopqrstuvwxyz0123456789-_')
        const good = labels.every(
          (label) => label.length > 0 && label.length < 64 && Array.from(label).every((c) => allowed.has(c)),
        )
        expect(read).toBe(good && labels.join('.').length < 254 ? labels.join('.') : undefined)
      }),
    )
  })
})

describe('readCertificateName()', () => {
  it.each([
    ['*.A.test', '*.a.test'],
    ['*.test', '*.test'],
    ['a.test', 'a.test'],
    ['*', undefined],
    ['*.', undefined],
    ['f*.a.test', undefined],
    ['*.*.test', undefined],
    ['*.127.0.0.1', undefined],
    ['*.::1', undefined],
  ])('reads %s', (given, name) => {
    expect(readCertificateName(given)).toBe(name)
  })
})
