import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { balance } from '@sluice/balance'
import { attach, chain, clientAddress, type Outbound, type Reply, toReadable } from '@sluice/core'
import { forward, resolveTimeouts, type TimeoutOptions, type Transport } from '@sluice/forward'
import { createUpstream, type Target } from '@sluice/upstream'
import httpProxy from 'http-proxy'
import { describe, expect, it } from 'vitest'
import { root } from '../../../scripts/lib/workspace.mjs'
import type { HttpClient } from '../../../test/kit/client.js'
import { deadTarget } from '../../../test/kit/dead-target.js'
import { leakCheck } from '../../../test/kit/leak-check.js'
import { listen } from '../../../test/kit/listen.js'
import { originServer } from '../../../test/kit/origin-server.js'
import { outOfFiles } from '../../../test/kit/out-of-files.js'
import { owner } from '../../../test/kit/owner.js'
import { answering, rawOrigin } from '../../../test/kit/raw-origin.js'
import { rawClient, rawRequest, value } from '../../../test/kit/raw-request.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until, within } from '../../../test/kit/until.js'
import { type HttpProxyLike, type HttpProxyTransportOptions, httpProxyTransport } from './index.js'

trapUnhandled()
const own = owner()

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

function carrying(options: HttpProxyTransportOptions = {}): Transport {
  const transport = httpProxyTransport(options)
  own({ close: () => transport.close(true) })
  return transport
}

const targetOf = (url: string): Target => createUpstream({ name: 'u', targets: [url] }).all[0] as Target

interface Sent extends Partial<Outbound> {
  readonly signal?: AbortSignal
  readonly timeouts?: TimeoutOptions
  readonly upgrade?: string
}

/** The transport alone, with no chain around it. */
function send(transport: Transport, target: Target, sent: Sent = {}): Promise<Reply> {
  const { signal, timeouts, upgrade, method = 'GET', path = '/', headers = [], body = null } = sent
  return transport.send({
    target,
    out: { method, path, headers, body },
    timeouts: resolveTimeouts(timeouts),
    inform() {},
    ...(signal === undefined ? {} : { signal }),
    ...(upgrade === undefined ? {} : { upgrade }),
  })
}

async function textOf(reply: Reply | Promise<Reply>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of toReadable((await reply).body)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const codeOf = (reply: Promise<unknown>): Promise<unknown> =>
  within(
    reply.then(
      () => 'answered',
      (error: { code?: unknown }) => error.code,
    ),
    'an answer or an error',
  )

/** A chain made by hand in front of a target, over this transport alone. */
async function front(
  url: string,
  options: HttpProxyTransportOptions = {},
): Promise<{ port: number; client: HttpClient }> {
  const upstream = createUpstream({ name: 'u', targets: [url] })
  const handler = chain()
    .use(clientAddress())
    .use(balance(upstream))
    .handle(forward({ transport: [carrying(options)], via: false }))
  const server = createServer()
  attach(server, handler)
  own({ close: () => upstream.close() })
  return own(await listen(server))
}

/** Instances with the API of http-proxy: the package itself and two forks, where the benchmark has brought them. */
const fromBench = createRequire(new URL('../../../test/bench/package.json', import.meta.url))
const makers: [string, () => Promise<HttpProxyLike>][] = [
  ['http-proxy', async () => httpProxy.createProxyServer() as unknown as HttpProxyLike],
]
for (const name of ['http-proxy-3', 'httpxy']) {
  const found = await import(fromBench.resolve(name)).catch(() => undefined)
  if (found !== undefined) makers.push([name, async () => found.createProxyServer({}) as HttpProxyLike])
}

const instances: [string, () => Promise<HttpProxyLike | undefined>][] = [
  ['its own instance', async () => undefined],
  ...makers.map(([name, make]): [string, () => Promise<HttpProxyLike>] => [`an instance of ${name}`, make]),
]

describe.each(instances)('by %s', (_name, make) => {
  const options = async (): Promise<HttpProxyTransportOptions> => {
    const proxy = await make()
    return proxy === undefined ? {} : { proxy }
  }

  describe('CVE-2026-29057: no body passes for the next request', () => {
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: inner\r\n\r\n'
    const chunk = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`

    it.each(['DELETE', 'OPTIONS', 'GET', 'POST'])('of a chunked %s', async (method) => {
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.until('0\r\n\r\n')
          await connection.write(ok)
        }),
      )
      const { port } = await front(origin.url, await options())
      const request = `${method} /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`
      const { responses } = await rawRequest(port, request, { responses: 1 })
      expect(responses.map(({ status }) => status)).toEqual([200])
      const text = origin.connections[0]?.text ?? ''
      const head = text.slice(0, text.indexOf('\r\n\r\n') + 4).toLowerCase()
      expect(head.startsWith(`${method} /a http/1.1\r\n`.toLowerCase())).toBe(true)
      expect(head.match(/transfer-encoding: chunked/g)).toHaveLength(1)
      expect(head).not.toContain('content-length')
      // All of it stands in one chunk.
      expect(text.slice(head.length)).toBe(chunk)
      expect(origin.connections).toHaveLength(1)
    })

    it.each(['DELETE', 'OPTIONS', 'GET', 'POST'])('of a %s with a length', async (method) => {
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.until(smuggled)
          await connection.write(ok)
        }),
      )
      const { port } = await front(origin.url, await options())
      const request = `${method} /a HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`
      const { responses } = await rawRequest(port, request, { responses: 1 })
      expect(responses.map(({ status }) => status)).toEqual([200])
      const text = origin.connections[0]?.text ?? ''
      const head = text.slice(0, text.indexOf('\r\n\r\n') + 4).toLowerCase()
      expect(head.match(/content-length: /g)).toHaveLength(1)
      expect(head).toContain(`content-length: ${smuggled.length}\r\n`)
      expect(head).not.toContain('transfer-encoding')
      expect(text.slice(head.length)).toBe(smuggled)
    })
  })

  it('a path goes out as it came', async () => {
    const origin = own(await originServer())
    const { client } = await front(origin.url, await options())
    const path = '/a//b/../%2f{x}|\\^`?q=//%zz&http:/x'
    expect(await client.ask({ path })).toMatchObject({ status: 200 })
    expect(origin.requests.map(({ url }) => url)).toEqual([path])
  })

  it('a client that leaves ends the request at the target', async () => {
    const origin = own(await rawOrigin(() => {}))
    const { port } = await front(origin.url, await options())
    const client = await rawClient(port)
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const connection = await origin.connection()
    await connection.head()
    client.reset()
    await within(connection.closed, 'the target to hear of it')
  })

  it('a client that leaves in mid-answer ends the request at the target', async () => {
    const origin = own(await rawOrigin(answering('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome')))
    const { client } = await front(origin.url, await options())
    const call = client.call()
    await call.head
    call.abort()
    await within((await origin.connection()).closed, 'the target to hear of it')
  })

  it('a target that resets before its answer is 502', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        connection.reset()
      }),
    )
    const { client } = await front(origin.url, await options())
    expect(await client.ask()).toMatchObject({ status: 502, text: '502 Bad Gateway\n', complete: true })
  })

  it('a target that resets in its body cuts the answer off', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome')
        connection.reset()
      }),
    )
    const reply = send(carrying(await options()), targetOf(origin.url))
    expect(await codeOf(textOf(reply))).toBe('http_response_incomplete')
  })

  it('a target that nobody listens at is an error of the reply, and the process goes on', async () => {
    const { url } = own(await deadTarget())
    const body = Readable.from([Buffer.from('whole')])
    const reply = send(carrying(await options()), targetOf(url), { method: 'POST', body })
    expect(await codeOf(reply)).toBe('connection_refused')
    // Another target may have the body: nobody has read of it.
    expect(await textOf({ status: 200, headers: [], body })).toBe('whole')
  })

  it('an upgrade becomes a tunnel', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\nfirst',
        )
        await connection.until('ping')
        await connection.write('pong')
        connection.end()
      }),
    )
    const reply = await send(carrying(await options()), targetOf(origin.url), { upgrade: 'websocket' })
    expect(reply).toMatchObject({
      status: 101,
      headers: ['X-A', '1', 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
    })
    const { socket } = reply
    let text = ''
    socket?.on('data', (part: Buffer) => {
      text += part.toString()
    })
    // It was piped before.
    socket?.resume()
    socket?.write('ping')
    await until(() => text === 'firstpong', 'bytes both ways')
    socket?.end()
    await within((await origin.connection()).closed, 'the end of the tunnel')
  })

  it('an answer that is no upgrade passes as what it is', async () => {
    const origin = own(
      await rawOrigin(answering('HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n')),
    )
    const reply = await send(carrying(await options()), targetOf(origin.url), { upgrade: 'websocket' })
    expect(reply).toMatchObject({ status: 403, headers: [] })
    expect(await textOf(reply)).toBe('no')
  })
})

it('an instance of the user’s is used, with its listeners', async () => {
  const proxy = httpProxy.createProxyServer()
  const seen: string[] = []
  proxy.on('proxyReq', (request, req) => {
    seen.push(`${req.method} ${req.url}`)
    request.setHeader('X-Added', 'yes')
    // As deleteLength does.
    request.removeHeader('Transfer-Encoding')
    request.setHeader('Content-Length', '0')
  })
  proxy.on('proxyRes', (incoming) => {
    incoming.headers['x-answer'] = 'seen'
    delete incoming.headers['x-secret']
  })
  const origin = own(
    await originServer((_req, res) => res.writeHead(200, ['X-Secret', '1', 'X-Kept', '2']).end('ok')),
  )
  const { client } = await front(origin.url, { proxy: proxy as unknown as HttpProxyLike })
  const answer = await client.ask({
    method: 'DELETE',
    path: '/x',
    headers: ['Transfer-Encoding', 'chunked'],
    body: 'body',
  })
  expect(answer).toMatchObject({ status: 200, text: 'ok' })
  expect(seen).toEqual(['DELETE /x'])
  expect(value(answer.headers, 'x-answer')).toBe('seen')
  expect(value(answer.headers, 'x-kept')).toBe('2')
  expect(value(answer.headers, 'x-secret')).toBeUndefined()
  const sent = origin.requests[0]?.rawHeaders ?? []
  expect(value(sent, 'x-added')).toBe('yes')
  expect(value(sent, 'content-length')).toBeUndefined()
  expect(value(sent, 'transfer-encoding')).toBe('chunked')
})

it('what another option of an instance would send elsewhere goes to the target', async () => {
  const elsewhere = own(await originServer())
  const origin = own(await originServer())
  const proxy = httpProxy.createProxyServer({
    target: elsewhere.url,
    forward: elsewhere.url,
    xfwd: true,
    changeOrigin: true,
  })
  const { client } = await front(origin.url, { proxy: proxy as unknown as HttpProxyLike })
  expect(await client.ask()).toMatchObject({ status: 200 })
  expect(elsewhere.requests).toEqual([])
  expect(value(origin.requests[0]?.rawHeaders ?? [], 'x-forwarded-port')).toBeUndefined()
})

it('a pass of an instance that throws is a failure of the proxy', async () => {
  const proxy = httpProxy.createProxyServer()
  // Its types lack it.
  const { before } = proxy as unknown as { before(type: string, pass: string, fn: () => void): void }
  before.call(proxy, 'web', 'stream', () => {
    throw new Error('the pass failed')
  })
  const origin = own(await originServer())
  const reply = send(carrying({ proxy: proxy as unknown as HttpProxyLike }), targetOf(origin.url))
  expect(await codeOf(reply)).toBe('proxy_internal_error')
})

it.each([
  ['a path that would end the line', { path: '/a HTTP/1.1\r\nX: y' }],
  ['a field that would end the line', { headers: ['X-A', 'a\r\nX-B: b'] }],
  ['a name that is none', { headers: ['X A', 'a'] }],
  ['two Hosts', { headers: ['Host', 'a', 'host', 'b'] }],
])('%s never reaches a target as it is', async (_, sent) => {
  const origin = own(await rawOrigin(answering(ok)))
  const reply = send(carrying(), targetOf(origin.url), sent)
  expect(await codeOf(reply)).toBe('http_request_error')
  expect(origin.connections.map(({ text }) => text).join('')).toBe('')
})

it('a target that sends bytes while nobody asks loses its connection', async () => {
  const origin = own(await rawOrigin(answering(ok)))
  const transport = carrying()
  const target = targetOf(origin.url)
  expect(await textOf(send(transport, target))).toBe('ok')
  const connection = await origin.connection()
  await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison')
  await within(connection.closed, 'the connection to be closed')
  expect(await textOf(send(transport, target))).toBe('ok')
})

it('keeps connections, and close() ends them', async () => {
  const origin = own(await originServer())
  const transport = carrying()
  const target = targetOf(origin.url)
  for (let i = 0; i < 5; i++) expect(await textOf(send(transport, target))).toBe('ok')
  expect(origin.sockets).toBe(1)
  await within(transport.close(), 'the transport to be closed')
  await until(() => origin.sockets === 0, 'the connection to be closed')
  expect(await codeOf(send(transport, target))).toBe('proxy_closing')
})

it('close() waits for an exchange, and by force ends it', async () => {
  const origin = own(await originServer(() => {}))
  const transport = carrying()
  const code = codeOf(send(transport, targetOf(origin.url)))
  await origin.request()
  const closed = transport.close()
  void transport.close(true)
  expect(await code).toBe('proxy_closing')
  await within(closed, 'the transport to be closed')
  await until(() => origin.sockets === 0, 'the connection to be closed')
})

it('opens no more connections than it may', async () => {
  const origin = own(await originServer())
  const transport = carrying({ connections: 2 })
  const target = targetOf(origin.url)
  const texts = await Promise.all(Array.from({ length: 20 }, () => textOf(send(transport, target))))
  expect(texts).toEqual(Array.from({ length: 20 }, () => 'ok'))
  expect(origin.sockets).toBeLessThanOrEqual(2)
})

it('1,000 requests that are aborted leave no socket', async () => {
  const origin = own(await originServer(() => {}))
  const transport = carrying({ connections: 50 })
  const target = targetOf(origin.url)
  expect(await codeOf(send(transport, target, { timeouts: { head: 1 } }))).toBe('http_response_timeout')
  const check = leakCheck()
  for (let round = 0; round < 10; round++) {
    const controllers = Array.from({ length: 100 }, () => new AbortController())
    const codes = controllers.map(({ signal }) => codeOf(send(transport, target, { signal })))
    if (round % 2 === 0) await origin.request()
    for (const controller of controllers) controller.abort()
    expect(new Set(await Promise.all(codes))).toEqual(new Set(['client_left']))
  }
  // From Node 24 on a connection whose request was given up before it was written is kept for the next: those end now, others don't.
  void transport.close()
  await check.settled()
  await until(() => origin.sockets === 0, 'the target to have no connection')
})

it('http-proxy is loaded by those who use it alone', async () => {
  const program = `
    const { httpProxyTransport } = await import('@sluice/http-proxy')
    const { createProxy } = await import('sluice')
    const { createRequire } = await import('node:module')
    const require = createRequire('${root.replaceAll('\\', '/')}/packages/http-proxy/package.json')
    const loaded = () => Object.keys(require.cache).some((file) => /http-proxy[\\\\/]lib/.test(file))
    const proxy = { web() {}, ws() {} }
    httpProxyTransport({ proxy })
    console.log(loaded())
    httpProxyTransport()
    console.log(loaded())
  `
  const args = ['--no-deprecation', '--input-type=module', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 10_000 })
  expect(stdout).toBe('false\ntrue\n')
})

it.skipIf(skipUnless(process.platform !== 'win32', 'limits of open files that can be set'))(
  'serves again when there are files again, though its first request met a process without any',
  async () => {
    const said = await outOfFiles(
      new URL('..', import.meta.url),
      `
      import { createServer } from 'node:http'
      import { once } from 'node:events'
      import { httpProxyTransport } from '@sluice/http-proxy'
      process.noDeprecation = true
      const server = createServer((_req, res) => res.end('here')).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const target = { id: 't', url: 'http://127.0.0.1:' + server.address().port }
      const timeouts = { connect: 1000, requestBody: 0, head: 0, body: 0, stream: 0, tunnel: 0, total: 0 }
      const transport = httpProxyTransport()
      const send = () => transport.send({
        target, out: { method: 'HEAD', path: '/', headers: [], body: null }, timeouts, inform() {},
      }).then(({ status }) => status, ({ code }) => code)
      starve()
      const first = await send()
      feed()
      console.log(first, await send())
      process.exit()`,
    )
    expect(said).toBe('proxy_overloaded 200\n')
  },
)

it.each([
  [{ proxy: {} }, 'httpProxyTransport.proxy'],
  [{ agent: {} }, 'httpProxyTransport.agent'],
  [{ connections: -1 }, 'httpProxyTransport.connections'],
  [{ other: 1 }, 'httpProxyTransport.other'],
])('refuses %j', (options, path) => {
  expect(() => httpProxyTransport(options as never)).toThrow(path)
})

it.each([
  ['CONNECT', { method: 'CONNECT', path: 'a:1' }],
  ['OPTIONS *', { method: 'OPTIONS', path: '*' }],
  ['a method in lower case', { method: 'get' }],
  ['Expect', { headers: ['expect', '100-continue'] }],
  ['announced trailers', { headers: ['Trailer', 'X-A'] }],
])('does not accept %s', (_, sent) => {
  const out = { method: 'GET', path: '/', headers: [], body: null, ...sent }
  expect(carrying().accepts(out, targetOf('http://127.0.0.1:1'))).toBe(false)
})
