import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { createServer as createHttpServer } from 'node:http'
import { connect as connectHttp2, createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket } from 'node:tls'
import { format } from 'node:util'
import { acceptProxyProtocol, format as formatHeader } from '@sluice/proxy-protocol'
import debug from 'debug'
import { describe, expect, it, vi } from 'vitest'
import { testAuthority } from '../../../test/kit/authority.js'
import { listen } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { rawClient } from '../../../test/kit/raw-request.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { alpnChallenges, type ChallengeAnswer } from './index.js'

trapUnhandled()
const own = owner()
const authority = testAuthority()
const skip = skipUnless(authority, 'TLS-ALPN-01 at a server: no openssl to make certificates')
const usual = authority?.issue('DNS:localhost')
const challenge = authority?.issue('DNS:a.test')

type Options = { answer?: ChallengeAnswer; on?: () => boolean; make?: (options: object) => Server }

const open: ChallengeAnswer = (name) => (name === 'a.test' ? challenge : undefined)

/** A server that answers challenges for `a.test`, and what it heard of connections of TLS. */
async function front({ answer = open, on, make }: Options = {}) {
  const asked: string[] = []
  const heard: string[] = []
  const options = { ...usual, ALPNProtocols: ['http/1.1'] }
  const server = make?.(options) ?? createServer(options, (socket) => socket.end('served'))
  server.on('secureConnection', () => heard.push('served'))
  server.on('tlsClientError', (error: Error & { code?: string }, socket) => {
    heard.push(error.code ?? error.message)
    // `node:tls` leaves that to its listeners.
    socket.destroy()
  })
  const undo = alpnChallenges(
    server,
    (name) => {
      asked.push(name)
      return answer(name)
    },
    on,
  )
  const { port } = own(await listen(server as never))
  return { server, port, asked, heard, undo }
}

interface Outcome {
  readonly protocol?: string | false | null
  readonly name?: string | undefined
  readonly error?: string | undefined
}

/** What a client of TLS gets, to the end of the connection. */
async function outcome(port: number, options: ConnectionOptions): Promise<Outcome> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  own({ close: () => socket.destroy() })
  return within(ended(socket), 'the end of the connection')
}

function ended(socket: TLSSocket): Promise<Outcome> {
  return new Promise((resolve) => {
    let got: Outcome = {}
    socket.on('secureConnect', () => {
      const { subjectAltName } = new X509Certificate(socket.getPeerCertificate().raw)
      got = { protocol: socket.alpnProtocol, name: subjectAltName }
    })
    socket.on('error', (error: Error & { code?: string }) => {
      got = { ...got, error: error.code }
    })
    socket.on('close', () => resolve(got))
    socket.resume()
  })
}

const asking = (name: string | undefined, options: ConnectionOptions = {}): ConnectionOptions => ({
  ...(name === undefined ? {} : { servername: name }),
  ALPNProtocols: ['acme-tls/1'],
  ...options,
})

const refused = expect.stringMatching(/ALERT_NO_APPLICATION_PROTOCOL|TLSV1_ALERT_NO_APPLICATION_PROTOCOL/)

describe.skipIf(skip)('an authority that asks', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'by %s gets the challenge’s certificate, and the end',
    async (version) => {
      const { port, asked, heard } = await front()
      const versions = { minVersion: version, maxVersion: version }
      expect(await outcome(port, asking('A.test', versions))).toEqual({
        protocol: 'acme-tls/1',
        name: 'DNS:a.test',
      })
      expect(asked).toEqual(['a.test'])
      expect(heard).toEqual([])
    },
  )

  it('gets it from every kind of server', async () => {
    const kinds = [
      (options: object) => createHttpsServer(options) as unknown as Server,
      (options: object) => createSecureServer({ ...options, allowHTTP1: true }) as unknown as Server,
    ]
    for (const make of kinds) {
      const { port, heard } = await front({ make })
      expect(await outcome(port, asking('a.test'))).toMatchObject({ name: 'DNS:a.test' })
      expect(heard).toEqual([])
    }
  })

  it('gets it when the answer takes its time, from a hello in two packets', async () => {
    const pair = deferred<typeof challenge>()
    const { port, asked } = await front({ answer: () => pair.promise })
    const inner = connectTcp({ port, host: '127.0.0.1', noDelay: true })
    const write = inner.write.bind(inner) as (chunk: Uint8Array, done?: () => void) => boolean
    const halves = new Duplex({
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        write(chunk.subarray(0, 20), () => setImmediate(() => write(chunk.subarray(20), done)))
      },
      final: (done) => void inner.end(done),
    })
    inner.on('data', (chunk) => halves.push(chunk))
    inner.on('end', () => halves.push(null))
    inner.on('close', () => halves.destroy())
    const got = outcome(port, asking('a.test', { socket: halves }))
    await until(() => asked.length === 1, 'the question')
    pair.resolve(challenge)
    expect(await got).toMatchObject({ name: 'DNS:a.test' })
  })

  it('gets it by openssl', async () => {
    const { port } = await front()
    const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'a.test', '-alpn', 'acme-tls/1']
    const output = await new Promise<string>((resolve) => {
      execFile('openssl', args, (_error, stdout, stderr) => resolve(stdout + stderr)).stdin?.end()
    })
    expect(output).toContain('ALPN protocol: acme-tls/1')
  })

  it('and then sends garbage, or leaves, is ended without an error but in what debug says', async () => {
    const said: string[] = []
    const { log } = debug
    debug.log = (...args: unknown[]) => void said.push(format(...args))
    debug.enable('sluice:tls')
    const { server, port, asked, heard } = await front()
    const hello = await helloOf(asking('a.test'))
    const garbage = await rawClient(port)
    garbage.write(Buffer.concat([hello, Buffer.alloc(100, 7)]))
    await garbage.closed
    debug.disable()
    debug.log = log
    expect(said.join('\n')).toMatch(/acme-tls\/1 for a\.test: answered\n.* for a\.test: .*SSL/)
    const leaves = await rawClient(port)
    leaves.write(hello)
    await until(() => asked.length === 2, 'the question')
    leaves.reset()
    await until(() => count(server).then((connections) => connections === 0), 'its end')
    expect(heard).toEqual([])
  })

  it.each<[string, string | undefined, ChallengeAnswer]>([
    ['for a name without a challenge', 'b.test', open],
    ['for no name', undefined, open],
    [
      'where the answer throws',
      'a.test',
      () => {
        throw new Error('no')
      },
    ],
    ['where the answer rejects', 'a.test', () => Promise.reject(new Error('no'))],
    ['where the answer is no pair', 'a.test', () => ({ cert: 'x', key: 'y' })],
  ])('%s gets an alert', async (_name, name, answer) => {
    const { port, heard } = await front({ answer })
    expect(await outcome(port, asking(name))).toEqual({ error: refused })
    expect(heard).toEqual([])
  })
})

describe.skipIf(skip)('everybody else', () => {
  it('is served: by HTTP/1.1, by HTTP/2, and with acme-tls/1 beside another protocol', async () => {
    const make = (options: object): Server =>
      createSecureServer({ ...options, allowHTTP1: true }, (req, res) => res.end(req.httpVersion)) as never
    const { port, asked, heard } = await front({ make })
    const session = own(
      Object.assign(connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }), {}),
    )
    const stream = session.request()
    let text = ''
    for await (const chunk of stream) text += String(chunk)
    expect(text).toBe('2.0')
    const socket = connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['acme-tls/1', 'http/1.1'],
    })
    const got = ended(socket)
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(await got).toEqual({ protocol: 'http/1.1', name: 'DNS:localhost' })
    expect(asked).toEqual([])
    expect(heard).toEqual(['served', 'served'])
  })

  it.each([
    ['HTTP', 'GET / HTTP/1.1\r\n\r\n'],
    [
      'a record in the middle of its hello that is of another kind',
      Buffer.from('1603010005010000ff03170303000100', 'hex'),
    ],
    [
      'a hello with bytes behind its extensions',
      Buffer.concat([Buffer.from('160301002d01000029', 'hex'), Buffer.alloc(41, 3)]),
    ],
  ])('that sends %s is the server’s to refuse', async (_name, bytes) => {
    const { port, heard } = await front()
    const client = await rawClient(port)
    client.write(bytes)
    await client.closed
    expect(heard).toHaveLength(1)
    expect(await outcome(port, { ALPNProtocols: ['http/1.1'] })).toMatchObject({ name: 'DNS:localhost' })
  })

  it('that says nothing goes on to the server when the time for its first message is up', async () => {
    const timers = vi.spyOn(globalThis, 'setTimeout')
    try {
      const { server, port } = await front({
        make: (options) => createServer({ ...options, handshakeTimeout: 20 }),
      })
      const client = await rawClient(port)
      client.write(Buffer.from('160301', 'hex'))
      const [fn] = await until(() => timers.mock.calls.find(([, ms]) => ms === 10_000), 'its deadline')
      await until(() => count(server).then((connections) => connections === 1), 'the connection')
      ;(fn as () => void)()
      await client.closed
    } finally {
      timers.mockRestore()
    }
  })

  it('is not looked at while no challenge is open, or where that can’t be said', async () => {
    let isOpen = false
    const { server, port, asked } = await front({ on: () => isOpen })
    const served: Socket[] = []
    const seen = (socket: Socket): void => void served.push(socket)
    server.prependListener('connection', (socket) => {
      // Nobody but the server, which has taken it at once, has touched it.
      process.nextTick(() => socket.listenerCount('readable') === 0 && seen(socket))
    })
    expect(await outcome(port, asking('a.test'))).toEqual({ error: refused })
    expect(asked).toEqual([])
    expect(served).toHaveLength(1)
    isOpen = true
    expect(await outcome(port, asking('a.test'))).toMatchObject({ name: 'DNS:a.test' })
    const broken = await front({
      on: () => {
        throw new Error('no')
      },
    })
    expect(await outcome(broken.port, {})).toMatchObject({ name: 'DNS:localhost' })
  })
})

describe.skipIf(skip)('beside other things', () => {
  it('a PROXY header comes first where that is put last', async () => {
    const clients: (string | undefined)[] = []
    const { server, port } = await front({
      make: (options) =>
        createServer(options, (socket) => {
          clients.push(socket.remoteAddress)
          socket.end()
        }),
    })
    const undo = acceptProxyProtocol(server, { trust: () => true })
    const bytes = formatHeader(2, {
      command: 'proxy',
      family: 'inet',
      source: { address: '192.0.2.7', port: 1 },
      destination: { address: '192.0.2.1', port: 443 },
    })
    const relayed = (): Socket => {
      const socket = connectTcp({ port, host: '127.0.0.1' })
      socket.write(bytes)
      return socket
    }
    expect(await outcome(port, asking('a.test', { socket: relayed() }))).toMatchObject({ name: 'DNS:a.test' })
    expect(await outcome(port, { socket: relayed() })).toMatchObject({ name: 'DNS:localhost' })
    expect(clients).toEqual(['192.0.2.7'])
    undo()
    expect(await outcome(port, asking('a.test'))).toMatchObject({ name: 'DNS:a.test' })
  })

  it('a close waits for no challenge, and undone the server is as before', async () => {
    const { server, port, asked, undo } = await front({ answer: () => new Promise(() => {}) })
    const waits = outcome(port, asking('a.test'))
    await until(() => asked.length === 1, 'the question')
    const silent = await rawClient(port)
    await until(() => count(server).then((connections) => connections === 2), 'both')
    await within(new Promise((resolve) => server.close(resolve)), 'the close')
    await Promise.all([waits, silent.closed])
    undo()
    expect(Object.hasOwn(server, 'close')).toBe(false)
  })

  it('what it can’t stand before is refused', () => {
    const server = createServer()
    expect(() => alpnChallenges(createHttpServer() as never, open)).toThrow(
      /^server: got .*, takes one of node:tls/,
    )
    expect(() => alpnChallenges(undefined as never, open)).toThrow(/^server: got nothing/)
    expect(() => alpnChallenges(server, challenge as never)).toThrow(/^answer: got .*, takes a function/)
    expect(() => alpnChallenges(server, open, true as never)).toThrow(/^on: got true, takes a function/)
  })
})

/** What such a client says first. */
function helloOf(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({ read() {}, write: (chunk: Buffer) => resolve(chunk) })
    connect({ socket, ...options }).on('error', () => {})
  })
}

function count(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((_error, connections) => resolve(connections))
  })
}
