import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  append,
  cleanAddress,
  get,
  getAll,
  groupByName,
  has,
  isFieldName,
  isFieldValue,
  joinPath,
  judgeFraming,
  parseAuthority,
  parseRequestTarget,
  remove,
  set,
  walkForwardedFor,
  withoutHopByHop,
} from './index.js'

describe('the header list', () => {
  it('finds by name whatever the case, and keeps the rest as it was', () => {
    const list = ['Host', 'a', 'X-Many', '1', 'x-many', '2']
    expect([get(list, 'host'), getAll(list, 'x-many'), has(list, 'none')]).toEqual(['a', ['1', '2'], false])
    expect(set([...list], 'X-MANY', '3')).toEqual(['Host', 'a', 'X-MANY', '3'])
    expect(set([...list], 'New', '4')).toEqual([...list, 'New', '4'])
    expect(remove([...list], 'X-many')).toEqual(['Host', 'a'])
    expect(append([...list], 'X-Many', '3')).toEqual([...list, 'X-Many', '3'])
  })

  it('groups repeated fields under the first name', () => {
    expect(groupByName(['Set-Cookie', 'a', 'X', '1', 'set-cookie', 'b', 'SET-COOKIE', 'c'])).toEqual([
      ['Set-Cookie', ['a', 'b', 'c']],
      ['X', '1'],
    ])
  })
})

describe('withoutHopByHop', () => {
  it.each([
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Transfer-Encoding',
    'Upgrade',
    'TE',
    'Proxy-Authenticate',
    'Proxy-Authorization',
    'Proxy-Authentication-Info',
    'Proxy-Features',
    'Proxy-Instruction',
    'Security-Scheme',
    'ALPN',
    'Close',
    'HTTP2-Settings',
  ])('removes %s', (name) => {
    expect(withoutHopByHop(['A', '1', name, 'x', name.toLowerCase(), 'y', 'B', '2'])).toEqual([
      'A',
      '1',
      'B',
      '2',
    ])
  })

  it('removes what Connection names: lists, several lines, empty members, both ways', () => {
    const raw = [
      'Connection',
      'X-One, ,close',
      'X-One',
      '1',
      'x-two',
      '2',
      'connection',
      'X-TWO',
      'Stay',
      '3',
      'Connection',
      '',
    ]
    const before = [...raw]
    expect(withoutHopByHop(raw)).toEqual(['Stay', '3'])
    expect(withoutHopByHop(raw, { response: true })).toEqual(['Stay', '3'])
    expect(raw).toEqual(before)
  })

  it('lets nobody name away what makes the message what it is', () => {
    const raw = [
      'Connection',
      'Host, Content-Length, Via',
      'Host',
      'a',
      'Content-Length',
      '3',
      'Via',
      '1.1 x',
    ]
    expect(withoutHopByHop(raw)).toEqual(raw.slice(2))
  })

  it('keeps TE only as trailers, Upgrade-Insecure-Requests always, Alt-Svc of requests', () => {
    expect(withoutHopByHop(['te', 'gzip, trailers;q=0.5'])).toEqual(['TE', 'trailers'])
    expect(withoutHopByHop(['Upgrade-Insecure-Requests', '1'])).toEqual(['Upgrade-Insecure-Requests', '1'])
    expect(withoutHopByHop(['Alt-Svc', 'h2=":1"'], { response: true })).toEqual([])
  })

  it('drops pseudo fields and joins cookie crumbs when told', () => {
    const raw = [':method', 'GET', 'cookie', 'a=1', 'x', '1', 'cookie', 'b=2']
    expect(withoutHopByHop(raw, { joinCookies: true })).toEqual(['cookie', 'a=1; b=2', 'x', '1'])
  })

  it('never makes up a field, and never changes one that it keeps', () => {
    const field = fc.tuple(
      fc.constantFrom('Connection', 'X-A', 'X-B', 'Upgrade', 'Host', 'Cookie'),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const raw = fields.flat()
        const out = withoutHopByHop(raw)
        const pairs = fields.map(String)
        for (let i = 0; i < out.length; i += 2) expect(pairs).toContain(`${out[i]},${out[i + 1]}`)
        expect(has(out, 'connection') || has(out, 'upgrade')).toBe(false)
      }),
    )
  })
})

describe('judgeFraming', () => {
  const judge = (raw: string[], httpVersion: '1.0' | '1.1' | '2.0' = '1.1') =>
    judgeFraming(raw, { httpVersion, method: 'POST' })

  it.each<[string, string[], ('1.0' | '1.1' | '2.0')?]>([
    ['length with coding', ['Content-Length', '3', 'Transfer-Encoding', 'chunked']],
    ['coding with length', ['transfer-encoding', 'chunked', 'content-length', '3']],
    ['two lengths that differ', ['Content-Length', '3', 'Content-Length', '4']],
    ['two lengths alike', ['Content-Length', '3', 'content-length', '3']],
    ['a list of lengths', ['Content-Length', '3, 3']],
    ['a signed length', ['Content-Length', '+3']],
    ['a length in hex', ['Content-Length', '0x3']],
    ['a length beyond numbers', ['Content-Length', '9'.repeat(20)]],
    ['an empty length', ['Content-Length', '']],
    ['another coding', ['Transfer-Encoding', 'gzip, chunked']],
    ['chunked twice', ['Transfer-Encoding', 'chunked, chunked']],
    ['chunked on two lines', ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
    ['a coding on HTTP/1.0', ['Transfer-Encoding', 'chunked'], '1.0'],
    ['a coding on HTTP/2', ['transfer-encoding', 'chunked'], '2.0'],
    ['two hosts', ['Host', 'a', 'host', 'a']],
  ])('refuses %s', (_name, raw, version) => {
    expect(judge(raw, version)).toMatchObject({ ok: false })
  })

  it('tells the bodies that are there', () => {
    expect(judge([])).toEqual({ ok: true, body: 'none' })
    expect(judge(['Content-Length', '12'])).toEqual({ ok: true, body: 'length', length: 12 })
    expect(judge(['Transfer-Encoding', 'Chunked'])).toEqual({ ok: true, body: 'chunked' })
    expect(judge([], '2.0')).toEqual({ ok: true, body: 'stream' })
    expect(judgeFraming([], { httpVersion: '2.0', method: 'GET', endStream: true })).toEqual({
      ok: true,
      body: 'none',
    })
  })
})

describe('request targets', () => {
  it.each([
    ['/a//b/%2F?x=%zz;y#z', { form: 'origin', path: '/a//b/%2F?x=%zz;y#z' }],
    ['//evil/x', { form: 'origin', path: '//evil/x' }],
    ['http://evil:8/x?y', { form: 'absolute', authority: 'evil:8', path: '/x?y' }],
    ['HTTP://evil', { form: 'absolute', authority: 'evil', path: '/' }],
    ['http://evil?x', { form: 'absolute', authority: 'evil', path: '/?x' }],
    ['*', { form: 'asterisk', path: '*' }],
    ['host:443', { form: 'authority', authority: 'host:443', path: '/' }],
  ])('%s', (target, parts) => {
    expect(parseRequestTarget(target)).toEqual(parts)
  })

  it.each([
    ['', '/x', '/x'],
    ['/', '/x', '/x'],
    ['/base', '/x', '/base/x'],
    ['/base/', '/x', '/base/x'],
    ['/base%2F', '//x%2F', '/base%2F//x%2F'],
  ])('joins %j and %j at the seam', (base, path, joined) => {
    expect(joinPath(base, path)).toBe(joined)
  })

  it('keeps every byte of an origin-form path', () => {
    fc.assert(
      fc.property(fc.string(), (rest) => {
        expect(parseRequestTarget(`/${rest}`).path).toBe(`/${rest}`)
        expect(joinPath('/base', `/${rest}`)).toBe(`/base/${rest}`)
      }),
    )
  })
})

it.each([
  ['Example.com', { host: 'example.com' }],
  ['a:80', { host: 'a', port: 80 }],
  ['[::1]:8', { host: '[::1]', port: 8 }],
  ['a:', { host: 'a' }],
  ['user@a', undefined],
  ['a/b', undefined],
  ['a, b', undefined],
  ['a b', undefined],
  ['a:99999', undefined],
  ['', undefined],
])('authority %j', (value, parts) => {
  expect(parseAuthority(value)).toEqual(parts)
})

describe('X-Forwarded-For', () => {
  const proxies = (address: string): boolean => address.startsWith('10.')

  it.each([
    ['1.1.1.1', '9.9.9.9', '9.9.9.9', []],
    ['1.1.1.1', '10.0.0.1', '1.1.1.1', ['1.1.1.1']],
    ['6.6.6.6, 1.1.1.1, 10.0.0.2', '10.0.0.1', '1.1.1.1', ['1.1.1.1', '10.0.0.2']],
    ['10.0.0.3,10.0.0.2', '10.0.0.1', '10.0.0.3', ['10.0.0.3', '10.0.0.2']],
    ['1.1.1.1, nonsense', '10.0.0.1', '10.0.0.1', []],
    ['', '10.0.0.1', '10.0.0.1', []],
    ['"[::FFFF:1.1.1.1]:80"', '10.0.0.1', '1.1.1.1', ['1.1.1.1']],
  ])('%j by way of %s', (value, peer, address, believed) => {
    expect(walkForwardedFor(value, peer, proxies)).toEqual({ address, believed })
  })

  it('looks at a bounded number of entries', () => {
    const { believed } = walkForwardedFor('10.0.0.1,'.repeat(50_000), '10.0.0.1', proxies)
    expect(believed.length).toBeLessThanOrEqual(10_000)
  })

  it('is total', () => {
    fc.assert(fc.property(fc.string(), (value) => void walkForwardedFor(value, '10.0.0.1', () => true)))
  })

  it.each([
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::ffff:a00:5', '10.0.0.5'],
    ['[0:0:0:0:0:FFFF:7f00:0001]:80', '127.0.0.1'],
    ['0:0::ffff:1.2.3.4', '1.2.3.4'],
    ['1::ffff:a00:5', '1::ffff:a00:5'],
    ['fe80::1%eth0', 'fe80::1'],
    ['1.2.3.4:99', '1.2.3.4'],
    ['[2001:DB8::1]:99', '2001:db8::1'],
    ['unknown', undefined],
    ['[::12', undefined],
    ['[::1]x', undefined],
  ])('cleans %s', (text, address) => {
    expect(cleanAddress(text)).toBe(address)
  })
})

it('knows names and values that a field may have', () => {
  expect(['a-B_c!', '', 'a b', 'a:', 'é'].map(isFieldName)).toEqual([true, false, false, false, false])
  expect(['a\tb', '', 'caf\u00e9', 'a\r\nb: c', 'a\u0000', '\u20ac'].map(isFieldValue)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ])
})
