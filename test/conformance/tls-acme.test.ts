import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { AcmeEvent, AcmeOptions } from '@sluice/acme'
import { createProxy, type Proxy, type TlsOptions } from 'sluice'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { acmeFolder } from '../kit/acme-site.js'
import { leakCheck } from '../kit/leak-check.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { hasPebble, type Pebble, pebble, startPatience } from '../kit/pebble.js'
import { type Program, program } from '../kit/program.js'
import { hasRedis, redisServer } from '../kit/redis-server.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, patience, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const events: AcmeEvent[] = []
const note = (event: unknown): void => void events.push(event as AcmeEvent)
const kinds = (): string[] => events.map(({ kind }) => kind)
beforeEach(() => {
  events.length = 0
  subscribe('sluice:acme', note)
})
afterEach(() => void unsubscribe('sluice:acme', note))

/** Of an authority, but for what a test is about. */
const authority = ({ directory, ca }: Pebble): Pick<AcmeOptions, 'agreeToTerms' | 'ca' | 'directory'> => ({
  agreeToTerms: true,
  ca,
  directory,
})

/** A proxy that listens where an authority looks, unless told otherwise. */
async function listening(
  server: Pebble,
  acme: Partial<AcmeOptions>,
  { port = server.tlsPort, target, ...tls }: Partial<TlsOptions> & { port?: number; target?: string } = {},
): Promise<{ proxy: Proxy; port: number }> {
  const url = target ?? own(await originServer((_req, res) => void res.end('ok'))).url
  const proxy = createProxy({
    upstreams: { default: url },
    tls: { ...tls, acme: { ...authority(server), ...acme } },
  })
  own({ close: () => proxy.close({ drain: 0 }) })
  return { proxy, port: (await proxy.listen(port)).port }
}

/** A connection, whoever has signed the certificate. */
async function handshake(port: number, servername: string): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false })
  own({ close: () => socket.destroy() })
  await within(once(socket, 'secureConnect'), `a handshake for ${servername}`)
  return socket
}

/** Names and serial number of the certificate that a client gets. */
async function served(port: number, servername: string): Promise<[string | undefined, string]> {
  const socket = await handshake(port, servername)
  const { serialNumber, subjectaltname } = socket.getPeerCertificate()
  socket.destroy()
  return [subjectaltname, serialNumber]
}

const held = ({ tls }: Proxy): number | undefined => tls?.acme?.certificates()[0]?.notAfter
const issued = (proxy: Proxy): Promise<number> => until(() => held(proxy), 'the certificate')

describe.skipIf(skipUnless(hasPebble, 'pebble is not installed'))('tls.acme', () => {
  /** For the tests that neither end it nor want it otherwise. */
  let shared: Pebble
  beforeAll(async () => {
    shared = await pebble()
  }, startPatience)
  afterAll(() => shared.close())

  it('orders a certificate for the name of a handshake where it is allowed, and none where it is not', async () => {
    const folder = own(acmeFolder())
    const asked: string[] = []
    const allow = (name: string): boolean => {
      asked.push(name)
      return name.endsWith('.shop.test')
    }
    const { port } = await listening(shared, { storage: folder.path, onDemand: { allow } })
    const both = await Promise.all(['one', 'one'].map((name) => served(port, `${name}.shop.test`)))
    expect(both[0]).toEqual(both[1])
    expect(both[0]?.[0]).toBe('DNS:one.shop.test')
    for (const name of ['evil.test', 'evil.test', 'evil.test'])
      await expect(handshake(port, name)).rejects.toThrow(/unrecognized name/)
    expect(asked).toEqual(['one.shop.test', 'evil.test'])
    expect(kinds()).toEqual(['ordering', 'issued', 'refused'])
  })

  it('renews in time, and drops no connection for it', async () => {
    const server = own(await pebble({ validity: 6 }))
    const folder = own(acmeFolder())
    const { proxy, port } = await listening(server, { storage: folder.path, domains: ['short.test'] })
    await issued(proxy)
    const [, first] = await served(port, 'short.test')
    const kept = await handshake(port, 'short.test')
    await until(() => kinds().filter((kind) => kind === 'issued').length === 2, 'another')
    const [names, second] = await served(port, 'short.test')
    expect(names).toBe('DNS:short.test')
    expect(second).not.toBe(first)
    kept.write('GET / HTTP/1.1\r\nHost: short.test\r\nConnection: close\r\n\r\n')
    const [chunk] = await once(kept, 'data')
    expect(String(chunk)).toMatch(/^HTTP\/1.1 200/)
    expect(kinds()).not.toContain('failed')
  })

  it('serves what is stored where the authority is gone, and has an alert for all others', async () => {
    const server = own(await pebble())
    const folder = own(acmeFolder())
    const acme = { storage: folder.path, domains: ['have.test'] }
    const before = await listening(server, acme)
    await issued(before.proxy)
    const had = await served(before.port, 'have.test')
    await before.proxy.close()
    await server.kill()
    const { proxy, port } = await listening(
      server,
      { ...acme, domains: ['have.test', 'want.test'] },
      { certificateOptions: { fallback: 'none' } },
    )
    // Before anything has failed, and after.
    expect(await served(port, 'have.test')).toEqual(had)
    await expect(handshake(port, 'want.test')).rejects.toThrow(/unrecognized name/)
    await until(() => kinds().includes('failed'), 'a failure')
    expect(await served(port, 'have.test')).toEqual(had)
    await expect(handshake(port, 'want.test')).rejects.toThrow(/unrecognized name/)
    expect(proxy.tls?.acme?.certificates()).toMatchObject([
      { names: ['have.test'], failures: 0 },
      { names: ['want.test'], failures: 1, notAfter: undefined },
    ])
  })

  it('answers TLS-ALPN-01 of another proxy, though it has all that it wants', async () => {
    const server = shared
    const acme = {
      storage: own(acmeFolder()).path,
      domains: ['both.test'],
      challenges: ['tls-alpn-01'],
    } as const
    const one = await listening(server, acme)
    await issued(one.proxy)
    const other = await listening(server, acme, { port: 0 })
    await issued(other.proxy)
    events.length = 0
    // Nobody looks for this one: the authority comes to the first.
    await other.proxy.tls?.acme?.revoke('both.test', 4)
    await until(() => kinds().includes('issued') || kinds().includes('failed'), 'an end')
    expect(kinds()).toEqual(['revoked', 'ordering', 'issued'])
  })

  it('leaves nothing behind when the proxy is closed in the middle of an order', async () => {
    const server = own(await pebble({ sleep: 5 }))
    const origin = own(await originServer())
    const folder = own(acmeFolder())
    const left = async () =>
      (await readdir(folder.path, { recursive: true })).filter((name) => /challenges\/.*json$/.test(name))
    const leaks = leakCheck()
    const acme = { storage: folder.path, domains: ['middle.test'] }
    const { proxy } = await listening(server, acme, { target: origin.url, redirect: 0 })
    await until(async () => (await left()).length > 0, 'an answer')
    await within(proxy.close(), 'close()')
    expect(await left()).toEqual([])
    await leaks.settled()
    expect(kinds()).toEqual(['ordering'])
  })

  it('gives orders up when the proxy begins to close, for nobody comes in to ask any more', async () => {
    const server = shared
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        await go.promise
        res.end('late')
      }),
    )
    const acme = { storage: own(acmeFolder()).path, domains: ['drain.test'] }
    const { proxy, port } = await listening(server, acme, { target: origin.url })
    await issued(proxy)
    const client = await handshake(port, 'drain.test')
    client.write('GET / HTTP/1.1\r\nHost: drain.test\r\n\r\n')
    await origin.request()
    const closing = proxy.close({ drain: patience })
    expect(proxy.tls?.acme?.hasChallenges()).toBe(false)
    go.resolve()
    const [chunk] = await once(client, 'data')
    expect(String(chunk)).toMatch(/^HTTP\/1.1 200/)
    client.resume()
    await within(closing, 'close()')
  })

  const script = fileURLToPath(new URL('tls-acme-process.mjs', import.meta.url))
  /** What a process has said. */
  const said = ({ output }: Program): readonly Record<string, unknown>[] =>
    output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))

  /** Two proxies, each a process, with one storage. Whoever the authority asks, each has the answer of both. */
  async function sharing(storage: object): Promise<void> {
    const server = shared
    const origin = own(await originServer())
    const names = ['one.test', 'two.test']
    const options = { ...authority(server), ca: String(server.ca), domains: names, challenges: ['http-01'] }
    const ports: number[] = []
    const statuses: number[][] = []
    const listen = deferred()
    const front = createServer(async (req, res) => {
      await listen.promise
      const all = await Promise.all(ports.map((port) => fetch(`http://127.0.0.1:${port}${req.url}`)))
      statuses.push(all.map(({ status }) => status))
      const texts = await Promise.all(all.map((each) => each.text()))
      res.end(new Set(texts).size === 1 ? texts[0] : 'they differ')
    }).listen(server.httpPort, '127.0.0.1')
    own({
      close: () => {
        front.closeAllConnections()
        front.close()
      },
    })
    await once(front, 'listening')
    const start = (): Program =>
      own(program([script, JSON.stringify({ ...options, ...storage, target: origin.url })]))
    const both = [start(), start()]
    const at = await Promise.all(
      both.map(async (each) => {
        const [, secure, plain] = await each.says(/"listens","secure":(\d+),"plain":(\d+)/)
        return { secure: Number(secure), plain: Number(plain) }
      }),
    )
    ports.push(...at.map(({ plain }) => plain))
    listen.resolve()
    for (const each of both)
      await until(
        () => said(each).filter(({ kind }) => kind === 'issued' || kind === 'loaded').length === names.length,
        () => `its certificates: ${each.output}`,
      )
    const all = both.flatMap(said)
    expect(all.filter(({ kind }) => kind === 'issued').map((each) => String(each['names']))).toHaveLength(2)
    expect(all.filter(({ kind }) => kind === 'failed')).toEqual([])
    expect(statuses.length).toBeGreaterThanOrEqual(2)
    expect(statuses.flat().every((status) => status === 200)).toBe(true)
    for (const name of names) {
      const [one, other] = await Promise.all(at.map(({ secure }) => served(secure, name)))
      expect(one).toEqual(other)
      expect(one?.[0]).toBe(`DNS:${name}`)
    }
  }

  it('is ordered once by two processes that share a folder, each of which answers for the other', () =>
    sharing({ storage: own(acmeFolder()).path }))

  it.skipIf(skipUnless(hasRedis, 'redis-server is not installed'))(
    'is ordered once by two processes that share Redis, each of which answers for the other',
    async () => sharing({ redis: own(await redisServer()).path }),
  )
})
