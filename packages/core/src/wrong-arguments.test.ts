import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { runInNewContext } from 'node:vm'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { replyFault } from './check-reply.js'
import {
  attach,
  chain,
  fromConnect,
  fromListener,
  toBody,
  toConnect,
  toListener,
  toUpgradeListener,
} from './index.js'

trapUnhandled()

const answer = () => ({ status: 200, headers: [], body: null })
const none: unknown[] = [undefined, null, {}, { handler: answer }, 'x']

/** Asks a server with this listener once. */
async function askOnce(listener: RequestListener): Promise<void> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)).text()
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

describe('a chain', () => {
  it.each<[name: string, layer: unknown, got: string]>([
    ['nothing', undefined, 'got undefined'],
    ['an object', {}, 'got object'],
    ['one that gives nothing', () => {}, 'got a function that gives undefined'],
    ['an async one', async () => answer, 'got a function that gives object'],
    ['one that rejects', async (next: () => void) => next(), 'got a function that gives object'],
    [
      'one of Koa',
      async (_ctx: unknown, next: () => unknown) => next(),
      'got a function of several arguments',
    ],
    [
      'one of Connect',
      (_req: unknown, _res: unknown, next: () => void) => next(),
      'got a function of several arguments',
    ],
  ])('refuses %s by its place', (_name, layer, got) => {
    const make = () =>
      chain()
        .use((next) => next)
        .use(layer as never)
        .handle(answer)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(`layer 2 of the chain: ${got}, takes a layer, (next) => (ctx) => reply`)
    expect(make).toThrow('fromConnect()')
  })

  it('lets through what a layer throws as it is linked', () => {
    const wrong = new RangeError('its own')
    const make = () =>
      chain()
        .use(() => {
          throw wrong
        })
        .handle(answer)
    expect(make).toThrow(wrong)
  })

  it.each([
    ['a spread', (ctx: object) => ({ ...ctx })],
    ['what Object.assign makes', (ctx: object) => Object.assign({}, ctx)],
  ])('tells what to do instead of %s, which no layer further in could use', async (_name, copy) => {
    let told: unknown
    const handler = chain()
      .use((next) => async (ctx) => {
        try {
          return await next(ctx)
        } catch (error) {
          told = error
          return { status: 500, headers: [], body: null }
        }
      })
      .use((next) => (ctx) => next(copy(ctx) as never))
      .handle((ctx) => {
        ctx.onClose(() => {})
        return answer()
      })
    await askOnce(toListener(handler))
    expect(told).toEqual(
      new TypeError(
        'a layer has called next() with a copy of its context, as { ...ctx } is: it takes the context itself, with keys assigned to it, or ctx.fork() for a further attempt',
      ),
    )
  })

  it('tells a server that was given a handler what it takes', async () => {
    let told: unknown
    const handler = chain().handle(answer) as unknown as (req: IncomingMessage) => unknown
    await askOnce((req, res) => {
      try {
        handler(req)
      } catch (error) {
        told = error
      }
      res.end()
    })
    expect(told).toEqual(
      new TypeError(
        'the handler of a chain was called with a request: it takes a context; a server or an app takes toListener(handler), and of a proxy its listener',
      ),
    )
  })

  it.each(none)('refuses %o for a handler', (wrong) => {
    expect(() => chain().handle(wrong as never)).toThrow('handle(): got ')
  })
})

describe.each([
  ['toListener', toListener],
  ['toUpgradeListener', toUpgradeListener],
  ['toConnect', toConnect],
  ['fromConnect', fromConnect],
  ['fromListener', fromListener],
])('%s', (name, make) => {
  it.each(none)('refuses %o', (wrong) => {
    expect(() => make(wrong as never)).toThrow(TypeError)
    expect(() => make(wrong as never)).toThrow(`${name}: got `)
  })
})

it('fromConnect refuses what Express calls with an error: it would take the request for one', () => {
  const handlesErrors = (_error: unknown, _req: unknown, _res: unknown, next: () => void) => next()
  expect(() => fromConnect(handlesErrors as never)).toThrow(
    new TypeError(
      'fromConnect: got a function of four arguments, takes a middleware, (req, res, next): errors go to onError()',
    ),
  )
})

describe('what a reply is made of', () => {
  it.each<[unknown, string]>([
    [undefined, 'undefined is no body: that is text, bytes, a Node stream, null or a Body'],
    [{ a: 1 }, 'an object is no body: that is'],
    [new ArrayBuffer(3), 'an object is no body: that is'],
    [new Response('x').body, 'a Body; Readable.fromWeb(it) is one'],
  ])('%o is told to be no body', (wrong, says) => {
    expect(() => toBody(wrong as never)).toThrow(expect.objectContaining({ code: 'proxy_internal_error' }))
    expect(() => toBody(wrong as never)).toThrow(says)
  })

  it('a stream of another realm is a body: test runners give apps an Object of their own', () => {
    const stream = runInNewContext('({ on() { return this }, once() { return this } })')
    expect(toBody(stream)).toMatchObject({ pipe: expect.any(Function) })
  })

  it.each<[object, string]>([
    [{ status: '200', headers: [], body: null }, 'a reply with the status "200"'],
    [{ status: 200, headers: { a: 'b' }, body: null }, "such as ['Content-Type', 'text/plain']"],
    [{ status: 200, body: null }, "such as ['Content-Type', 'text/plain']"],
  ])('%o is told to be no reply', (wrong, says) => {
    expect(replyFault(wrong as never)).toContain(says)
  })
})

describe('attach', () => {
  it.each([undefined, null, '/api', () => {}, express(), new EventEmitter()])(
    'refuses %# for a server',
    (wrong) => {
      expect(() => attach(wrong as never, answer)).toThrow(
        new TypeError('attach: takes a server, such as createServer(app) gives'),
      )
    },
  )

  it.each(none)('refuses %o for a handler', (wrong) => {
    expect(() => attach(createServer(), wrong as never)).toThrow('attach: got ')
  })

  it.each([
    ['/api', "attach: got '/api', takes { path }"],
    [null, 'attach: got null, takes { path }'],
    [['/api'], "attach: got [ '/api' ], takes { path }"],
    [{ prefix: '/api' }, 'attach.prefix: unknown option'],
    [
      { path: '/api/*' },
      "attach.path: got '/api/*', takes a path that begins with '/' and has no '*', such as '/api': it and all below it",
    ],
    [
      { path: 'api' },
      "attach.path: got 'api', takes a path that begins with '/' and has no '*', such as '/api'",
    ],
    [{ path: '/a?b' }, 'attach.path: got'],
    [{ path: 5 }, 'attach.path: got 5'],
  ])('refuses %j for options, and leaves the server as it was', (wrong, says) => {
    const server = createServer()
    expect(() => attach(server, answer, wrong as never)).toThrow(TypeError)
    expect(() => attach(server, answer, wrong as never)).toThrow(says)
    expect(server.eventNames()).toEqual(createServer().eventNames())
  })

  it.each([undefined, {}, { path: undefined }, { path: '' }, { path: '/' }, { path: '/x/' }])(
    'takes %j',
    (options) => {
      attach(createServer(), answer, options as never)()
    },
  )
})
