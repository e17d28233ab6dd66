import { createServer } from 'node:http'
import { acme } from '@sluice/acme'
import { type Client, type Context, clientAddress, type Handler, type Layer } from '@sluice/core'
import { forward } from '@sluice/forward'
import { clientCertificate, hsts, ocspStapler, redirectToHttps, serverTls } from '@sluice/tls'
import { createUpstream } from '@sluice/upstream'
import express from 'express'
import { createProxy, type ProxyOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { leakCheck } from '../kit/leak-check.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const a = 'http://127.0.0.1:3000'
const b = 'http://127.0.0.1:3001'

/** Runs what must throw, and gives its message. */
function fault(make: () => unknown): string {
  try {
    make()
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message
  }
  throw new Error('it was accepted')
}

const options = (wrong: unknown): string => fault(() => createProxy(wrong as ProxyOptions))
const upstream = (wrong: object): string => options({ upstreams: { api: { targets: [a], ...wrong } } })

describe('targets that are none', () => {
  it.each([
    ['no URL', 'nonsense', /http/],
    ['a host without a scheme', 'localhost:3000', /http:\/\/localhost:3000/],
    ['a scheme that is not spoken', 'ftp://127.0.0.1/', /http/],
    ['userinfo', 'http://user:secret@127.0.0.1:3000', /userinfo|user|credential/i],
    ['a query', 'http://127.0.0.1:3000/?x=1', /query/],
    ['a fragment', 'http://127.0.0.1:3000/#x', /fragment/],
    ['an empty string', '', /./],
    ['a port beyond all ports', 'http://127.0.0.1:99999', /./],
  ])('%s: one error at construction', (_name, target, says) => {
    const messages = [
      fault(() => createProxy(target)),
      fault(() => createProxy([a, target])),
      options({ upstreams: { api: target } }),
      options({ upstreams: { api: { targets: [a, { url: target }] } } }),
      fault(() => createUpstream({ name: 'api', targets: [target] })),
    ]
    for (const message of messages) {
      expect(message).toMatch(says)
      // Passwords don't go to logs.
      expect(message).not.toContain('secret')
    }
    expect(messages[2]).toMatch(/upstreams\.api/)
    expect(messages[3]).toMatch(/upstreams\.api\S*\[1\]/)
  })

  it('a URL object is told that its text is taken, without its password', () => {
    const url = new URL('http://user:secret@127.0.0.1:3000') as never
    for (const [path, message] of [
      ['options', fault(() => createProxy(url))],
      ['createProxy.targets[0]', fault(() => createProxy([url]))],
      ['upstreams.api', options({ upstreams: { api: url } })],
      ['upstreams.api.targets[0].url', options({ upstreams: { api: { targets: [{ url }] } } })],
    ] as const) {
      expect(message.startsWith(`${path}: got `)).toBe(true)
      expect(message).toMatch(/^[^\n]*takes [^\n]*text[^\n]*url\.href$/)
      expect(message).not.toContain('secret')
    }
  })

  it.each([
    [undefined],
    [null],
    [5],
    [true],
    [() => {}],
    [[]],
    [{}],
    [{ upstreams: {} }],
    [{ upstreams: null }],
  ])('createProxy(%j) is refused', (wrong) => {
    expect(fault(() => createProxy(wrong as never))).not.toBe('')
  })

  it('an empty list is told by its path', () => {
    expect(options({ upstreams: { api: [] } })).toMatch(/upstreams\.api/)
    expect(options({ upstreams: { api: { targets: [] } } })).toMatch(/upstreams\.api/)
  })

  it.each([
    ['the same URL twice', [a, a]],
    ['the same URL written otherwise', ['http://127.0.0.1:80', 'HTTP://127.0.0.1/']],
    [
      'the same id',
      [
        { url: a, id: 'x' },
        { url: b, id: 'x' },
      ],
    ],
  ])('%s is told by its path', (_name, targets) => {
    expect(options({ upstreams: { api: { targets } } })).toMatch(/upstreams\.api\S*\[1\]/)
  })

  it.each([
    ['weight', 0],
    ['weight', -1],
    ['weight', 'much'],
    ['priority', 'first'],
    ['wieght', 1],
  ])('a target with %s: %j is told by its path', (name, wrong) => {
    expect(options({ upstreams: { api: { targets: [{ url: a, [name]: wrong }] } } })).toMatch(
      new RegExp(`upstreams\\.api\\S*\\[0\\]\\.${name}`),
    )
  })
})

describe('layers that are none', () => {
  const connect = (_req: unknown, _res: unknown, next: () => void) => next()
  const silent = () => {}
  const rejects = async (next: () => void) => next()

  it.each([
    ['of Connect', connect, /got \[Function: connect\], takes a layer, .*fromConnect\(\)/],
    ['that gives nothing', silent, /got a function that gives undefined, takes a layer/],
    ['that is async', rejects, /got a function that gives object, takes a layer/],
  ])('one %s is told by its path', (_name, wrong, says) => {
    const good = (next: unknown) => next
    for (const [path, given] of [
      ['use[1]', { upstreams: { a }, use: [good, wrong] }],
      ['routes[0].use[0]', { upstreams: { a }, routes: [{ upstream: 'a', use: [wrong] }] }],
    ] as const) {
      const message = options(given)
      expect(message.startsWith(`${path}: `)).toBe(true)
      expect(message).toMatch(says)
    }
  })
})

describe('layers that leave a reply to itself', () => {
  const soon = () => new Promise((resolve) => setTimeout(resolve, 20))

  it.each<[string, number, Layer<Context & Client>]>([
    [
      'one that waits for something else first',
      502,
      (next) => async (ctx) => {
        const reply = next(ctx)
        await soon()
        return reply
      },
    ],
    [
      'one that throws meanwhile',
      500,
      (next) => async (ctx) => {
        void next(ctx)
        throw new Error('of the app')
      },
    ],
    ['one without a return', 500, ((next: Handler) => (ctx: Context) => void next(ctx)) as never],
    [
      'one with an answer of its own',
      200,
      (next) => (ctx) => {
        void next(ctx)
        return { status: 200, headers: [], body: 'own' }
      },
    ],
  ])('%s ends no process, whatever becomes of it', async (_name, status, layer) => {
    const refuses = 'http://127.0.0.1:1'
    for (const options of [
      { upstreams: { refuses }, use: [layer] },
      { upstreams: { refuses }, routes: [{ upstream: 'refuses', use: [layer] }] },
    ]) {
      const proxy = own(createProxy(options))
      const { port } = await proxy.listen()
      expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(status)
      await soon()
    }
  })
})

describe('what a proxy can not be attached to', () => {
  it('an app is no server, and a path stands in options', async () => {
    const proxy = own(createProxy(a))
    const attach = proxy.attach as (...given: unknown[]) => void
    expect(fault(() => attach.call(proxy, express()))).toMatch(
      /attach: takes a server, .*createServer\(app\)/,
    )
    expect(fault(() => attach.call(proxy, createServer(), '/api'))).toMatch(
      /attach: got '\/api', takes \{ path \}/,
    )
    // What is told of servers later must not fail either.
    expect(fault(() => attach.call(proxy, '/api'))).toMatch(/attach: takes a server/)
    await new Promise(setImmediate)
  })
})

describe('options that are wrong', () => {
  it.each([
    ['an unknown option', { upstreams: { api: a }, upstraems: {} }, /upstraems.*unknown.*upstreams/is],
    [
      'an unknown option of an upstream',
      { upstreams: { api: { targets: [a], targts: [] } } },
      /upstreams\.api\.targts.*unknown/is,
    ],
    ['an option whose time has not come', { upstreams: { api: a }, observe: true }, /observe.*unknown/is],
    [
      'another of those',
      { upstreams: { api: { targets: [a], http3: true } } },
      /upstreams\.api\.http3.*unknown/is,
    ],
    [
      'an unknown option deep down',
      { upstreams: { api: { targets: [a], health: { pth: '/' } } } },
      /upstreams\.api\.health\.pth.*unknown/is,
    ],
    [
      'a duration that is none',
      { upstreams: { api: a }, timeouts: { head: 'soon' } },
      /timeouts\.head.*soon/is,
    ],
    ['a negative duration', { upstreams: { api: a }, timeouts: { head: -1 } }, /timeouts\.head/],
    ['a duration without its unit', { upstreams: { api: a }, timeouts: { head: '5' } }, /timeouts\.head/],
    ['an unknown timeout', { upstreams: { api: a }, timeouts: { hed: 5 } }, /timeouts\.hed.*unknown/is],
    [
      'an unknown policy',
      { upstreams: { api: { targets: [a], balance: 'fastest' } } },
      /upstreams\.api\.balance.*fastest.*round-robin/is,
    ],
    [
      'tries that are none',
      { upstreams: { api: { targets: [a], retry: { attempts: 0 } } } },
      /upstreams\.api\.retry\.attempts/,
    ],
    [
      'a method that is none',
      { upstreams: { api: { targets: [a], retry: { methods: ['GET POST'] } } } },
      /retry\.methods/,
    ],
    ['a range that is none', { upstreams: { api: a }, trust: ['10.0.0.0/33'] }, /trust\S*.*10\.0\.0\.0\/33/s],
    [
      'a Host policy that is none',
      { upstreams: { api: { targets: [a], host: 'mine' } } },
      /upstreams\.api\.host.*mine/s,
    ],
    [
      'a Host with a line break',
      { upstreams: { api: { targets: [a], host: { fixed: 'a\r\nb' } } } },
      /upstreams\.api\.host/,
    ],
    ['a pseudonym with a comma', { upstreams: { api: a }, via: 'a, b' }, /via/],
    ['a layer that is no function', { upstreams: { api: a }, use: [{}] }, /use/],
    ['onError that is no function', { upstreams: { api: a }, onError: 'log' }, /onError/],
    [
      'connections below 0',
      { upstreams: { api: { targets: [a], connections: -1 } } },
      /upstreams\.api\.connections/,
    ],
    [
      'routes to nowhere',
      { upstreams: { api: a }, routes: [{ path: '/', upstream: 'apj' }] },
      /routes\[0\]\.upstream.*apj.*api/s,
    ],
    ['several upstreams without routes', { upstreams: { api: a, web: b } }, /routes/],
    [
      'a route without an upstream',
      { upstreams: { api: a }, routes: [{ path: '/' }] },
      /routes\[0\]\.upstream/,
    ],
    [
      'a path without a slash',
      { upstreams: { api: a }, routes: [{ path: 'x', upstream: 'api' }] },
      /routes\[0\]\.path/,
    ],
    [
      'an unknown option of a route',
      { upstreams: { api: a }, routes: [{ pth: '/x', upstream: 'api' }] },
      /routes\[0\]\.pth.*unknown/is,
    ],
  ])('%s: named by its path, with what it got and takes', (_name, wrong, says) => {
    expect(options(wrong)).toMatch(says)
  })

  it('several are told at once', () => {
    const message = upstream({ balance: 'fastest', connections: 'many', retry: { attempts: 0 } })
    for (const path of ['balance', 'connections', 'retry.attempts'])
      expect(message).toContain(`upstreams.api.${path}`)
  })

  it('of forward() likewise', () => {
    expect(fault(() => forward({ timeouts: { head: 'soon' } as never }))).toMatch(/timeouts\.head.*soon/s)
    expect(fault(() => forward({ timeoust: {} } as never))).toMatch(/timeoust.*unknown/is)
    expect(fault(() => forward({ host: 'mine' as never }))).toMatch(/host/)
  })

  it.each<[string, (given: never) => unknown]>([
    ['acme', acme],
    ['clientAddress', clientAddress],
    ['clientCertificate', clientCertificate],
    ['hsts', hsts],
    ['ocspStapler', ocspStapler],
    ['redirectToHttps', redirectToHttps],
    ['serverTls', serverTls],
  ])('of %s() are told by its name: in a chain there are many', (name, make) => {
    for (const wrong of [7, { none: 1 }])
      for (const line of fault(() => make(wrong as never)).split('\n'))
        expect(line.startsWith(`${name}: `) || line.startsWith(`${name}.`)).toBe(true)
  })

  it('of close(), listen() and attach() likewise', async () => {
    const proxy = own(createProxy(a))
    await expect(async () => proxy.close({ drain: 'soon' as never })).rejects.toThrow(/drain.*soon/s)
    const takes = "takes a port and a host, as in listen(8080, '0.0.0.0')"
    await expect(proxy.listen({ port: 0 } as never)).rejects.toThrow(`listen: got { port: 0 }, ${takes}`)
    await expect(proxy.listen(0, (() => {}) as never)).rejects.toThrow(takes)
    await expect(proxy.listen(0, 511 as never)).rejects.toThrow(`listen: got 511, ${takes}`)
    for (const [given, says] of [
      [5_000, 'close: got 5000, takes { drain }'],
      ['5s', "close: got '5s', takes { drain }"],
      [null, 'close: got null, takes { drain }'],
      [{ drian: '5s' }, 'close.drian: unknown option, did you mean drain?'],
    ])
      await expect(async () => proxy.close(given as never)).rejects.toThrow(new TypeError(says as string))
    expect(await proxy.listen()).toMatchObject({ address: '127.0.0.1' }) // none of these has closed it
    const { createServer } = await import('node:http')
    expect(fault(() => proxy.attach(createServer(), { path: 'api' }))).toMatch(/path.*api/s)
  })
})

describe('what is constructed', () => {
  it('opens nothing: no connection, no timer that holds the process, no listener', async () => {
    const leaks = leakCheck()
    const origin = await originServer()
    const proxy = createProxy({ upstreams: { api: { targets: [origin.url], health: { path: '/' } } } })
    expect(origin.connections).toBeLessThanOrEqual(1)
    await proxy.close()
    await origin.close()
    await leaks.settled()
  })

  it('goes on after a refused change of its targets', async () => {
    const origin = own(await originServer())
    const proxy = own(createProxy(origin.url))
    const group = proxy.upstreams.get('default')
    expect(fault(() => group?.replace([a, a]))).toMatch(/./)
    expect(fault(() => group?.replace(['nonsense']))).toMatch(/./)
    expect(group?.all.map(({ url }) => new URL(url).port)).toEqual([String(origin.port)])
  })
})
