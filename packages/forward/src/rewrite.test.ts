import { type Context, ProxyError } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { parse } from '@sluice/options'
import { describe, expect, it } from 'vitest'
import { forward, type RewriteOptions, rewriteOptions } from './index.js'
import { compileRewrite } from './rewrite.js'

const target = { origin: 'http://10.0.0.1:3000', base: '/app' }

/** A context as far as rewriting reads it. */
function context(more: object = {}): Context {
  return { req: {}, scheme: 'http', authority: 'site.example', ...more } as unknown as Context
}

function answered(options: RewriteOptions, list: HeaderList, ctx = context(), calledAs?: string): HeaderList {
  compileRewrite(options, calledAs).response?.(list, ctx, target)
  return list
}

const location = ['Location', 'http://10.0.0.1:3000/app/x']

describe('where a client finds the target', () => {
  it.each<[object, string]>([
    [{}, 'http://site.example/x'],
    [{ scheme: 'https' }, 'https://site.example/x'],
    [{ client: { scheme: 'https' } }, 'https://site.example/x'],
    [{ req: { baseUrl: '/api' } }, 'http://site.example/api/x'],
    [{ req: { baseUrl: '/api/' } }, 'http://site.example/api/x'],
    [{ req: { baseUrl: '/api' }, stripped: '/v1' }, 'http://site.example/api/v1/x'],
    [{ client: { scheme: 'https', host: 'outer.example' } }, 'https://outer.example/x'],
    [{ client: { scheme: 'https', host: 'outer.example', port: 8443 } }, 'https://outer.example:8443/x'],
    [{ client: { scheme: 'https', host: 'outer.example', port: 443 } }, 'https://outer.example/x'],
    [{ client: { scheme: 'https', host: 'outer.example:81', port: 443 } }, 'https://outer.example:81/x'],
    [{ client: { scheme: 'http', host: 'outer.example', prefix: '/o' } }, 'http://outer.example/o/x'],
    [{ client: { scheme: 'http', prefix: '/o' } }, 'http://site.example/x'],
    // What has no form of a host, or of a path, counts for nothing.
    [{ client: { scheme: 'http', host: 'evil.example/x?' } }, 'http://site.example/x'],
    [{ client: { scheme: 'http', host: 'user@evil.example' } }, 'http://site.example/x'],
    [
      { client: { scheme: 'http', host: 'outer.example', prefix: '@evil.example' } },
      'http://outer.example/x',
    ],
    [{ client: { scheme: 'http', host: 'outer.example', prefix: '.evil' } }, 'http://outer.example/x'],
    [{ req: { baseUrl: '/a\r\nX: 1' } }, location[1] as string],
    [{ authority: '' }, location[1] as string],
    [{ authority: 'a b' }, location[1] as string],
  ])('%o: %s', (more, to) => {
    expect(answered({}, [...location], context(more))).toEqual(['Location', to])
  })
})

describe('rewriting', () => {
  it('has nothing for what is off', () => {
    expect(compileRewrite({ location: false })).toEqual({
      request: undefined,
      response: undefined,
      informed: undefined,
    })
    expect(compileRewrite({ location: false, cookies: {} }).response).toBeUndefined()
    expect(compileRewrite({}).request).toBeUndefined()
  })

  it('leaves fields of other names, whatever they hold', () => {
    const list = [
      'X-A',
      location[1] as string,
      'Locution',
      location[1] as string,
      'Set-Cookie',
      'a=b; Domain=c',
    ]
    expect(answered({}, [...list])).toEqual(list)
  })

  it('shows rules what it has made of URLs and cookies', () => {
    const seen: string[] = []
    const list = answered(
      {
        cookies: { domain: false },
        response: [{ remove: ['X-A'] }, (fields) => void seen.push(...fields)],
      },
      [...location, 'X-A', '1', 'Set-Cookie', 'a=b; Domain=c.example'],
    )
    expect(list).toEqual(['Location', 'http://site.example/x', 'Set-Cookie', 'a=b'])
    expect(seen).toEqual(list)
  })

  it('knows the target by the name that it is called by', () => {
    const list = ['Location', 'http://inner.example/app/x']
    expect(answered({}, [...list], context(), 'inner.example')).toEqual(['Location', 'http://site.example/x'])
    expect(answered({}, [...list])).toEqual(list)
  })

  it('isn’t upset by a name that makes no URL', () => {
    expect(answered({}, [...location], context(), 'a:b:c')).toEqual(['Location', 'http://site.example/x'])
    const url = ['Location', 'http:///app/x']
    expect(answered({}, [...url], context(), 'a:b:c')).toEqual(url)
  })

  it('changes URLs alone in informational answers', () => {
    const link = ['Link', '<http://10.0.0.1:3000/app/a.css>; rel=preload', 'Set-Cookie', 'a=b; Domain=c']
    const options: RewriteOptions = { response: { remove: ['Link'] }, cookies: { domain: false } }
    compileRewrite(options).informed?.(link, context(), target)
    expect(link).toEqual(['Link', '<http://site.example/a.css>; rel=preload', 'Set-Cookie', 'a=b; Domain=c'])
  })

  it('takes a function’s fields as they are, if HTTP knows them', () => {
    const { request } = compileRewrite({ request: (list) => void list.push('X-A', '', 'X-B', 'a\tb é') })
    const list = ['Host', 'a', 'TE', 'trailers', 'Content-Length', '3']
    request?.(list, context())
    expect(list).toEqual(['Host', 'a', 'TE', 'trailers', 'Content-Length', '3', 'X-A', '', 'X-B', 'a\tb é'])
  })

  it('doesn’t mind where a function puts what it may not change', () => {
    const { request } = compileRewrite({
      request: (list) =>
        void list
          .reverse()
          .reverse()
          .unshift(...list.splice(2)),
    })
    const list = ['Host', 'a', 'TE', 'trailers', 'Content-Length', '3']
    request?.(list, context())
    expect(list).toEqual(['TE', 'trailers', 'Content-Length', '3', 'Host', 'a'])
  })

  it('tells what a function threw', () => {
    const cause = new Error('oops')
    const { request } = compileRewrite({
      request: () => {
        throw cause
      },
    })
    try {
      request?.([], context())
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(ProxyError)
      expect(error).toMatchObject({ code: 'proxy_internal_error', status: 500, retryable: false, cause })
    }
  })
})

describe('options', () => {
  const check = (given: unknown): string[] => {
    try {
      parse(rewriteOptions, given, 'rewrite')
      return []
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError)
      return (error as Error).message.split('\n')
    }
  }

  it.each([
    'Content-Length',
    'transfer-encoding',
    'Connection',
    'UPGRADE',
    'TE',
    'Trailer',
    'Keep-Alive',
    'Proxy-Connection',
    'HTTP2-Settings',
  ])('refuse %s in every rule', (name) => {
    for (const of of ['request', 'response']) {
      for (const rule of ['set', 'append', 'default']) {
        expect(check({ [of]: { [rule]: { [name]: '1' } } })).toEqual([
          expect.stringMatching(
            `^rewrite\\.${of}\\.${rule}\\.${name}: got '${name}', takes the name of a field, and none that frames`,
          ),
        ])
      }
      for (const rule of ['remove', 'only']) {
        expect(check({ [of]: [{ [rule]: ['X-A', name] }] })).toEqual([
          expect.stringMatching(
            `^rewrite\\.${of}\\[0\\]\\.${rule}\\[1\\]: got '${name}', takes the name of a field`,
          ),
        ])
      }
    }
  })

  it.each(['', 'a b', 'a:', ':path', 'a\r\nb', 'é'])('refuse the name %j', (name) => {
    expect(check({ request: { set: { [name]: '1' } } }).join('\n')).toMatch('takes the name of a field')
    expect(check({ response: { remove: [name] } })[0]).toMatch('takes the name of a field')
  })

  it.each(['a\r\nX-B: 1', 'a\n', 'a\0', '\u0100', ' a', 'a\t', 1, null, ['a']])(
    'refuse the value %j',
    (value) => {
      for (const rule of ['set', 'append', 'default'])
        expect(check({ request: { [rule]: { 'X-A': value } } })).toEqual([
          expect.stringMatching(
            `^rewrite\\.request\\.${rule}\\.X-A: got .*, takes a text without line breaks`,
          ),
        ])
    },
  )

  it('refuse a second Host, one that is no host, and a name that stands there twice', () => {
    expect(check({ request: { append: { Host: 'a' } } })[0]).toMatch(
      /^rewrite\.request\.append\.Host: got 'a', takes no second/,
    )
    expect(check({ request: { set: { host: 'a, b' } } })[0]).toMatch(
      /^rewrite\.request\.set\.host: got 'a, b', takes a host/,
    )
    expect(check({ request: { set: { 'X-A': '1', 'x-a': '2' } } })[0]).toMatch(
      /^rewrite\.request\.set\.x-a: .* each name once/,
    )
    expect(
      check({
        request: { set: { Host: 'a.example:81' }, remove: ['Via'] },
        response: { set: { Host: 'x y' } },
      }),
    ).toEqual([])
  })

  it.each<[unknown, string]>([
    [{ requests: {} }, 'rewrite.requests: unknown option, did you mean request?'],
    [{ request: { sett: {} } }, 'rewrite.request.sett: unknown option, did you mean set?'],
    [{ request: 'x' }, "rewrite.request: got 'x', takes an object of rules, a function, or a list of both"],
    [{ request: [1] }, 'rewrite.request[0]: got 1, takes an object of rules, a function, or a list of both'],
    [{ location: true }, "rewrite.location: got true, takes 'origin', 'all' or false"],
    [
      { cookies: { domain: true } },
      "rewrite.cookies.domain: got true, takes a domain's name, or false, which takes the attribute away",
    ],
    [
      { cookies: { domain: 'a; Path=/' } },
      "rewrite.cookies.domain: got 'a; Path=/', takes a domain's name, or false, which takes the attribute away",
    ],
    [
      { cookies: { domain: { 'a b': 'x' } } },
      "rewrite.cookies.domain.a b: got 'a b', takes a domain's name, or '*'",
    ],
    [
      { cookies: { path: 'x' } },
      "rewrite.cookies.path: got 'x', takes a path that begins with '/', without blanks and semicolons",
    ],
    [
      { cookies: { path: { '/': '/;a' } } },
      "rewrite.cookies.path./: got '/;a', takes a path that begins with '/', without blanks and semicolons",
    ],
    [{ cookies: { secure: 'yes' } }, "rewrite.cookies.secure: got 'yes', takes true, false or 'auto'"],
    [
      { cookies: { sameSite: 'None' } },
      "rewrite.cookies.sameSite: got 'None', takes 'strict', 'lax', 'none' or false",
    ],
    [{ cookies: { httpOnly: 1 } }, 'rewrite.cookies.httpOnly: got 1, takes true or false'],
    [{ cookies: { httponly: true } }, 'rewrite.cookies.httponly: unknown option, did you mean httpOnly?'],
  ])('%o: %s', (given, says) => {
    expect(check(given)).toEqual([says])
  })

  it('tell all faults at once, and forward() throws them', () => {
    const rewrite = { request: { set: { TE: '1', 'X-A': '\n' } }, location: 1 }
    expect(check(rewrite)).toHaveLength(3)
    expect(() => forward({ rewrite } as never)).toThrow(TypeError)
    expect(() => forward({ rewrite } as never)).toThrow('rewrite.request.set.TE')
  })

  it('take what is right', () => {
    expect(
      check({
        request: [{ only: ['Accept'], set: { 'X-A': '' } }, () => {}],
        response: { append: { 'Set-Cookie': 'a=b' } },
        location: 'all',
        cookies: {
          domain: { '.inner.example': 'site.example', '*': false },
          path: { '/app': '/', '*': '/x' },
          secure: 'auto',
          httpOnly: true,
          sameSite: false,
          partitioned: false,
        },
      }),
    ).toEqual([])
  })
})
