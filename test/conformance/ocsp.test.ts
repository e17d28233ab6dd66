import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'
import { createServer as createHttps } from 'node:https'
import {
  type AddressInfo,
  connect as connectTo,
  createServer as createNetServer,
  type Socket,
} from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  createServer,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'
import { type OcspStapler, ocspStapler } from '@sluice/tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { type OcspBehaviour, ocspAnswerOf, ocspResponder } from '../kit/ocsp-responder.js'
import { owner } from '../kit/owner.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, patience, until, within } from '../kit/until.js'
import { type X509Issuer, type X509Pair, x509Root } from '../kit/x509.js'

trapUnhandled()
const own = owner()
const hasOpenssl = spawnSync('openssl', ['version']).error === undefined

let root: X509Issuer
beforeAll(async () => {
  root = await x509Root()
})

const optionsOf = (...pairs: readonly X509Pair[]): TlsOptions => ({
  cert: pairs.map(({ cert }) => cert + root.cert),
  key: pairs.map(({ key }) => key),
})

function staplerOf(wait: number = patience): OcspStapler {
  const stapler = ocspStapler({ wait, onFault: () => {} })
  own({ close: () => stapler[Symbol.dispose]() })
  return stapler
}

async function listening<S extends Server>(server: S): Promise<{ server: S; port: number }> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('secureConnection', (socket) => socket.on('error', () => {}))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  own({
    close: async () => {
      for (const each of sockets) each.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  })
  return { server, port: (server.address() as AddressInfo).port }
}

type ClientOptions = ConnectionOptions & { requestOCSP?: boolean }

/** A client that asks for a staple. */
function clientOf(port: number, options: ClientOptions = {}): TLSSocket {
  const given = {
    host: '127.0.0.1',
    port,
    servername: 'a.test',
    ca: root.cert,
    requestOCSP: true,
    ...options,
  }
  const client = connect(given)
  own({ close: () => client.destroy() })
  return client
}

/** What a client gets stapled; `undefined` where that is nothing. Rejects where there is no connection. */
async function stapled(port: number, options: ClientOptions = {}): Promise<Buffer | undefined> {
  const client = clientOf(port, options)
  let staple: Buffer | undefined
  client.on('OCSPResponse', (response: Buffer | null) => {
    if (response !== null && response.length > 0) staple = response
  })
  const done = new Promise<void>((resolve, reject) => {
    client.on('secureConnect', resolve)
    client.on('error', reject)
    client.on('close', () => reject(new Error('closed')))
  })
  await within(done, 'the handshake')
  client.destroy()
  return staple
}

const responding = async (as?: OcspBehaviour): Promise<string> =>
  own(await ocspResponder(as ?? ((question) => ocspAnswerOf(question, root)))).url

describe.each<[string, (options: TlsOptions) => Server]>([
  ['tls', (options) => createServer(options)],
  ['https', (options) => createHttps(options)],
  ['http2', (options) => createSecureServer(options)],
])('a staple of a server of node:%s', (_, make) => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('goes to who asks for it, in %s', async (version) => {
    const pair = await root.issue({ names: ['a.test'], ocsp: await responding() })
    const stapler = staplerOf()
    const { server, port } = await listening(make(optionsOf(pair)))
    const options = { minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] }
    const undo = stapler.attach(server)
    const expected = await stapler.preload(pair.der, root.der)
    expect(expected).toBeDefined()
    expect(await stapled(port, options)).toEqual(expected)
    expect(await stapled(port, { ...options, requestOCSP: false })).toBeUndefined()
    undo()
    expect(await stapled(port, options)).toBeUndefined()
  })
})

describe('a staple', () => {
  it('is that of the certificate which SNI has chosen', async () => {
    const ocsp = await responding()
    const [fallback, chosen] = await Promise.all([
      root.issue({ names: ['fallback.test'], ocsp }),
      root.issue({ names: ['a.test'], ocsp }),
    ])
    const context = createSecureContext(optionsOf(chosen))
    const stapler = staplerOf()
    const { server, port } = await listening(
      createServer({
        ...optionsOf(fallback),
        SNICallback: (name, done) => done(null, name === 'a.test' ? context : undefined),
      }),
    )
    stapler.attach(server)
    const staples = [
      await stapler.preload(fallback.der, root.der),
      await stapler.preload(chosen.der, root.der),
    ]
    expect(staples[0]).not.toEqual(staples[1])
    expect(await stapled(port, { servername: 'fallback.test' })).toEqual(staples[0])
    expect(await stapled(port)).toEqual(staples[1])
  })

  it('is none where it might be that of the other kind of key', async () => {
    const ocsp = await responding()
    const [ecdsa, rsa] = await Promise.all([
      root.issue({ names: ['a.test'], ocsp }),
      root.issue({ names: ['a.test'], ocsp, keyType: 'rsa' }),
    ])
    const stapler = staplerOf()
    const { server, port } = await listening(createServer(optionsOf(ecdsa, rsa)))
    stapler.attach(server)
    for (const each of [ecdsa, rsa]) expect(await stapler.preload(each.der, root.der)).toBeDefined()
    expect(await stapled(port)).toBeUndefined()
    expect(await stapled(port, { sigalgs: 'RSA-PSS+SHA256' })).toBeUndefined()
    server.setSecureContext(optionsOf(rsa))
    expect(await stapled(port)).toBeDefined()
  })

  it('is none where the issuer is not in the chain, and without it nothing is asked', async () => {
    const pair = await root.issue({ names: ['a.test'], ocsp: await responding(), mustStaple: true })
    const { server, port } = await listening(createServer({ cert: pair.cert, key: pair.key }))
    staplerOf().attach(server)
    expect(await stapled(port)).toBeUndefined()
  })

  it('is none of a server that has no certificate for who names nobody', async () => {
    const pair = await root.issue({ names: ['a.test'], ocsp: await responding() })
    const context = createSecureContext(optionsOf(pair))
    const { server, port } = await listening(createServer({ SNICallback: (_, done) => done(null, context) }))
    const stapler = staplerOf()
    stapler.attach(server)
    expect(await stapler.preload(pair.der, root.der)).toBeDefined()
    await expect(stapled(port, { servername: '' })).rejects.toThrow()
    expect(await stapled(port)).toBeDefined()
  })

  it('is not asked for on a session that goes on', async () => {
    const pair = await root.issue({ names: ['a.test'], ocsp: await responding() })
    const { server, port } = await listening(createServer({ ...optionsOf(pair), maxVersion: 'TLSv1.2' }))
    let asked = 0
    staplerOf().attach(server)
    server.prependListener('OCSPRequest', () => asked++)
    const session = deferred<Buffer>()
    const first = clientOf(port)
    first.on('session', (each: Buffer) => session.resolve(each))
    const given = await within(session.promise, 'the session')
    expect(asked).toBe(1)
    expect(await stapled(port, { session: given })).toBeUndefined()
    expect(asked).toBe(1)
  })

  it('keeps no handshake waiting where the certificate need not have one, though the responder says nothing', async () => {
    const asked = deferred()
    const pair = await root.issue({
      names: ['a.test'],
      ocsp: await responding(() => {
        asked.resolve()
        return undefined
      }),
    })
    const { server, port } = await listening(createServer(optionsOf(pair)))
    staplerOf().attach(server)
    expect(await stapled(port)).toBeUndefined()
    await within(asked.promise, 'the question')
    expect(await stapled(port)).toBeUndefined()
  })

  it('goes with the very first handshake where the certificate must have one', async () => {
    const pair = await root.issue({ names: ['a.test'], ocsp: await responding(), mustStaple: true })
    const { server, port } = await listening(createServer(optionsOf(pair)))
    staplerOf().attach(server)
    expect(await stapled(port)).toBeDefined()
  })

  it('is given up after its time, and the handshake goes on without it', async () => {
    const pair = await root.issue({
      names: ['a.test'],
      ocsp: await responding(() => undefined),
      mustStaple: true,
    })
    const { server, port } = await listening(createServer(optionsOf(pair)))
    staplerOf(20).attach(server)
    expect(await stapled(port)).toBeUndefined()
  })

  it('that comes after its client has left harms nobody', async () => {
    const answer = deferred()
    const asked = deferred()
    const ocsp = await responding((question, response) => {
      asked.resolve()
      void answer.promise.then(() => response.end(ocspAnswerOf(question, root)))
      return undefined
    })
    const pair = await root.issue({ names: ['a.test'], ocsp, mustStaple: true })
    const { server, port } = await listening(createServer(optionsOf(pair)))
    const stapler = staplerOf()
    stapler.attach(server)
    const gone = new Promise((resolve) => server.on('tlsClientError', resolve))
    const early = stapled(port)
    early.catch(() => {})
    await within(asked.promise, 'the question')
    const leaving = clientOf(port)
    leaving.on('error', () => {})
    await new Promise((resolve) => leaving.on('connect', resolve))
    leaving.destroy()
    await within(gone, 'the end of its connection')
    answer.resolve()
    expect(await early).toBeDefined()
    expect(await stapled(port)).toBeDefined()
  })
})

describe('a responder that lies', () => {
  const outcomes: [string, OcspBehaviour][] = [
    ['of another certificate', () => ocspAnswerOf(otherQuestion as Buffer, root)],
    ['with a wrong signature', (question) => ocspAnswerOf(question, root, { signedBy: stranger })],
    [
      'by one whom nobody has named',
      (question) => ocspAnswerOf(question, root, { by: neighbour, along: [neighbour.der] }),
    ],
    ['of the past', (question) => ocspAnswerOf(question, root, { nextUpdate: Date.now() - 60_000 })],
    ['of the future', (question) => ocspAnswerOf(question, root, { thisUpdate: Date.now() + 3_600_000 })],
    ['that it tells later', (question) => ocspAnswerOf(question, root, { code: 3 })],
    ['that it does not know', (question) => ocspAnswerOf(question, root, { status: 'unknown' })],
    ['that it is revoked', (question) => ocspAnswerOf(question, root, { status: 'revoked' })],
    ['garbage', () => Buffer.alloc(3_000, 0x30)],
  ]
  let stranger: X509Issuer
  let neighbour: X509Pair
  let otherQuestion: Buffer | undefined
  beforeAll(async () => {
    stranger = await x509Root()
    neighbour = await root.issue({ names: ['b.test'] })
    const ocsp = await ocspResponder((question) => {
      otherQuestion = question
      return Buffer.alloc(0)
    })
    const other = await root.issue({ names: ['c.test'], ocsp: ocsp.url })
    const stapler = ocspStapler()
    await stapler.preload(other.der, root.der)
    stapler[Symbol.dispose]()
    await ocsp.close()
  })

  it.each(outcomes)('%s has nothing stapled, and every handshake succeed', async (_, as) => {
    const pair = await root.issue({ names: ['a.test'], ocsp: await responding(as), mustStaple: true })
    const { server, port } = await listening(createServer(optionsOf(pair)))
    const stapler = staplerOf()
    stapler.attach(server)
    expect(await stapled(port)).toBeUndefined()
    expect(await stapler.preload(pair.der, root.der)).toBeUndefined()
    expect(await stapled(port)).toBeUndefined()
  })
})

describe.skipIf(skipUnless(hasOpenssl, 'openssl is not installed'))(
  "with openssl's responder and client",
  () => {
    /** A port for what is not there yet: openssl reads its index when it starts, and certificates name its port. */
    async function placeFor(): Promise<{ url: string; take(port: number): void }> {
      let to = 0
      const server = createNetServer((socket) => {
        const other = connectTo(to, '127.0.0.1')
        for (const each of [socket, other]) each.on('error', () => {})
        socket.pipe(other).pipe(socket)
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      own({ close: () => new Promise((resolve) => server.close(resolve)) })
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const take = (port: number): void => {
        to = port
      }
      return { url, take }
    }

    /** A real responder over an index of certificates. */
    async function opensslResponder(ca: X509Issuer, index: readonly string[]): Promise<number> {
      const folder = mkdtempSync(join(tmpdir(), 'ocsp-'))
      const at = (name: string): string => join(folder, name)
      writeFileSync(at('index'), index.map((line) => `${line}\n`).join(''))
      writeFileSync(at('ca.pem'), ca.cert)
      writeFileSync(at('key.pem'), ca.key)
      const signer = ['-rsigner', at('ca.pem'), '-rkey', at('key.pem')]
      const what = ['-index', at('index'), '-CA', at('ca.pem'), ...signer, '-ndays', '2']
      const child = spawn('openssl', ['ocsp', '-port', '0', ...what])
      const said = outputOf(child)
      own({
        close: async () => {
          const ended = new Promise((resolve) => child.on('close', resolve))
          child.kill('SIGKILL')
          await ended
          rmSync(folder, { recursive: true, force: true })
        },
      })
      const port = await until(
        () => /ACCEPT .*:(\d+)/.exec(said())?.[1],
        () => `openssl ocsp: ${said()}`,
      )
      return Number(port)
    }

    const statusSeenBy = async (port: number): Promise<string> => {
      const where = ['-connect', `127.0.0.1:${port}`, '-servername', 'a.test']
      const client = spawn('openssl', ['s_client', ...where, '-status'])
      const said = outputOf(client)
      client.stdin.end('Q\n')
      await within(new Promise((resolve) => client.on('close', resolve)), 'openssl s_client')
      expect(said()).toContain('subject=CN')
      if (said().includes('OCSP response: no response sent')) return 'none'
      return /Cert Status: (\w+)/.exec(said())?.[1] ?? said()
    }

    it('staples what it says where that is good', async () => {
      const place = await placeFor()
      const issue = (): Promise<X509Pair> =>
        root.issue({ names: ['a.test'], ocsp: place.url, mustStaple: true })
      const [good, revoked, unknown] = [await issue(), await issue(), await issue()]
      const line = (state: string, { serialNumber }: X509Pair): string =>
        `${state}\t${serialNumber.toUpperCase()}\tunknown\t/CN=a.test`
      const index = [
        line('V\t490101000000Z\t', good),
        line('R\t490101000000Z\t240101000000Z,keyCompromise', revoked),
      ]
      place.take(await opensslResponder(root, index))
      for (const [pair, expected] of [
        [good, 'good'],
        [revoked, 'none'],
        [unknown, 'none'],
      ] as const) {
        const { server, port } = await listening(createServer(optionsOf(pair)))
        staplerOf().attach(server)
        expect(await statusSeenBy(port)).toBe(expected)
      }
    })
  },
)

function outputOf(child: ChildProcessWithoutNullStreams): () => string {
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => {
      output += String(text)
    })
  return () => output
}
