import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import express from 'express'
import { describe, expect, it, vi } from 'vitest'
import { testCertificate } from '../../../test/kit/certificate.js'
import { mountNamed } from '../../../test/kit/mounts.js'
import { owner } from '../../../test/kit/owner.js'
import { rawClient, rawRequest, value, values } from '../../../test/kit/raw-request.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { discard, fromListener, type Handler, PushBody, type Reply, toListener } from './index.js'

trapUnhandled()
const own = owner()

class Source extends PushBody {
  readonly stopped = deferred()
  give(text: string): void {
    this.push(Buffer.from(text))
  }
  break(): void {
    this.fail(new Error('broken'))
  }
  protected resume(): void {}
  protected stop(): void {
    this.stopped.resolve()
  }
}

async function listening<S extends Server>(server: S): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({
    close: () => {
      server.close()
      ;(server as Server & { closeAllConnections?(): void }).closeAllConnections?.()
    },
  })
  return (server.address() as AddressInfo).port
}

const serve = (handler: Handler): Promise<number> => listening(createServer(toListener(handler)))

const get = (path = '/', version = '1.1', method = 'GET'): string =>
  `${method} ${path} HTTP/${version}\r\nHost: a\r\n\r\n`

async function answer(port: number, request = get(), methods?: string[]) {
  const client = own(await rawClient(port))
  client.write(request)
  return (await client.responses(1, methods))[0] as Awaited<ReturnType<typeof client.responses>>[0]
}

describe('the length that a reply announces', () => {
  it.each<[string, Reply['body']]>([
    ['shorter text', 'ab'],
    ['longer text', 'abcdefgh'],
    ['no body', null],
  ])('is not that of %s: an error page, not a client that waits or reads on', async (_name, body) => {
    const port = await serve(() => ({ status: 200, headers: ['Content-Length', '5'], body }))
    const { status, body: page } = await answer(port)
    expect([status, page.toString()]).toEqual([500, '500 Internal Server Error\n'])
  })

  it.each(['ab', 'abcdefgh'])('is kept by a stream, or the connection ends: %s', async (text) => {
    const port = await serve(() => ({
      status: 200,
      headers: ['Content-Length', '5'],
      body: Readable.from([Buffer.from(text)]),
    }))
    const client = own(await rawClient(port))
    client.write(get())
    await client.closed
    expect(client.text).not.toContain(text)
  })

  it('of HEAD is that of the answer to GET', async () => {
    const port = await serve(() => ({ status: 200, headers: ['Content-Length', '5'], body: null }))
    expect(value((await answer(port, get('/', '1.1', 'HEAD'), ['HEAD'])).headers, 'content-length')).toBe('5')
  })
})

it('204 goes out without Content-Length, 205 without content (RFC 9110 sections 8.6 and 15.3.6)', async () => {
  const port = await serve(({ out }) => {
    if (out.path === '/204') return { status: 204, headers: ['Content-Length', '0'], body: null }
    return { status: 205, headers: out.path === '/205' ? [] : ['Content-Length', '2'], body: 'no' }
  })
  const client = own(await rawClient(port))
  client.write(get('/204') + get('/205') + get('/205-with-length'))
  const answers = await client.responses(3)
  expect(answers.map(({ status, body }) => [status, body.toString()])).toEqual([
    [204, ''],
    [205, ''],
    [205, ''],
  ])
  expect(value(answers[0]?.headers ?? [], 'content-length')).toBeUndefined()
})

it('HEAD ends with its head, whatever its body does', async () => {
  const body = new Source()
  const port = await serve(({ out }) => ({
    status: 200,
    headers: [],
    body: out.method === 'HEAD' ? body : 'two',
  }))
  const client = own(await rawClient(port))
  client.write(get('/', '1.1', 'HEAD') + get())
  const answers = await client.responses(2, ['HEAD', 'GET'])
  expect(answers[1]?.body.toString()).toBe('two')
  await body.stopped.promise
})

it('Transfer-Encoding of a reply is not the connection’s (RFC 9112 section 6.1)', async () => {
  const chunked = ['Transfer-Encoding', 'chunked']
  const port = await serve(() => ({ status: 200, headers: chunked, body: 'text' }))
  const fields = (await answer(port)).headers
  expect([value(fields, 'transfer-encoding'), value(fields, 'content-length')]).toEqual([undefined, '4'])
  expect(chunked).toHaveLength(2)
  const app = await serve(
    fromListener((_req, res) => {
      res.setHeader('Transfer-Encoding', 'chunked')
      res.end('text')
    }),
  )
  const { text } = await rawRequest(app, get('/', '1.0'))
  expect(text).not.toMatch(/transfer-encoding/i)
  expect(text).toMatch(/\r\n\r\ntext$/)
})

describe('a body that breaks off ends the connection where it knows no reset', () => {
  const breaking = (headers: string[], version: string): Promise<[Source, Handler, string]> => {
    const body = new Source()
    return Promise.resolve([body, () => ({ status: 200, headers, body }), get('/', version)])
  }

  it.skipIf(skipUnless(testCertificate(), 'TLS: there is no openssl')).each([
    ['1.1', ['Content-Length', '50']],
    ['1.0', []],
  ])('TLS, HTTP/%s', async (version, headers) => {
    const [body, handler, request] = await breaking(headers, version)
    const port = await listening(createHttpsServer({ ...testCertificate() }, toListener(handler)))
    const client = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    own({ close: () => client.destroy() })
    client.on('error', () => {})
    client.write(request)
    await once(client, 'data')
    const closed = once(client, 'close')
    body.break()
    await within(closed, 'the connection to end')
  })

  it('a socket in the file system', async () => {
    const [body, handler, request] = await breaking([], '1.0')
    const name = `sluice-${process.pid}`
    const path = process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`)
    const server = createServer(toListener(handler)).listen(path)
    await once(server, 'listening')
    own({ close: () => server.close() })
    const client = connect(path)
    client.on('error', () => {})
    client.write(request)
    await once(client, 'data')
    const closed = once(client, 'close')
    body.break()
    await within(closed, 'the connection to end')
  })
})

describe('trailers', () => {
  it('that fail end the connection, and nothing else', async () => {
    const port = await serve(() => ({
      status: 200,
      headers: [],
      body: Readable.from([Buffer.from('x')]),
      trailers() {
        throw new Error('no trailers')
      },
    }))
    const client = own(await rawClient(port))
    client.write(get())
    await client.closed
    expect(client.text).not.toContain('\r\n0\r\n')
  })

  it('that are no fields are left out', async () => {
    const port = await serve(() => ({
      status: 200,
      headers: [],
      body: Readable.from([Buffer.from('x')]),
      trailers: () => ['X-Bad', 'a\r\nb', 'X-Good', 'yes'],
    }))
    expect((await answer(port)).trailers).toEqual(['X-Good', 'yes'])
  })
})

describe('HTTP/2', () => {
  const both = ['X-Content-Type-Options', 'nosniff', 'X-Content-Type-Options', 'nosniff', 'TE', 'x']

  it('carries a reply with repeated fields that node:http2 takes once alone', async () => {
    const mounted = own(
      await mountNamed('node:http2 without TLS').serve({
        listener: toListener((ctx) => {
          ctx.inform(103, both)
          return { status: 200, headers: both, body: Readable.from([Buffer.from('x')]), trailers: () => both }
        }),
      }),
    )
    const reply = await mounted.client.ask()
    expect([reply.status, values(reply.headers, 'x-content-type-options')]).toEqual([
      200,
      ['nosniff, nosniff'],
    ])
  })

  it('gets an error page for a reply that can’t be sent', async () => {
    const mounted = own(
      await mountNamed('node:http2 without TLS').serve({
        listener: toListener(() => ({ status: 200, headers: ['x-one', '1', ':path', '/'], body: 'x' })),
      }),
    )
    const reply = await mounted.client.ask()
    expect([reply.status, values(reply.headers, 'x-one')]).toEqual([500, []])
  })

  it('gets no value with a line break (RFC 9113 section 8.2.1)', async () => {
    const mounted = own(
      await mountNamed('node:http2 without TLS').serve({
        listener: toListener(() => ({ status: 200, headers: ['x-one', 'a\r\nx-two: b'], body: 'x' })),
      }),
    )
    expect((await mounted.client.ask()).status).toBe(500)
  })

  it('host may be written otherwise than :authority, as long as it is the same (RFC 9113 section 8.3.1)', async () => {
    const mounted = own(
      await mountNamed('node:http2 without TLS').serve({
        listener: toListener((ctx) => ({ status: 200, headers: [], body: ctx.authority })),
      }),
    )
    const session = connectHttp2(`http://127.0.0.1:${mounted.port}`)
    own({ close: () => session.destroy() })
    const call = session.request({ ':path': '/', ':authority': 'Example.com', host: 'example.com' }).end()
    const [head] = (await once(call, 'response')) as [{ ':status': number }]
    expect(head[':status']).toBe(200)
  })
})

it('an error page has no fields of the reply that could not be sent', async () => {
  const app = express()
  app.use(
    toListener(() => ({ status: 200, headers: ['content-encoding', 'gzip', 'bad name', '1'], body: 'x' })),
  )
  const { status, headers } = await answer(await listening(createServer(app)))
  expect([status, value(headers, 'content-encoding')]).toEqual([500, undefined])
})

it('what comes with a reply that is none is ended', async () => {
  const body = new Source()
  const socket = new PassThrough()
  const port = await serve(({ out }) =>
    out.path === '/99' ? { status: 99, headers: [], body } : { status: 101, headers: [], body: null, socket },
  )
  expect((await answer(port, get('/99'))).status).toBe(500)
  await within(body.stopped.promise, 'the body to be cancelled')
  expect((await answer(port, get('/101'))).status).toBe(500)
  expect(socket.destroyed).toBe(true)
})

it.each([undefined, { status: 200, headers: [] }])(
  'a client that left before a handler gave %j leaves nothing unhandled',
  async (given) => {
    const asked = deferred()
    const left = deferred()
    const port = await serve(
      (ctx) =>
        new Promise<Reply>((resolve) => {
          ctx.onClose(() => {
            resolve(given as unknown as Reply)
            left.resolve()
          })
          asked.resolve()
        }),
    )
    const client = own(await rawClient(port))
    client.write(get())
    await asked.promise
    client.close()
    await left.promise
  },
)

it('a file that can’t be opened may be dropped', async () => {
  const body = createReadStream('/there/is/no/such/file')
  const closed = once(body, 'close').catch(() => {})
  discard({ status: 200, headers: [], body })
  await closed
})

it('an app that ends the response under the proxy hears no write after the end', async () => {
  const body = new Source()
  const listener = toListener(() => ({ status: 200, headers: [], body }))
  const port = await listening(
    createServer((req, res) => {
      listener(req, res)
      setImmediate(() => {
        body.give('one')
        res.end()
        body.give('two')
      })
    }),
  )
  expect((await answer(port)).body.toString()).toBe('one')
  await within(body.stopped.promise, 'the body to be cancelled')
})

it.each<[string, () => unknown[]]>([
  ['objects', () => [1, 2]],
  ['objects after bytes', () => [Buffer.from('x'), Buffer.from('y'), {}]],
])('a stream of %s is a fault of its own exchange', async (_name, chunks) => {
  const port = await serve(() => ({ status: 200, headers: [], body: Readable.from(chunks()) }))
  const client = own(await rawClient(port))
  client.write(get())
  await client.closed
  expect(client.text).not.toContain('\r\n0\r\n')
})

it('a stream that was given before is no empty answer', async () => {
  const body = Readable.from([Buffer.from('x')])
  const port = await serve(() => ({ status: 200, headers: [], body }))
  expect((await answer(port)).body.toString()).toBe('x')
  expect((await answer(port)).status).toBe(500)
})

describe('what fails as a reply goes out is told', () => {
  const failure = new Error()
  const failed = (): never => {
    throw failure
  }
  it.each<[string, Handler]>([
    [
      'trailers that throw',
      () => ({ status: 200, headers: [], body: Readable.from(['x']), trailers: failed }),
    ],
    ['a stream that fails', () => ({ status: 200, headers: [], body: new Readable({ read: failed }) })],
    [
      'a listener that fails after it has begun',
      fromListener(async (_req, res: ServerResponse) => {
        res.write('x')
        await Promise.resolve()
        failed()
      }),
    ],
  ])('%s', async (name, handler) => {
    // The same words are told once.
    const words = `a secret of the app: ${name}`
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    own({ close: () => warn.mockRestore() })
    failure.message = words
    const client = own(await rawClient(await serve(handler)))
    client.write(get())
    await until(() => warn.mock.calls.length > 0, 'a report')
    expect(String(warn.mock.calls[0]?.[0])).toContain(words)
    expect(client.text).not.toContain('secret')
  })
})

describe('code of the host app that throws as the response ends', () => {
  const replies: [string, () => Reply][] = [
    ['none', () => ({ status: 204, headers: [], body: null })],
    ['a small body', () => ({ status: 200, headers: [], body: 'small' })],
    [
      'a stream',
      () => ({ status: 200, headers: [], body: Readable.from([Buffer.from('a'), Buffer.from('b')]) }),
    ],
  ]
  const served = (reply: () => Reply, spoil: (res: ServerResponse) => void): Promise<number> => {
    const listener = toListener(reply)
    return listening(
      createServer((req, res) => {
        if (req.url === '/bad') spoil(res)
        listener(req, res)
      }),
    )
  }

  it.each(replies)('in its own end() does not leave the client waiting: %s', async (_name, reply) => {
    const port = await served(reply, (res) => {
      res.end = () => {
        throw new Error('an end() of the app that throws')
      }
    })
    const client = own(await rawClient(port))
    client.write(get('/bad'))
    await within(client.closed, 'the end of the connection')
    expect(client.text).not.toContain('0\r\n\r\n')
  })

  it.each(replies)('in a listener disturbs neither this answer nor another: %s', async (_name, reply) => {
    const port = await served(reply, (res) => {
      res.on('prefinish', () => {
        throw new Error('a listener of the app that throws')
      })
    })
    const [bad, good] = await Promise.all([answer(port, get('/bad')), answer(port, get('/good'))])
    expect(bad.status).toBe(good.status)
    expect(String(bad.body)).toBe(String(good.body))
  })
})

describe('a small answer that waits for the end of the turn', () => {
  it('ends in the async context of its own request, and not of another', async () => {
    const context = new AsyncLocalStorage<string>()
    const finished: string[] = []
    const waiting: (() => void)[] = []
    const listener = toListener(async () => {
      await new Promise<void>((resolve) => {
        // The second lets both go on in one turn.
        if (waiting.push(resolve) === 2) for (const go of waiting) go()
      })
      return { status: 200, headers: [], body: 'ok' }
    })
    const port = await listening(
      createServer((req, res) => {
        context.run(req.url as string, () => {
          res.on('finish', () => finished.push(`${req.url} in ${context.getStore()}`))
          listener(req, res)
        })
      }),
    )
    await Promise.all([answer(port, get('/a')), answer(port, get('/b'))])
    await until(() => finished.length === 2, 'both to finish')
    expect(finished.sort()).toEqual(['/a in /a', '/b in /b'])
  })

  it('is whole where the app has asked Node to count the bytes', async () => {
    const listener = toListener(() => ({ status: 200, headers: [], body: 'counted' }))
    const port = await listening(
      createServer((req, res) => {
        res.strictContentLength = true
        listener(req, res)
      }),
    )
    expect((await answer(port)).body.toString()).toBe('counted')
  })

  it('that the app ends meanwhile has no bytes behind its end', async () => {
    const listener = toListener(() => ({ status: 200, headers: [], body: 'small' }))
    const port = await listening(
      createServer((req, res) => {
        listener(req, res)
        const ends = (): void => void (res.headersSent ? res.end() : queueMicrotask(ends))
        ends()
      }),
    )
    const client = own(await rawClient(port))
    client.write(get())
    await within(client.closed, 'the end of an answer that is not whole')
    expect(client.text).not.toContain('small')
  })
})
