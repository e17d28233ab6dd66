import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTls, type TlsOptions } from 'node:tls'
import { Server, ServerCredentials, status } from '@grpc/grpc-js'
import { createTarget, type Target, type TargetTls } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { pinOf, testAuthority } from '../../../test/kit/authority.js'
import { deadTarget } from '../../../test/kit/dead-target.js'
import { http2Origin } from '../../../test/kit/http2-origin.js'
import { originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { rawOrigin } from '../../../test/kit/raw-origin.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import {
  type Declaration,
  grpcProbe,
  type HealthOptions,
  healthProbe,
  http2Probe,
  httpProbe,
  type Probe,
  tcpProbe,
  tlsProbe,
} from './index.js'

trapUnhandled()
const own = owner()
const authority = testAuthority()
const skip = skipUnless(authority, 'probes over TLS: there is no openssl')

function ask(probe: Probe, target: Target | string, signal = AbortSignal.timeout(5_000)): Promise<void> {
  return probe(typeof target === 'string' ? createTarget(target) : target, signal)
}

/** An origin that answers with what is asked of it, and a target of it, for both protocols alike. */
const kinds: [string, (options?: HealthOptions) => Probe, (answer: Answer) => Promise<Seen>][] = [
  ['httpProbe', httpProbe, http1],
  ['http2Probe', http2Probe, http2],
]

interface Answer {
  status?: number
  fields?: Record<string, string>
  body?: string
  /** The body has no end. */
  endless?: boolean
}

interface Seen {
  readonly url: string
  readonly requests: { method: string; path: string; host: string; token: string }[]
  readonly connections: () => number
}

async function http1({ status = 200, fields = {}, body = '', endless }: Answer): Promise<Seen> {
  const requests: Seen['requests'] = []
  const origin = own(
    await originServer(({ method = '', url = '', headers }, res) => {
      requests.push({ method, path: url, host: String(headers.host), token: String(headers['x-token']) })
      res.writeHead(status, fields)
      res.write(body)
      if (endless !== true) res.end()
    }),
  )
  return { url: origin.url, requests, connections: () => origin.sockets }
}

async function http2({ status = 200, fields = {}, body = '', endless }: Answer): Promise<Seen> {
  const requests: Seen['requests'] = []
  const origin = own(
    await http2Origin((stream, { fields: asked }) => {
      requests.push({
        method: String(asked[':method']),
        path: String(asked[':path']),
        host: String(asked[':authority']),
        token: String(asked['x-token']),
      })
      stream.respond({ ':status': status, ...fields })
      stream.write(body)
      if (endless !== true) stream.end()
    }),
  )
  return { url: origin.url, requests, connections: () => origin.sessions.size }
}

describe.each(kinds)('%s', (_name, probe, origin) => {
  it('asks for what its options say', async () => {
    const { url, requests, connections } = await origin({})
    const headers = { 'X-Token': 'secret' }
    await ask(probe({ path: '/health?x=1', method: 'OPTIONS', host: 'api.example', headers }), `${url}/base`)
    expect(requests).toEqual([
      { method: 'OPTIONS', path: '/health?x=1', host: 'api.example', token: 'secret' },
    ])
    await ask(probe(), url)
    expect(requests[1]).toMatchObject({ method: 'GET', path: '/', host: new URL(url).host })
    await until(() => connections() === 0, 'the end of its connections')
  })

  it('goes by the status', async () => {
    const { url } = await origin({ status: 500 })
    await expect(ask(probe({ path: '/x' }), url)).rejects.toThrow('GET /x answered 500')
    await ask(probe({ status: [204, '500-599'] }), url)
  })

  it('goes by the body: a text that it holds, or an expression that it matches', async () => {
    const { url } = await origin({ body: 'status: fine\n' })
    await ask(probe({ body: 'fine' }), url)
    const sticky = probe({ body: /fine/gy })
    await expect(ask(sticky, url)).resolves.toBeUndefined()
    await ask(sticky, url)
    await ask(probe({ body: /^status: \w+$/m }), url)
    await expect(ask(probe({ body: 'well' }), url)).rejects.toThrow('GET / answered without "well"')
    await expect(ask(probe({ body: /^fine/ }), url)).rejects.toThrow('answered without /^fine/')
  })

  it('gives an expression no more of a body than was asked of the expression', async () => {
    const { url } = await origin({ body: `${'x'.repeat(4_091)}early late` })
    await ask(probe({ body: /early$/ }), url)
    await ask(probe({ body: 'late' }), url)
    await expect(ask(probe({ body: /late/ }), url)).rejects.toThrow('without /late/')
  })

  it('reads no more of a body than it looks at, though it has no end', async () => {
    const { url, connections } = await origin({ body: `${'x'.repeat(16 * 1024)}late`, endless: true })
    await ask(probe({ body: 'xx' }), url)
    await expect(ask(probe({ body: 'late' }), url)).rejects.toThrow('without "late"')
    await ask(probe(), url)
    await until(() => connections() === 0, 'the end of its connections')
  })

  it.each<[string, Declaration[]]>([
    ['draining', ['draining']],
    ['Degraded ; load=0.9', ['degraded']],
    ['ok', ['ok']],
    ['so-so', []],
  ])('hands on what the target says of itself: %s', async (value, expected) => {
    const { url } = await origin({ status: 503, fields: { 'x-health': value } })
    const said: Declaration[] = []
    const declare = (word: Declaration): void => void said.push(word)
    const target = createTarget(url)
    const { signal } = new AbortController()
    await expect(probe()(target, signal, declare)).rejects.toThrow('503')
    await probe({ header: false, status: [503] })(target, signal, declare)
    await probe({ header: 'X-Other', status: [503] })(target, signal, declare)
    expect(said).toEqual(expected)
  })

  it('gives up when its signal aborts, and leaves nothing behind', async () => {
    const silent = own(await rawOrigin())
    const controller = new AbortController()
    const asked = ask(probe(), silent.url, controller.signal)
    await (await silent.connection()).until(1)
    controller.abort()
    await expect(asked).rejects.toThrow()
    await silent.connections[0]?.closed
  })

  it('fails where nobody listens, and where the connection is lost', async () => {
    const dead = own(await deadTarget())
    await expect(ask(probe(), dead.url)).rejects.toThrow('ECONNREFUSED')
    const resetting = own(
      await rawOrigin(async (connection) => {
        await connection.until(1)
        connection.reset()
      }),
    )
    await expect(ask(probe(), resetting.url)).rejects.toThrow()
  })
})

it('http2Probe fails on a server that speaks HTTP/1.1 alone', async () => {
  const origin = own(await originServer())
  await expect(ask(http2Probe(), origin.url)).rejects.toThrow()
})

describe('tcpProbe', () => {
  it('is content with a connection', async () => {
    const origin = own(await rawOrigin())
    await ask(tcpProbe(), origin.url)
    await (await origin.connection()).closed
    expect(origin.connections[0]?.text).toBe('')
  })

  it('fails where nobody listens, and when its signal aborts', async () => {
    const dead = own(await deadTarget())
    await expect(ask(tcpProbe(), dead.url)).rejects.toThrow('ECONNREFUSED')
    await expect(ask(tcpProbe(), dead.url, AbortSignal.abort())).rejects.toThrow(/abort/i)
  })
})

it('targets at a socket of the file system are asked there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-probe-'))
  own({ close: () => rmSync(folder, { recursive: true }) })
  const http = createServer((req, res) => void res.end(req.headers.host))
  const h2 = createHttp2((_req, res) => void res.end('h2'))
  for (const [name, server] of Object.entries({ http, h2 })) {
    own({ close: () => server.close() })
    server.listen(join(folder, name))
    await once(server, 'listening')
  }
  await ask(httpProbe({ body: /^localhost$/ }), `unix:${folder}/http`)
  await ask(tcpProbe(), `unix:${folder}/http`)
  await ask(http2Probe({ body: 'h2' }), `unix:${folder}/h2`)
  await expect(ask(tcpProbe(), `unix:${folder}/none`)).rejects.toThrow('ENOENT')
})

/** A server that makes TLS handshakes and says nothing. */
async function tlsServer(options: TlsOptions): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createTls(options)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.on('secureConnection', (socket) => socket.on('error', () => {}))
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  own({
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  })
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe.skipIf(skip)('over TLS', () => {
  const certificate = authority?.issue('DNS:a.test')
  const ca = authority?.cert ?? ''
  const other = `sha256/${Buffer.alloc(32).toString('base64')}`
  const targets = (url: string): Record<string, Target> => {
    const of = (tls: TargetTls): Target => createTarget({ url, tls })
    const pin = pinOf(certificate?.cert ?? Buffer.alloc(0))
    return {
      known: of({ ca, servername: 'a.test' }),
      pinned: of({ ca, servername: 'a.test', pin: [pin] }),
      pinnedAlone: of({ verify: false, pin: [pin] }),
      unknownAuthority: of({ servername: 'a.test' }),
      otherName: of({ ca }),
      otherPin: of({ ca, servername: 'a.test', pin: [other] }),
      otherPinAlone: of({ verify: false, pin: [other] }),
    }
  }

  it.each<[string, Probe, TlsOptions]>([
    ['tlsProbe', tlsProbe(), {}],
    ['tlsProbe, of a server without ALPN', tlsProbe(), { ALPNProtocols: undefined as never }],
  ])('%s takes what requests take, and refuses what they refuse', async (_name, probe, options) => {
    const known = targets(await tlsServer({ ...certificate, ...options }))
    for (const name of ['known', 'pinned', 'pinnedAlone']) await ask(probe, known[name] as Target)
    await expect(ask(probe, known['unknownAuthority'] as Target)).rejects.toThrow(/certificate/)
    await expect(ask(probe, known['otherName'] as Target)).rejects.toThrow(/altnames/i)
    await expect(ask(probe, known['otherPin'] as Target)).rejects.toThrow(/pins/)
    await expect(ask(probe, known['otherPinAlone'] as Target)).rejects.toThrow(/pins/)
  })

  it('tlsProbe fails on what speaks no TLS', async () => {
    const origin = own(await originServer())
    await expect(ask(tlsProbe(), origin.url.replace('http:', 'https:'))).rejects.toThrow()
  })

  it.each([
    ['tlsProbe', tlsProbe()],
    ['httpProbe', httpProbe()],
    ['http2Probe', http2Probe()],
    ['grpcProbe', grpcProbe()],
  ])('%s gives up in the handshake when its signal aborts', async (_name, probe) => {
    const silent = own(await rawOrigin())
    const controller = new AbortController()
    const asked = ask(probe, silent.url.replace('http:', 'https:'), controller.signal)
    await (await silent.connection()).until(1)
    controller.abort()
    await expect(asked).rejects.toThrow(/abort/i)
    await silent.connections[0]?.closed
  })

  it('http2Probe wants h2 chosen by ALPN, and the same certificates', async () => {
    const origin = own(await http2Origin(undefined, { tls: true }))
    const of = (tls: TargetTls): Target => createTarget({ url: origin.url, tls })
    await ask(http2Probe(), of({ verify: false }))
    await expect(ask(http2Probe(), of({}))).rejects.toThrow(/certificate/)
    await expect(ask(http2Probe(), of({ verify: false, pin: [other] }))).rejects.toThrow(/pins/)
    const without = createTarget({ url: await tlsServer({ ...certificate }), tls: { verify: false } })
    await expect(ask(http2Probe(), without)).rejects.toThrow('has not chosen h2 by ALPN')
  })
})

/** A real gRPC server with the health service, or with something else under its name. */
async function grpcServer(check: (service: string) => Buffer | status, path = 'Check'): Promise<string> {
  const server = new Server()
  const call = {
    path: `/grpc.health.v1.Health/${path}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  } as const
  server.addService({ check: call }, {
    check: (
      { request }: { request: Buffer },
      done: (error: { code: status; details: string } | null, answer?: Buffer) => void,
    ) => {
      const answer = check(request.subarray(2).toString())
      if (typeof answer === 'number') done({ code: answer, details: 'no such thing: ä' })
      else done(null, answer)
    },
  } as never)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  own({ close: () => server.forceShutdown() })
  return `http://127.0.0.1:${port}`
}

describe('grpcProbe, against @grpc/grpc-js', () => {
  const serving = Buffer.from([8, 1])

  it('passes where the server, or the service that is named, says SERVING', async () => {
    const asked: string[] = []
    const long = 'x'.repeat(300)
    const url = await grpcServer((service) => {
      asked.push(service)
      return serving
    })
    await ask(grpcProbe(), url)
    await ask(grpcProbe({ service: 'pkg.Text', host: 'api.example' }), url)
    expect(asked).toEqual(['', 'pkg.Text'])
    await ask(grpcProbe({ service: long }), url)
    expect(asked[2]).toHaveLength(301)
  })

  it.each<[string, Buffer | status, RegExp]>([
    ['NOT_SERVING', Buffer.from([8, 2]), /says NOT_SERVING/],
    ['SERVICE_UNKNOWN', Buffer.from([8, 3]), /says SERVICE_UNKNOWN/],
    ['nothing, which is UNKNOWN', Buffer.alloc(0), /says UNKNOWN/],
    ['a status that nobody knows', Buffer.from([8, 0x90, 1]), /says status 144/],
    ['a number without end', Buffer.alloc(20, 0xff), /no protobuf/],
    ['a field that is cut', Buffer.from([0x12, 9, 1]), /no protobuf/],
    ['far too much', Buffer.alloc(5000), /too large/],
    ['NOT_FOUND', status.NOT_FOUND, /gRPC status 5: no such thing: ä/],
  ])('fails where it says %s', async (_name, answer, reason) => {
    await expect(ask(grpcProbe(), await grpcServer(() => answer))).rejects.toThrow(reason)
  })

  it('passes over fields that it does not know', async () => {
    const others = Buffer.from([0x12, 2, 8, 2, 0x18, 5, 0x25, 0, 0, 0, 0, 0x29, 0, 0, 0, 0, 0, 0, 0, 0])
    await ask(grpcProbe(), await grpcServer(() => Buffer.concat([others, serving])))
  })

  it('fails where there is no health service, and where there is no gRPC', async () => {
    await expect(ask(grpcProbe(), await grpcServer(() => serving, 'Other'))).rejects.toThrow('gRPC status 12')
    const origin = own(await http2Origin((stream) => stream.respond({ ':status': 404 }, { endStream: true })))
    await expect(ask(grpcProbe(), origin.url)).rejects.toThrow('answered HTTP 404')
    const plain = own(await http2Origin())
    await expect(ask(grpcProbe(), plain.url)).rejects.toThrow('gRPC status none')
  })
})

it('healthProbe takes the probe that the type names', async () => {
  const tcp = own(await rawOrigin())
  await ask(healthProbe({ type: 'tcp' }), tcp.url)
  const http = own(await originServer())
  await ask(healthProbe({ path: '/x' }), http.url)
  expect(http.requests[0]?.url).toBe('/x')
  const h2 = own(await http2Origin())
  await ask(healthProbe({ type: 'h2', path: '/y' }), h2.url)
  expect(h2.streams[0]?.fields[':path']).toBe('/y')
  const grpc = await grpcServer((service) => Buffer.from([8, service === 's' ? 1 : 2]))
  await ask(healthProbe({ type: 'grpc', service: 's' }), grpc)
  await expect(ask(healthProbe({ type: 'tls' }), http.url)).rejects.toThrow()
})
