import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type JudgedRequest, requestJudge } from './request-judge.js'
import { requestRules } from './request-rules.js'
import { singleField } from './single-fields.js'
import { looksOwned, withoutUnderscored } from './underscored-names.js'
import type { ValidateOptions } from './validate-options.js'

function request(
  given: { method?: string; url?: string; path?: string; host?: string; headers?: readonly string[] } = {},
): JudgedRequest {
  const { method = 'GET', url = '/', path = url, host = 'a.example', headers = [] } = given
  return { req: { rawHeaders: ['Host', host, ...headers], url }, out: { method, path }, authority: host }
}

const rule = (given: Parameters<typeof request>[0], options: ValidateOptions = {}): string => {
  const judged = requestJudge(options)(request(given))
  return judged.ok ? (judged.drop ? 'drop' : 'ok') : judged.rule
}

describe('requestJudge', () => {
  it.each<[Parameters<typeof request>[0], string, ValidateOptions?]>([
    [{}, 'ok'],
    [{ url: `/${'a'.repeat(9)}` }, 'ok', { maxUrl: 10 }],
    [{ url: `/${'a'.repeat(10)}` }, 'target-length', { maxUrl: 10 }],
    [{ url: '/?a&b;c' }, 'ok', { maxQueryParameters: 3 }],
    [{ url: '/;;;?a&b;c&d' }, 'query-parameters', { maxQueryParameters: 3 }],
    [{ url: '/;;;;;' }, 'ok', { maxQueryParameters: 3 }],
    [{ url: '/?a?b&c' }, 'ok', { maxQueryParameters: 2 }],
    [{ headers: ['A', 'b', 'C', 'd'] }, 'ok', { maxHeaders: 3 }],
    [{ headers: ['A', 'b', 'C', 'd', 'E', 'f'] }, 'header-count', { maxHeaders: 3 }],
    [
      { headers: ['Cookie', 'a=b', 'cookie', 'c=d', 'COOKIE', 'e=f'] },
      'ok',
      { maxHeaders: 2, maxCookies: 3 },
    ],
    [{ headers: ['Cookie', 'a=b', 'cookie', 'c=d;e'] }, 'cookie-count', { maxCookies: 2 }],
    // Host and its value have 13 bytes.
    [{ headers: ['A', 'b'] }, 'ok', { maxHeaderBytes: 15 }],
    [{ headers: ['A', 'bc'] }, 'header-size', { maxHeaderBytes: 15 }],
    [{ headers: [':path', '/'.repeat(99)] }, 'ok', { maxHeaderBytes: 15, maxHeaders: 1 }],
    [{ headers: ['A', ''] }, 'ok'],
    [{ headers: ['A', '\x7f'] }, 'header-bytes'],
    [{ headers: ['A', 'b\r\nC: d'] }, 'header-bytes'],
    [{ headers: ['A', 'ä\t '] }, 'ok'],
    [{ headers: ['A', '\u0100'] }, 'header-bytes'],
    [{ headers: ['A B', 'c'] }, 'header-name'],
    [{ headers: ['', 'c'] }, 'header-name'],
    [{ headers: ['', ''] }, 'header-name'],
    [{ headers: [' ', ''] }, 'header-name'],
    [{ headers: ['A_B', 'c'] }, 'ok'],
    [{ headers: ['A_B', 'c'] }, 'drop', { underscores: 'drop' }],
    [{ headers: ['A_B', 'c'] }, 'header-underscore', { underscores: 'reject' }],
    [{ headers: ['X-Forwarded_For', 'c'] }, 'drop'],
    [{ headers: ['X.Forwarded.For', 'c'] }, 'drop', { underscores: 'reject' }],
    [{ headers: ['X-Forwarded-For', 'c', 'A.b', 'c'] }, 'ok', { underscores: 'reject' }],
    [{ headers: ['A.b', 'c'] }, 'ok', { underscores: 'drop' }],
    [{ headers: ['Content-Type', 'a/b', 'CONTENT-TYPE', 'a/b'] }, 'header-repeated'],
    [{ headers: ['Accept', 'a/b', 'Accept', 'a/b'] }, 'ok'],
    [{ method: 'get' }, 'method-case'],
    [{ method: 'Post' }, 'method-case'],
    [{ method: 'purge-all' }, 'ok'],
    [{ method: 'CONNECT', url: 'a:1', path: 'a:1', host: 'a:1' }, 'connect'],
    [{ method: 'CONNECT', url: 'a:1', path: 'a:1', host: 'a:1' }, 'ok', { connect: 'pass' }],
    [{ method: 'OPTIONS', url: '*' }, 'ok'],
    [{ url: 'http://A.example/', path: '/' }, 'ok'],
    [{ url: 'http://a.example:80/', path: '/' }, 'ok'],
    [{ url: 'https://a.example:443?x', path: '/?x' }, 'ok'],
    [{ url: 'https://a.example:80/', path: '/' }, 'target-differs'],
    [{ url: 'http://b.example/', path: '/' }, 'target-differs'],
    [{ url: 'http://b.example/', path: '/' }, 'ok', { absoluteTarget: 'use-target' }],
    [{ url: 'ws://a.example/', path: '/' }, 'target-scheme'],
    [{ url: '/http://b.example/' }, 'ok'],
    [{ url: '/%2500' }, 'ok'],
    [{ url: '/%00' }, 'path-nul'],
    [{ url: '/%c0%80' }, 'path-nul'],
    [{ url: '/%E0%80%80' }, 'path-nul'],
    [{ url: '/%c0%8d' }, 'path-line-break'],
    [{ url: '/%e0%80%8A' }, 'path-line-break'],
    [{ url: '/%e0%80%81%e0%a0%80%c3%80' }, 'ok'],
    [{ url: '/%0A' }, 'path-line-break'],
    [{ url: '/?%00%0a\\' }, 'ok'],
    [{ url: '/a?b#c' }, 'target-fragment'],
    [{ url: '/\x7f' }, 'target-bytes'],
    [{ url: '/ä' }, 'target-bytes'],
    [{ url: '/?ä' }, 'target-bytes'],
    [{ url: '/..' }, 'ok'],
    [{ url: '/..' }, 'path-dot-segment', { dotSegments: 'reject' }],
    [{ url: '/.%ff' }, 'path-encoding', { dotSegments: 'reject' }],
    [{ url: '/x?../..' }, 'ok', { dotSegments: 'reject' }],
    [{ host: '' }, 'ok'],
    [{ host: 'a:65535' }, 'ok'],
    [{ host: 'a:65536' }, 'host-port'],
    [{ host: '[::1]:1' }, 'ok'],
    [{ host: '[::1::]' }, 'host-invalid'],
    [{ host: '[1.2.3.4]' }, 'host-invalid'],
    [{ host: 'a%2e' }, 'host-invalid'],
    [{ host: '' }, 'host-denied', { hosts: ['a'] }],
    [{ host: '[::1]:1' }, 'ok', { hosts: ['[::1]'] }],
    [{ host: 'A.:1' }, 'ok', { hosts: ['a'] }],
    [{ host: 'b' }, 'host-denied', { hosts: ['a'] }],
    [{ host: '.b' }, 'host-denied', { hosts: ['*.b'] }],
    [{ host: 'x.b' }, 'ok', { hosts: ['*.B'] }],
  ])('%j: %s', (given, expected, options) => expect(rule(given, options)).toBe(expected))

  it('judges each request by itself, whoever came before', () => {
    const judge = requestJudge({ hosts: ['a'] })
    const hosts = ['a', 'a', 'b', 'a', 'b', 'b', 'a']
    expect(hosts.map((host) => judge(request({ host })).ok)).toEqual(hosts.map((host) => host === 'a'))
  })

  it('judges fields as if it had never seen any', () => {
    // Few of few lengths: most of them meet in one place.
    const name = fc.constantFrom('A', 'B', 'A_B', 'Range', 'Cookie', 'x_real_ip', 'A:', '', 'Q'.repeat(33))
    const value = fc.constantFrom('', 'a', 'b', 'ba', 'a\nb', '\x00', 'a;b', 'x'.repeat(257))
    const list = fc.array(fc.tuple(name, value), { maxLength: 4 }).map((fields) => fields.flat())
    const options = fc.constantFrom<ValidateOptions>(
      {},
      { underscores: 'drop', maxHeaders: 3 },
      { underscores: 'reject', maxHeaderBytes: 20, maxCookies: 2 },
    )
    fc.assert(
      fc.property(options, fc.array(list, { maxLength: 20 }), (given, lists) => {
        const judge = requestJudge(given)
        for (const headers of lists)
          expect(judge(request({ headers }))).toEqual(requestJudge(given)(request({ headers })))
      }),
    )
  })

  it('never throws, and edits nothing', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 })
    const judge = requestJudge({ dotSegments: 'reject', hosts: ['*.a'], underscores: 'reject' })
    const mild = requestJudge()
    fc.assert(
      fc.property(
        text,
        text,
        text,
        text,
        fc.array(fc.tuple(text, text)),
        (method, url, path, host, fields) => {
          const given = request({ method, url, path, host, headers: fields.flat() })
          const before = JSON.stringify(given)
          for (const each of [judge, mild]) {
            const judged = each(given)
            if (!judged.ok) expect(Object.keys(requestRules)).toContain(judged.rule)
          }
          expect(JSON.stringify(given)).toBe(before)
        },
      ),
    )
  })

  it('what it lets through is visible ASCII, names of fields and values of fields', () => {
    const char = fc.integer({ min: 0, max: 0x1ff }).map((code) => String.fromCharCode(code))
    const odd = fc.oneof(fc.string({ unit: char, maxLength: 6 }), fc.string({ maxLength: 6 }))
    const judge = requestJudge()
    fc.assert(
      fc.property(odd, odd, odd, (tail, name, value) => {
        if (!judge(request({ url: `/${tail}`, headers: [name, value] })).ok) return
        expect(tail).toMatch(/^[\x21\x22\x24-\x7e]*$/)
        expect(name).toMatch(/^(?::.*|[!#$%&'*+.^`|~\w-]+)$/s)
        if (name[0] !== ':') expect(value).toMatch(/^[\t\x20-\x7e\x80-\xff]*$/)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('names with an underscore', () => {
  it.each([
    'x_forwarded_for',
    'X_FORWARDED-HOST',
    'content_length',
    'Transfer_Encoding',
    'x_real_ip',
    'x.real~ip',
    'Remote_User',
    'client_cert_chain',
    'proxy_authorization',
  ])('%s looks like a field that is owned', (name) => expect(looksOwned(name)).toBe(true))

  it.each(['x_own', 'x.own', 'X-Forwarded-For', 'x_forwarded', 'user_agent', 'my_content_length', '_'])(
    '%s does not',
    (name) => expect(looksOwned(name)).toBe(false),
  )

  it('only they go, and the others keep their order', () => {
    const list = [
      'A',
      '1',
      'b_c',
      '2',
      'Content_Length',
      '3',
      'D.e',
      '4',
      'x.real.ip',
      '5',
      'Content-Length',
      '6',
    ]
    expect(withoutUnderscored(list, false)).toEqual(['A', '1', 'b_c', '2', 'D.e', '4', 'Content-Length', '6'])
    expect(withoutUnderscored(list, true)).toEqual(['A', '1', 'D.e', '4', 'Content-Length', '6'])
    expect(list).toHaveLength(12)
  })
})

it('fields of one value are told by name alone, each by a bit of its own', () => {
  const names = [
    'range',
    'origin',
    'if-range',
    'content-type',
    'max-forwards',
    'authorization',
    'content-range',
  ]
  const bits = names.map((name) => singleField(name.toUpperCase()))
  expect(new Set(bits).size).toBe(names.length)
  for (const bit of bits) expect([bit > 0, bit & (bit - 1)]).toEqual([true, 0])
  for (const name of ['ranger', 'cookie', 'accept', 'xange', 'content-typo', 'mange', '', '\x12ange'])
    expect(singleField(name), name).toBe(0)
})

describe('options', () => {
  it.each<[unknown, RegExp]>([
    [3, /^validate: got 3, takes \{ absoluteTarget, underscores, /],
    [{ maxUrls: 3 }, /^validate\.maxUrls: unknown option, did you mean maxUrl\?$/],
    [{ maxUrl: -1 }, /^validate\.maxUrl: got -1, takes bytes or a text/],
    [{ maxHeaders: 1.5 }, /^validate\.maxHeaders: got 1\.5, takes a whole number, 0 or more$/],
    [{ underscores: 'ignore' }, /^validate\.underscores: got 'ignore', takes 'pass', 'drop', 'reject'$/],
    [{ methods: [] }, /^validate\.methods: got \[\], takes at least one$/],
    [{ methods: ['get'] }, /^validate\.methods\[0\]: got 'get', takes a method such as 'GET', in capitals$/],
    [{ hosts: ['a', 'http://b'] }, /^validate\.hosts\[1\]: got 'http:\/\/b', takes a host such as/],
    [{ hosts: 'a' }, /^validate\.hosts: got 'a', takes a list/],
    [{ maxUrl: true, backslash: 'no' }, /^validate\.\w+: .*\nvalidate\.\w+: /],
  ])('%j is refused by its path', (options, says) => {
    expect(() => requestJudge(options as ValidateOptions)).toThrow(says)
    expect(() => requestJudge(options as ValidateOptions)).toThrow(TypeError)
  })

  it('stand where their user has written them', () => {
    expect(() => requestJudge({ maxUrl: true as never }, 'guard.validate')).toThrow(
      /^guard\.validate\.maxUrl: /,
    )
  })
})

it('every rule stands in the table of the README, with its status', () => {
  const page = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  for (const rule of Object.keys(requestRules)) expect(page).toContain(`| \`${rule}\` |`)
})
