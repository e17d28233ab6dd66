import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { kubernetesTargets } from '@sluice/discovery'
import { http2Transport, type Transport, undiciTransport, wireTransport } from '@sluice/forward'
import { grpcProbe, http2Probe, httpProbe, type Probe, tlsProbe } from '@sluice/health'
import { httpProxyTransport } from '@sluice/http-proxy'
import { keyPairFiles } from '@sluice/tls'
import { type ClientIdentity, type ClientPair, createTarget, type TargetTls } from '@sluice/upstream'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { kubernetesServer } from '../kit/kubernetes-server.js'
import { owner } from '../kit/owner.js'
import { type Proxied, proxiedTo } from '../kit/proxied.js'
import { type SecureOrigin, secureOrigin } from '../kit/secure-origin.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'
import { warningsOf } from '../kit/warnings.js'
import { watched } from '../kit/watched.js'
import { x509Root } from '../kit/x509.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')

const root = await x509Root()
const ca = root.cert
const server = await root.issue({ names: ['localhost'] })
const [one, two, three] = (await Promise.all(
  ['one', 'two', 'three'].map((commonName) => root.issue({ commonName })),
)) as unknown as [ClientPair, ClientPair, ClientPair]
const [first, second, third] = ['CN=one', 'CN=two', 'CN=three']

/** An identity that a test replaces. */
function identityOf(current: unknown = one): { current: ClientPair } {
  return { current } as { current: ClientPair }
}

/** A target that serves none without a certificate. */
async function demanding(
  more: object = {},
  handler?: Parameters<typeof secureOrigin>[2],
): Promise<SecureOrigin> {
  const options = { key: server.key, cert: server.chain, ca, requestCert: true, rejectUnauthorized: true }
  return own(await secureOrigin({ ...options, ...more }, '127.0.0.1', handler))
}

const transports: readonly (readonly [string, () => Transport])[] = [
  ['wireTransport', () => wireTransport()],
  ['http2Transport', () => http2Transport()],
  ['http2Transport to a target that chooses HTTP/1.1', () => http2Transport()],
  ['undiciTransport', () => undiciTransport()],
  ['httpProxyTransport', () => httpProxyTransport()],
]
const places = transports.flatMap(([name, make]) =>
  (['target', 'upstream'] as const).map((place) => [name, place, make] as const),
)

describe.each(places)('a client certificate that is replaced, by %s, set for the %s', (name, place, make) => {
  const http1 = name.includes('HTTP/1.1') ? { ALPNProtocols: ['http/1.1'] } : {}

  async function through(origin: SecureOrigin, identity: ClientIdentity): Promise<Proxied> {
    const url = `https://localhost:${origin.port}`
    const tls: TargetTls = { ca, identity }
    const more = place === 'upstream' ? { tls } : {}
    return own(await proxiedTo(make(), place === 'target' ? { url, tls } : url, more))
  }

  async function ok(proxy: Proxied): Promise<void> {
    expect(await proxy.client.ask()).toMatchObject({ status: 200, text: 'secure' })
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is the one that the next request shows, over %s',
    async (maxVersion) => {
      const origin = await demanding({ maxVersion, ...http1 })
      const identity = identityOf()
      const proxy = await through(origin, identity)
      await ok(proxy)
      await ok(proxy)
      identity.current = two
      await ok(proxy)
      await ok(proxy)
      expect(origin.subjects).toEqual([first, first, second, second])
      // And no session of the old one was taken up: its connection would speak for that.
      expect(origin.shown).toEqual([first, second])
      expect(origin.resumed).toEqual([false, false])
      // The old connection had nothing to do.
      await until(() => origin.open === 1, 'the end of the old connection')
    },
  )

  it('leaves what is under way in peace, and ends its connection then', async () => {
    const held: ServerResponse[] = []
    const origin = await demanding(http1, (req, res) => {
      if (req.url === '/slow') {
        res.write('be')
        held.push(res)
      } else res.end('secure')
    })
    const identity = identityOf()
    const proxy = await through(origin, identity)
    const call = proxy.client.call({ path: '/slow' })
    await call.head
    identity.current = two
    await ok(proxy)
    expect(origin.open).toBe(2)
    held[0]?.end('gun')
    expect(await call.answer()).toMatchObject({ status: 200, text: 'begun', complete: true })
    await until(() => origin.open === 1, 'the end of the old connection')
    await ok(proxy)
    expect(origin.subjects).toEqual([first, second, second])
  })

  it('fails no request under load', async () => {
    const origin = await demanding(http1, (req, res) => {
      req.resume().on('end', () => setImmediate(() => res.end('secure')))
    })
    const identity = identityOf()
    const proxy = await through(origin, identity)
    const pairs = [one, two, three]
    const subjects = [first, second, third]
    const stop = deferred<void>()
    let over = false
    void stop.promise.then(() => {
      over = true
    })
    const answers: number[] = []
    const client = async (): Promise<void> => {
      while (!over) {
        const { status, complete } = await proxy.client.ask({ method: 'POST', body: 'x'.repeat(2_000) })
        answers.push(complete ? status : 0)
      }
    }
    const clients = Array.from({ length: 12 }, client)
    for (let turn = 1; turn <= 6; turn++) {
      identity.current = pairs[turn % 3] as ClientPair
      await until(() => origin.subjects.at(-1) === subjects[turn % 3], `requests by ${subjects[turn % 3]}`)
    }
    stop.resolve()
    await Promise.all(clients)
    expect(new Set(answers)).toEqual(new Set([200]))
    const begun = origin.subjects.length
    await ok(proxy)
    expect(origin.subjects.slice(begun)).toEqual([first])
    expect(proxy.errors).toEqual([])
  })

  it.each([
    ['a key that does not fit', () => ({ cert: two.cert, key: one.key })],
    ['no PEM', () => ({ cert: 'secret', key: 'secret' })],
    ['no certificate', () => ({ key: two.key })],
    ['nothing', () => undefined],
  ])('stays the last good one where the new one is bad: %s', async (_what, bad) => {
    const origin = await demanding(http1)
    const identity = identityOf()
    const proxy = await through(origin, identity)
    await ok(proxy)
    identity.current = bad() as ClientPair
    await ok(proxy)
    origin.cut()
    await until(() => origin.open === 0, 'the end of the connections')
    await ok(proxy)
    expect(new Set(origin.subjects)).toEqual(new Set([first]))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(
      `target https://localhost:${origin.port}: its new client certificate can't be used (`,
    )
    expect(warnings[0]).not.toContain('secret')
    identity.current = three
    await ok(proxy)
    expect(origin.subjects.at(-1)).toBe(third)
    expect(warnings).toHaveLength(1)
  })

  it('is the last good one where it has turned bad before the first request', async () => {
    const origin = await demanding(http1)
    const identity = identityOf()
    const proxy = await through(origin, identity)
    identity.current = undefined as never
    await ok(proxy)
    // And for targets that join.
    const joins = { url: `https://localhost:${origin.port}`, id: 'another' }
    proxy.upstream.replace([place === 'target' ? { ...joins, tls: { ca, identity } } : joins])
    await ok(proxy)
    expect(origin.subjects).toEqual([first, first])
  })

  it('goes with its target: a pool of the old one is left to nobody', async () => {
    const origin = await demanding(http1)
    const identity = identityOf()
    const proxy = await through(origin, identity)
    await ok(proxy)
    identity.current = two
    await ok(proxy)
    const other = await demanding(http1)
    proxy.upstream.replace([
      { url: `https://localhost:${other.port}`, ...(place === 'target' ? { tls: { ca, identity } } : {}) },
    ])
    await until(() => origin.open === 0, 'the end of its connections')
    await ok(proxy)
    expect(other.subjects).toEqual([second])
  })
})

const probes: readonly (readonly [string, Probe])[] = [
  ['httpProbe', httpProbe()],
  ['http2Probe', http2Probe()],
  ['tlsProbe', tlsProbe()],
]

it.each(probes)('probes show the certificate that counts now: %s', async (_name, probe) => {
  // In TLS 1.3 a probe that sends nothing is over before the target has looked.
  const origin = await demanding({ maxVersion: 'TLSv1.2' })
  const identity = identityOf()
  const target = createTarget({ url: `https://localhost:${origin.port}`, tls: { ca, identity } })
  const { signal } = new AbortController()
  await probe(target, signal, () => {})
  identity.current = two
  await probe(target, signal, () => {})
  await until(() => origin.shown.length === 2, 'both connections')
  expect(origin.shown).toEqual([first, second])
})

it.each([...probes.slice(0, 2), ['grpcProbe', grpcProbe()] as const])(
  'probes fail at once where the target takes no client without one: %s',
  async (_name, probe) => {
    const origin = await demanding()
    const target = createTarget({ url: `https://localhost:${origin.port}`, tls: { ca } })
    await expect(probe(target, new AbortController().signal, () => {})).rejects.toThrow()
    expect(origin.subjects).toEqual([])
  },
)

it("a registry's API is shown the certificate that counts now", async () => {
  const slices = [{ name: 'web-a', endpoints: [{ address: '10.0.0.1' }] }]
  const tls = { key: server.key, cert: server.chain, ca, requestCert: true, rejectUnauthorized: true }
  const kubernetes = own(await kubernetesServer('web', { slices, tls: tls as never }))
  const subjects: (string | undefined)[] = []
  kubernetes.instead = ({ res }) => {
    subjects.push((res.req.socket as TLSSocket).getPeerX509Certificate()?.subject)
    return false
  }
  const identity = identityOf()
  const api = { url: kubernetes.url, tls: { ca, identity, servername: 'localhost' } }
  const targets = own(watched(kubernetesTargets({ service: 'web', namespace: 'default', api })))
  await targets.set(1)
  const watch = await kubernetes.watch(0)
  expect(new Set(subjects)).toEqual(new Set([first]))
  identity.current = two
  watch.res.end()
  await kubernetes.watch(1)
  expect(subjects.at(-1)).toBe(second)
})

it('is an option of createProxy, with each kind of HTTP', async () => {
  for (const http2 of [false, 'alpn', 'prior-knowledge'] as const) {
    const origin = await demanding()
    const identity = identityOf()
    const upstream = { targets: [`https://localhost:${origin.port}`], tls: { ca, identity }, http2 }
    const proxy = createProxy({ upstreams: { api: upstream } })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen()
    const ask = async () => (await fetch(`http://127.0.0.1:${port}/`)).text()
    expect(await ask()).toBe('secure')
    identity.current = two
    expect(await ask()).toBe('secure')
    expect(origin.subjects).toEqual([first, second])
  }
})

it.each(transports)('a tunnel goes on when the certificate is replaced, by %s', async (_name, make) => {
  const origin = await demanding({ ALPNProtocols: ['http/1.1'] })
  origin.server.on('upgrade', (_req, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.on('data', (chunk: Buffer) => socket.write(`<${chunk}>`))
  })
  const identity = identityOf()
  const targets = [`https://localhost:${origin.port}`]
  const proxy = createProxy({ upstreams: { api: { targets, tls: { ca, identity }, transport: make() } } })
  own({ close: () => proxy.close({ drain: 0 }) })
  const { port } = await proxy.listen()
  const tunnel = connect(port, '127.0.0.1')
  own({ close: () => tunnel.destroy() })
  let said = ''
  tunnel.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  tunnel.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  await until(() => said.includes('\r\n\r\n'), 'the upgrade')
  const ask = async () => (await fetch(`http://127.0.0.1:${port}/`)).text()
  expect(await ask()).toBe('secure')
  identity.current = two
  expect(await ask()).toBe('secure')
  // The first request's connection ends, and what is open is the tunnel and the last one's.
  await until(() => origin.open === 2, 'the end of the old connection')
  tunnel.write('still there?')
  await until(() => said.endsWith('<still there?>'), 'an answer')
  expect(origin.subjects.at(-1)).toBe(second)
})

const narrow: readonly (readonly [string, () => Transport])[] = [
  ['wireTransport', () => wireTransport({ connections: 1 })],
  ['http2Transport', () => http2Transport({ sessions: 1, streams: 1 })],
  ['undiciTransport', () => undiciTransport({ connections: 1 })],
  ['httpProxyTransport', () => httpProxyTransport({ connections: 1 })],
]

it.each(narrow)('requests that wait in line meanwhile are served, by %s', async (_name, make) => {
  const held: ServerResponse[] = []
  const origin = await demanding({}, (req, res) => {
    if (req.url === '/slow') held.push(res)
    else res.end('secure')
  })
  const identity = identityOf()
  const url = `https://localhost:${origin.port}`
  const proxy = own(await proxiedTo(make(), { url, tls: { ca, identity } }))
  const slow = proxy.client.ask({ path: '/slow' })
  await until(() => held.length === 1, 'the first request')
  const waiting = Array.from({ length: 5 }, () => proxy.client.ask())
  await until(() => proxy.upstream.all[0]?.inFlight === 6, 'those that wait')
  identity.current = two
  expect(await proxy.client.ask()).toMatchObject({ status: 200 })
  expect(origin.subjects).toEqual([first, second])
  held[0]?.end('secure')
  for (const answer of await Promise.all([slow, ...waiting]))
    expect(answer).toMatchObject({ status: 200, text: 'secure' })
  await until(() => origin.open === 1, 'the end of the old connections')
  expect(proxy.errors).toEqual([])
})

it('comes from files that are replaced under load', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-identity-'))
  own({ close: () => rmSync(folder, { recursive: true, force: true }) })
  const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  const put = ({ cert, key }: ClientPair): void => {
    for (const [file, text] of [
      [certFile, cert],
      [keyFile, key],
    ] as const) {
      writeFileSync(`${file}.new`, text)
      renameSync(`${file}.new`, file)
    }
  }
  put(one)
  const identity = keyPairFiles({ certFile, keyFile })
  own({ close: () => identity[Symbol.dispose]() })
  const origin = await demanding()
  const proxy = createProxy({
    upstreams: { api: { targets: [`https://localhost:${origin.port}`], tls: { ca, identity } } },
  })
  own({ close: () => proxy.close({ drain: 0 }) })
  const { port } = await proxy.listen()
  let over = false
  const client = async (): Promise<void> => {
    while (!over) expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('secure')
  }
  const clients = [client(), client(), client()]
  for (const [pair, subject] of [
    [two, second],
    [three, third],
    [one, first],
  ] as const) {
    put(pair)
    await until(() => origin.subjects.at(-1) === subject, `requests by ${subject}`)
  }
  over = true
  await Promise.all(clients)
})
