import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFieldValue, type LocationMap, mapLocation } from './index.js'

const plain: LocationMap = {
  from: ['http://10.0.0.1:3000'],
  base: '',
  scheme: 'https',
  authority: 'site.example',
  prefix: '',
  all: false,
}
const mounted: LocationMap = { ...plain, base: '/app', prefix: '/api' }

describe('a URL that names the target', () => {
  it.each([
    ['http://10.0.0.1:3000', 'https://site.example'],
    ['http://10.0.0.1:3000/', 'https://site.example/'],
    ['HTTP://10.0.0.1:3000/a?b#c', 'https://site.example/a?b#c'],
    ['http://10.0.0.1:3000?b', 'https://site.example?b'],
    ['http://10.0.0.1:3000#c', 'https://site.example#c'],
    ['http://10.0.0.1:03000/x', 'https://site.example/x'],
    ['http://0xa.0.0.1:3000/x', 'https://site.example/x'],
    ['//10.0.0.1:3000/x', '//site.example/x'],
    ['http://user:secret@10.0.0.1:3000/x', 'https://site.example/x'],
    ['http://a@b@10.0.0.1:3000/x', 'https://site.example/x'],
    ['http://10.0.0.1:3000/%2F//./a/../%e4', 'https://site.example/%2F//./a/../%e4'],
    ['http://10.0.0.1:3000/../x', 'https://site.example/../x'],
  ])('%s becomes %s', (url, to) => {
    expect(mapLocation(url, plain)).toBe(to)
  })

  it.each([
    ['http://target.example', 'http://TARGET.example:80/x'],
    ['http://target.example', 'http://target.example./x'],
    ['http://target.example', 'http://target.example:/x'],
    ['https://target.example', 'https://target.example:443/x'],
    ['http://[::1]:8080', 'http://[0:0:0:0:0:0:0:1]:8080/x'],
    ['http://xn--mnchen-3ya.example', 'http://m\u00fcnchen.example/x'],
  ])('is found by its name %s in %s', (from, url) => {
    expect(mapLocation(url, { ...plain, from: [from] })).toBe('https://site.example/x')
  })

  it.each([
    ['http://10.0.0.1:3000/app', 'https://site.example/api'],
    ['http://10.0.0.1:3000/app/', 'https://site.example/api/'],
    ['http://10.0.0.1:3000/app/x', 'https://site.example/api/x'],
    ['http://10.0.0.1:3000/app?q', 'https://site.example/api?q'],
    ['//10.0.0.1:3000/app/x', '//site.example/api/x'],
  ])('with a base path and a mount: %s becomes %s', (url, to) => {
    expect(mapLocation(url, mounted)).toBe(to)
  })
})

describe('any other URL stays byte for byte', () => {
  it.each([
    '',
    '/x',
    'x',
    '?x',
    '#x',
    '../x',
    'https://10.0.0.1:3000/x',
    'http://10.0.0.1/x',
    'http://10.0.0.1:3001/x',
    'http://10.0.0.1:3000.evil.example/x',
    'http://10.0.0.1:3000@evil.example/x',
    'http://evil.example/http://10.0.0.1:3000/',
    'http://evil.example\\@10.0.0.1:3000/x',
    'http://10.0.0.1:3000\\x',
    'http:/10.0.0.1:3000/x',
    'http:///10.0.0.1:3000/x',
    'http:10.0.0.1:3000',
    'ftp://10.0.0.1:3000/x',
    'http://10.0.0.1:3000 /x',
    'http://10.0.0.1:99999/x',
    'http://[/x',
    '//evil.example/x',
    '///10.0.0.1:3000/x',
    'javascript:alert(1)',
  ])('%s', (url) => {
    expect(mapLocation(url, plain)).toBe(url)
    if (!url.startsWith('/') || url.startsWith('//'))
      expect(mapLocation(url, { ...plain, all: true })).toBe(url)
  })

  it.each([
    'http://10.0.0.1:3000',
    'http://10.0.0.1:3000/',
    'http://10.0.0.1:3000/apple',
    'http://10.0.0.1:3000/APP/x',
    'http://10.0.0.1:3000/app/../x',
    'http://10.0.0.1:3000/app/a/../../x',
    // Of a URL in a Refresh browsers drop the blanks at its end.
    'http://10.0.0.1:3000/app/.. ',
    'http://10.0.0.1:3000/app/%2E./x',
    'http://10.0.0.1:3000/app/..\\x',
    'http://10.0.0.1:3000/app/.\t./x',
  ])('%s, which is outside the base path', (url) => {
    expect(mapLocation(url, mounted)).toBe(url)
  })

  it('where nobody knows what the client has asked for', () => {
    const map = { ...plain, authority: '' }
    expect(mapLocation('http://10.0.0.1:3000/x', map)).toBe('http://10.0.0.1:3000/x')
  })

  it('where a prefix would make the value none', () => {
    const map = { ...plain, prefix: '/a\r\nSet-Cookie: a=b' }
    expect(mapLocation('http://10.0.0.1:3000/x', map)).toBe('http://10.0.0.1:3000/x')
  })
})

describe('with all', () => {
  const all = { ...mounted, all: true }

  it.each([
    ['/app', '/api'],
    ['/app/x?q#f', '/api/x?q#f'],
    ['/app?q', '/api?q'],
    ['/apple', '/apple'],
    ['/', '/'],
    ['/app/../x', '/app/../x'],
    ['x', 'x'],
  ])('the path %s becomes %s', (url, to) => {
    expect(mapLocation(url, all)).toBe(to)
  })

  it.each([
    ['/app', '/'],
    ['/app?q', '/?q'],
    ['/app/x', '/x'],
    // Without scheme and authority each would lead a browser to evil.example.
    ['/app//evil.example', 'https://site.example//evil.example'],
    ['/app/\\evil.example', 'https://site.example/\\evil.example'],
    ['/app/\t/evil.example', 'https://site.example/\t/evil.example'],
  ])('and no prefix %s becomes %s', (url, to) => {
    expect(mapLocation(url, { ...all, prefix: '' })).toBe(to)
  })

  it('a prefix of two slashes names no host', () => {
    const map = { ...all, prefix: '//evil.example' }
    expect(mapLocation('/app/x', map)).toBe('https://site.example//evil.example/x')
  })
})

describe('whatever it is given', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'http://',
      'https:',
      '//',
      '10.0.0.1',
      ':3000',
      '@',
      '/app',
      '/',
      '\\',
      '..',
      '.',
      '%2e',
      '?',
      '#',
      '\t',
      ' ',
      'evil.example',
      'user:pw',
    ),
    fc.string({ maxLength: 4 }),
  )
  const url = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(''))
  const map = fc.record({
    from: fc.constant(['http://10.0.0.1:3000']),
    base: fc.constantFrom('', '/app', `${'/'.repeat(2)}a`),
    scheme: fc.constantFrom('http', 'https'),
    authority: fc.constantFrom('site.example', 'site.example:81', '[::1]:8080', ''),
    prefix: fc.constantFrom('', '/api', '//evil.example', '/\\evil.example'),
    all: fc.boolean(),
  })

  it('a URL leads where it led, or to the client’s authority', () => {
    fc.assert(
      fc.property(url, map, (value, to) => {
        const mapped = mapLocation(value, to)
        if (mapped === value) return
        const target = resolved(value, 'http://10.0.0.1:3000/app/page')
        const site = `${to.scheme}://${to.authority === '' ? 'nobody.example' : to.authority}`
        const client = resolved(mapped, `${site}/api/page`)
        expect(target?.origin).toBe('http://10.0.0.1:3000')
        expect(client?.host).toBe(new URL(site).host)
        expect([client?.username, client?.password]).toEqual(['', ''])
        expect([client?.search, client?.hash]).toEqual([target?.search, target?.hash])
        if (isFieldValue(value)) expect(isFieldValue(mapped)).toBe(true)
      }),
    )
  })
})

function resolved(url: string, base: string): URL | undefined {
  try {
    return new URL(url, base)
  } catch {
    return undefined
  }
}
