import { createHash, randomBytes } from 'node:crypto'
import { Socket } from 'node:net'
import { Readable } from 'node:stream'
import {
  type Body,
  type BodyInit,
  type Outbound,
  type ProxyError,
  type Reply,
  toReadable,
} from '@sluice/core'
import {
  type Attempt,
  resolveTimeouts,
  type TimeoutOptions,
  type Transport,
  wireTransport,
} from '@sluice/forward'
import { createUpstream, type Target } from '@sluice/upstream'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { program } from '../kit/program.js'
import { type RawConnection, rawOrigin } from '../kit/raw-origin.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.useRealTimers())

type Options = NonNullable<Parameters<typeof wireTransport>[0]>

function wire(options: Options = {}): Transport {
  const transport = wireTransport(options)
  own({ close: () => transport.close(true) })
  return transport
}

const targetOf = (url: string): Target => createUpstream({ name: 'u', targets: [url] }).all[0] as Target

interface Sent extends Partial<Outbound> {
  readonly signal?: AbortSignal
  readonly timeouts?: TimeoutOptions
}

/** The transport alone, with no chain around it. */
function send(transport: Transport, target: Target, sent: Sent = {}): Promise<Reply> {
  const { signal, timeouts, method = 'GET', path = '/', headers = [], body = null } = sent
  const attempt: Attempt = {
    target,
    out: { method, path, headers, body },
    timeouts: resolveTimeouts(timeouts),
    inform() {},
    ...(signal === undefined ? {} : { signal }),
  }
  return transport.send(attempt)
}

async function textOf(reply: Reply | Promise<Reply>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of toReadable((await reply).body)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('latin1')
}

const codeOf = (reply: Promise<Reply>): Promise<string> =>
  reply.then(
    () => 'answered',
    (error: unknown) => (error as ProxyError).code,
  )

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Answers each request of a connection with what `answer` gives for its number; nothing: the end of the connection. */
function answering(answer: (request: number, connection: RawConnection) => string | undefined) {
  return async (connection: RawConnection): Promise<void> => {
    let seen = 0
    for (let request = 0; ; request++) {
      await until(
        () => connection.text.indexOf('\r\n\r\n', seen) !== -1 || connection.socket.destroyed,
        'a head',
      )
      if (connection.socket.destroyed) return
      seen = connection.text.indexOf('\r\n\r\n', seen) + 4
      const text = answer(request, connection)
      if (text === undefined) {
        connection.end()
        return
      }
      await connection.write(text)
    }
  }
}

describe('connections', () => {
  it('are kept, and the one that was used last is used next', async () => {
    const origin = own(await originServer())
    const transport = wire()
    const target = targetOf(origin.url)
    const both = [send(transport, target), send(transport, target)]
    for (const reply of both) expect(await textOf(reply)).toBe('ok')
    expect(origin.connections).toBe(2)
    const last = (await origin.request(1)).connection
    for (let i = 2; i < 6; i++) {
      await textOf(send(transport, target))
      expect((await origin.request(i)).connection).toBe(last)
    }
  })

  it('are as many as allowed; further requests wait in line', async () => {
    const origin = own(await originServer())
    const transport = wire({ connections: 1 })
    const target = targetOf(origin.url)
    const replies = ['/a', '/b', '/c'].map((path) => textOf(send(transport, target, { path })))
    expect(await Promise.all(replies)).toEqual(['ok', 'ok', 'ok'])
    expect(origin.requests.map(({ url }) => url)).toEqual(['/a', '/b', '/c'])
    expect(origin.connections).toBe(1)
  })

  it('that are waited for in vain leave the line free', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        await go.promise
        res.end('ok')
      }),
    )
    const transport = wire({ connections: 1 })
    const target = targetOf(origin.url)
    const first = send(transport, target, { path: '/1' })
    await origin.request(0)
    const leaver = new AbortController()
    const second = codeOf(send(transport, target, { path: '/2', signal: leaver.signal }))
    const third = send(transport, target, { path: '/3' })
    leaver.abort()
    expect(await second).toBe('client_left')
    go.resolve()
    expect([await textOf(first), await textOf(third)]).toEqual(['ok', 'ok'])
    expect(origin.requests.map(({ url }) => url)).toEqual(['/1', '/3'])
  })

  it.each(['timeout=1', 'timeout=0, max=5'])(
    'end where the target is about to end them: Keep-Alive: %s',
    async (hint) => {
      const origin = own(
        await rawOrigin(
          answering(() => `HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: ${hint}\r\n\r\n`),
        ),
      )
      const transport = wire()
      await send(transport, targetOf(origin.url))
      await within((await origin.connection()).closed, 'the connection to close')
    },
  )

  it('end when they were idle for long', async () => {
    const origin = own(await rawOrigin(answering(() => ok)))
    const transport = wire({ idle: 20 })
    await textOf(send(transport, targetOf(origin.url)))
    await within((await origin.connection()).closed, 'the connection to close')
  })

  it('end when bytes come that nobody asked for', async () => {
    const origin = own(await rawOrigin(answering(() => ok)))
    const transport = wire()
    const target = targetOf(origin.url)
    await textOf(send(transport, target))
    const connection = await origin.connection()
    await connection.write(ok)
    await within(connection.closed, 'the connection to close')
    expect(await textOf(send(transport, target))).toBe('ok')
    expect(origin.connections).toHaveLength(2)
  })

  it('that can not be opened, as many as there may be, fail all that wait', async () => {
    // It takes connections and says nothing, so TLS never stands.
    const origin = own(await rawOrigin())
    const transport = wire({ connections: 2 })
    const target = targetOf(origin.url.replace('http:', 'https:'))
    const requests = Array.from({ length: 10 }, () =>
      codeOf(send(transport, target, { timeouts: { connect: 50 } })),
    )
    expect(await Promise.all(requests)).toEqual(new Array(10).fill('connection_timeout'))
    expect(origin.connections.length).toBeLessThanOrEqual(4)
  })

  it('hold no process open while they are idle', async () => {
    const origin = own(await originServer())
    const script = `
      import { wireTransport, resolveTimeouts } from '@sluice/forward'
      import { createUpstream } from '@sluice/upstream'
      const target = createUpstream({ name: 'u', targets: ['${origin.url}'] }).all[0]
      const out = { method: 'GET', path: '/', headers: [], body: null }
      const reply = await wireTransport().send({ target, out, timeouts: resolveTimeouts(), inform() {} })
      for await (const chunk of reply.body.readable()) process.stdout.write(chunk)`
    const run = own(program(['--input-type=module', '--eval', script]))
    expect(await within(run.ended, 'the process to end')).toBe(0)
    expect(run.output).toBe('ok')
  })
})

describe('a kept connection that the target has closed', () => {
  /** The first request of a connection is answered; the second finds it dead. */
  const deadAtSecond = answering((request) => (request === 0 ? ok : undefined))

  it.each(['GET', 'HEAD', 'OPTIONS'])('is replaced by a new one for a %s', async (method) => {
    const origin = own(
      await rawOrigin(
        answering((request) => (request > 0 ? undefined : method === 'HEAD' ? ok.slice(0, -2) : ok)),
      ),
    )
    const transport = wire()
    const target = targetOf(origin.url)
    for (let i = 0; i < 3; i++) expect((await send(transport, target, { method })).status).toBe(200)
    expect(origin.connections.length).toBe(3)
  })

  it.each<[string, BodyInit]>([
    ['POST', null],
    ['POST', 'x'],
    ['PUT', 'x'],
    ['DELETE', null],
  ])('is an error for a %s (body: %j): the target may have processed it', async (method, body) => {
    const origin = own(await rawOrigin(deadAtSecond))
    const transport = wire()
    const target = targetOf(origin.url)
    await textOf(send(transport, target))
    const headers = body === null ? [] : ['Content-Length', '1']
    expect(await codeOf(send(transport, target, { method, body, headers }))).toBe('connection_terminated')
    expect(origin.connections).toHaveLength(1)
  })

  it('is an error for a GET too if a byte of an answer came', async () => {
    const origin = own(
      await rawOrigin(
        answering((request, connection) => {
          if (request === 0) return ok
          void connection.write('H').then(() => connection.end())
          return ''
        }),
      ),
    )
    const transport = wire()
    const target = targetOf(origin.url)
    await textOf(send(transport, target))
    expect(await codeOf(send(transport, target))).toBe('connection_terminated')
    expect(origin.connections).toHaveLength(1)
  })

  it('is replaced once: a new connection that dies is the fault of the target', async () => {
    const origin = own(
      await rawOrigin(answering((request, { index }) => (request === 0 && index === 0 ? ok : undefined))),
    )
    const transport = wire()
    const target = targetOf(origin.url)
    await textOf(send(transport, target))
    expect(await codeOf(send(transport, target))).toBe('connection_terminated')
    expect(origin.connections).toHaveLength(2)
  })

  it('is noticed before an unsafe request goes out on it, if it has rested for a while', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const origin = own(await originServer(async (_req, res, seen) => void res.end(await seen.body())))
    const transport = wire()
    const target = targetOf(origin.url)
    await textOf(send(transport, target))
    // The clock stands still within a turn.
    await new Promise((resolve) => setImmediate(resolve))
    vi.advanceTimersByTime(5_000)
    // The end is on its way, and has not been read when the request is sent.
    ;(await origin.request(0)).req.socket.destroy()
    const reply = send(transport, target, { method: 'POST', body: 'x', headers: ['Content-Length', '1'] })
    expect(await textOf(reply)).toBe('x')
    expect(origin.connections).toBe(2)
  })
})

describe('bodies', () => {
  const bytes = randomBytes(5 * 1024 * 1024)
  const digest = (body: Buffer): string => createHash('sha256').update(body).digest('hex')

  it.each([true, false])(
    'of 5 MB come as they were sent (with a length: %s), to one who reads slowly too',
    async (length) => {
      const origin = own(
        await originServer((_req, res) => {
          if (length) res.setHeader('Content-Length', bytes.length)
          res.end(bytes)
        }),
      )
      const reply = await send(wire(), targetOf(origin.url))
      const hash = createHash('sha256')
      let parts = 0
      for await (const chunk of toReadable(reply.body)) {
        hash.update(chunk as Buffer)
        if (parts++ % 16 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      expect(hash.digest('hex')).toBe(digest(bytes))
    },
  )

  it.each([true, false])('of 5 MB arrive as they were sent (with a length: %s)', async (length) => {
    const origin = own(await originServer(async (_req, res, seen) => void res.end(digest(await seen.body()))))
    const body = length ? bytes : toReadable(bytes)
    const headers = length ? ['Content-Length', String(bytes.length)] : []
    expect(await textOf(send(wire(), targetOf(origin.url), { method: 'POST', body, headers }))).toBe(
      digest(bytes),
    )
  })

  // GHSA-ggv3-7p47-pfv8: a target that looks for no content would take the chunks for what comes next.
  it.each([
    ['GET', 'close', 2],
    ['HEAD', 'close', 2],
    ['DELETE', 'close', 2],
    ['OPTIONS', 'close', 2],
    ['POST', undefined, 1],
  ])('in chunks with %s: Connection is %s', async (method, connection, connections) => {
    const origin = own(await originServer((req, res) => void req.resume().on('end', () => res.end())))
    const transport = wire()
    const target = targetOf(origin.url)
    await textOf(send(transport, target, { method, body: Readable.from(['GET /next HTTP/1.1\r\n\r\n']) }))
    await textOf(send(transport, target))
    expect(origin.requests[0]?.req.headers).toMatchObject({ 'transfer-encoding': 'chunked' })
    expect(origin.requests[0]?.rawHeaders.includes('close')).toBe(connection === 'close')
    expect(origin.requests.map(({ url }) => url)).toEqual(['/', '/'])
    expect(origin.connections).toBe(connections)
  })

  it('that flow do not go ahead of a tunnel: the rest would go into it', async () => {
    const origin = own(await rawOrigin())
    const sent = { method: 'CONNECT', path: 'a:1', body: Readable.from(['part']) }
    expect(await codeOf(send(wire(), targetOf(origin.url), sent))).toBe('http_request_error')
    expect((await origin.connection()).text).toBe('')
  })

  it('in memory count as being sent until the target has taken them', async () => {
    const origin = own(await rawOrigin(({ socket }) => void socket.pause()))
    const body = Buffer.alloc(64 * 1024 * 1024)
    const sent = { method: 'POST', body, timeouts: { requestBody: '200ms', head: 0 } } as const
    expect(await codeOf(send(wire(), targetOf(origin.url), sent))).toBe('connection_write_timeout')
  })

  it('that are none fail by themselves, and the next request is served', async () => {
    const origin = own(await originServer((_req, res) => void res.end('ok')))
    const transport = wire({ connections: 1 })
    const target = targetOf(origin.url)
    const body = {} as BodyInit
    expect(await codeOf(send(transport, target, { method: 'POST', body }))).toBe('proxy_internal_error')
    expect(await textOf(send(transport, target))).toBe('ok')
  })

  it('that found no room at their end leave the connection as good as new', async () => {
    const origin = own(await originServer((_req, res) => void res.end(bytes.subarray(0, 100_000))))
    const transport = wire({ connections: 1 })
    const target = targetOf(origin.url)
    for (let i = 0; i < 5; i++) {
      const { body } = await send(transport, target)
      let size = 0
      // A sink that is always full, and has room again in the next turn.
      await new Promise<void>((resolve, reject) => {
        let drained = (): void => {}
        ;(body as Body).pipe({
          write(chunk) {
            size += chunk.length
            setImmediate(() => drained())
            return false
          },
          end: () => resolve(),
          abort: reject,
          onDrain(fn) {
            drained = fn
          },
        })
      })
      expect(size).toBe(100_000)
    }
    expect(origin.connections).toBe(1)
  })

  it('more behind the end of a reply is no reply', async () => {
    const origin = own(await rawOrigin(answering(() => `${ok}HTTP/1.1 200 OK\r\n`)))
    expect(await codeOf(send(wire(), targetOf(origin.url)))).toBe('http_protocol_error')
    await within((await origin.connection()).closed, 'the connection to close')
  })

  it('an answer that comes before the upload is whole is relayed, though the target then resets', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.until('\r\n\r\n')
        await connection.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig')
        connection.socket.destroy()
      }),
    )
    const transport = wire()
    const target = targetOf(origin.url)
    for (let i = 0; i < 50; i++) {
      const body = toReadable(bytes)
      const reply = await send(transport, target, { method: 'POST', body })
      expect([reply.status, await textOf(reply)]).toEqual([413, 'big'])
    }
  })
})

describe('writes', () => {
  /** Writes of the system to a port, as far as Node's streams make them. */
  function countWrites(port: () => number): () => number {
    let writes = 0
    for (const name of ['_write', '_writev'] as const) {
      const write = Socket.prototype[name] as (...args: unknown[]) => void
      const spy = vi.spyOn(Socket.prototype, name as '_write')
      spy.mockImplementation(function (this: Socket, ...args: unknown[]) {
        if (this.remotePort === port()) writes++
        write.apply(this, args)
      } as never)
      spies.push(spy)
    }
    return () => writes
  }
  const spies: { mockRestore(): void }[] = []
  afterEach(() => {
    for (const spy of spies.splice(0)) spy.mockRestore()
  })

  const stream = (): Readable => Readable.from([Buffer.from('x'.repeat(100))], { objectMode: false })

  it.each<[string, Sent]>([
    ['no body', {}],
    ['a text', { method: 'POST', body: 'text' }],
    ['bytes', { method: 'POST', body: Buffer.alloc(10_000) }],
    ['much in memory', { method: 'POST', body: Buffer.alloc(50_000) }],
  ])('of a request with %s are one', async (_what, sent) => {
    const origin = own(await originServer())
    const transport = wire()
    const target = targetOf(origin.url)
    await textOf(send(transport, target))
    const writes = countWrites(() => origin.port)
    await textOf(send(transport, target, sent))
    expect(writes()).toBe(1)
  })

  it('of one whose body streams are two at most while it is small', async () => {
    const origin = own(await originServer())
    const transport = wire()
    const target = targetOf(origin.url)
    await textOf(send(transport, target))
    const writes = countWrites(() => origin.port)
    await textOf(send(transport, target, { method: 'POST', body: stream() }))
    expect(writes()).toBeLessThanOrEqual(2)
  })
})

describe('close', () => {
  it('ends idle connections, lets a running exchange finish, and takes no more', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (req, res) => {
        if (req.url === '/slow') await go.promise
        res.end('ok')
      }),
    )
    const transport = wire()
    const target = targetOf(origin.url)
    const running = send(transport, target, { path: '/slow' })
    await origin.request(0)
    await textOf(send(transport, target))
    const closed = transport.close()
    await until(() => origin.sockets === 1, 'the idle connection to close')
    expect(await codeOf(send(transport, target))).toBe('proxy_closing')
    go.resolve()
    expect(await textOf(running)).toBe('ok')
    await within(closed, 'the transport to be closed')
    await until(() => origin.sockets === 0, 'all connections to close')
  })

  it('with force ends all', async () => {
    const origin = own(await originServer(() => {}))
    const transport = wire({ connections: 1 })
    const target = targetOf(origin.url)
    const running = codeOf(send(transport, target))
    const waiting = codeOf(send(transport, target))
    await origin.request(0)
    await within(transport.close(true), 'the transport to be closed')
    expect([await running, await waiting]).toEqual(['proxy_closing', 'proxy_closing'])
  })

  it.each<[string, Options, Sent]>([
    ['a tunnel', {}, { method: 'CONNECT', path: 'a:1' }],
    ['one request alone', { proxyProtocol: 1 }, {}],
  ])('with force is no fault of the target that is being connected to for %s', async (_, options, sent) => {
    const silent = own(await rawOrigin())
    const transport = wire(options)
    const target = targetOf(silent.url.replace('http:', 'https:'))
    const code = codeOf(send(transport, target, sent))
    await silent.connection()
    await within(transport.close(true), 'the transport to be closed')
    expect(await code).toBe('proxy_closing')
  })
})

it('wrong options are refused by name', () => {
  const wrong = { connections: -1, idle: 'soon', conections: 3 } as unknown as Options
  expect(() => wireTransport(wrong)).toThrow(
    expect.objectContaining({
      message: expect.stringMatching(
        /wireTransport\.connections.*\n.*wireTransport\.idle.*\n.*conections: unknown option, did you mean connections\?/s,
      ),
    }),
  )
})
