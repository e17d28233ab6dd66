import { type AddressInfo, connect, createServer, type LookupFunction, type Server } from 'node:net'
import { ProxyError } from '@sluice/core'
import { dial, safeTargets, undiciTransport, wireTransport } from '@sluice/forward'
import { type HealthOptions, healthCheck } from '@sluice/health'
import { createUpstream, type StateChange, type Upstream } from '@sluice/upstream'
import { createProxy, type UpstreamOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { targetOf } from '../kit/attempt.js'
import { httpClient } from '../kit/client.js'
import { http2Origin } from '../kit/http2-origin.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const header = { 1: 'PROXY UNKNOWN\r\n', 2: '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0' } as const
const named = /^PROXY TCP[46] |^\r\n\r\n\0\r\nQUIT\n\x21/

/**
 * In front of a server, as `accept-proxy` of HAProxy is: connections begin with a header of the PROXY protocol, or end. Whom that names is noted: a
 * client, or nobody.
 */
async function demanding(
  to: number,
  version: 1 | 2,
): Promise<{ port: number; seen: ('client' | 'nobody')[] }> {
  const seen: ('client' | 'nobody')[] = []
  const server: Server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (first: Buffer) => {
      const text = first.toString('latin1')
      const nobody = text.startsWith(header[version])
      if (!nobody && !named.test(text)) return void socket.destroy()
      seen.push(nobody ? 'nobody' : 'client')
      const end = version === 1 ? text.indexOf('\r\n') + 2 : 16 + first.readUInt16BE(14)
      const below = connect(to, '127.0.0.1')
      below.on('error', () => socket.destroy())
      socket.on('close', () => below.destroy())
      below.write(first.subarray(end))
      socket.pipe(below).pipe(socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  own({ close: () => new Promise((resolve) => server.close(resolve)) })
  return { port: (server.address() as AddressInfo).port, seen }
}

/** A proxy whose targets are probed quickly, and what has become of the first of them. */
async function probed(
  options: UpstreamOptions,
): Promise<{ upstream: Upstream; judged: Promise<string>; port: number }> {
  const proxy = own(createProxy({ upstreams: { x: options } }))
  const upstream = proxy.upstreams.get('x') as Upstream
  const judged = new Promise<string>((resolve) => {
    upstream.on('state', ({ target, to, reason }: StateChange) => {
      if (target === upstream.all[0]) resolve(to === 'healthy' ? to : `${to}: ${reason}`)
    })
  })
  const { port } = await proxy.listen()
  return { upstream, judged: within(judged, 'a verdict'), port }
}

const quick = { interval: 20, unhealthyInterval: 20, fall: 1 } as const
const tls = { verify: false } as const

describe('probes of targets that want a header of the PROXY protocol', () => {
  it.each([
    [1, 'http', false],
    [2, 'http', false],
    [2, 'http', true],
    [1, 'tcp', false],
    [1, 'tls', true],
    [2, 'h2', true],
    [1, 'h2', false],
  ] as const)('version %s by %s find them fit, TLS: %s, and name nobody', async (version, type, secure) => {
    const origin =
      type === 'h2' || secure
        ? own(await http2Origin(undefined, { tls: secure, allowHTTP1: true }))
        : own(await originServer())
    if (secure && type === 'http')
      origin.server.on('request', (req, res) => req.httpVersion === '1.1' && res.end())
    const { port, seen } = await demanding(origin.port, version)
    const url = `${secure ? 'https' : 'http'}://127.0.0.1:${port}`
    const health: HealthOptions = { type, ...quick }
    const { judged } = await probed({
      targets: [url],
      proxyProtocol: version,
      health,
      ...(secure ? { tls } : {}),
    })
    expect(await judged).toBe('healthy')
    await until(() => seen.length > 0, 'a header at the target')
    expect(new Set(seen)).toEqual(new Set(['nobody']))
  })

  it('are in vain without it, as requests are', async () => {
    const origin = own(await originServer())
    const { port } = await demanding(origin.port, 1)
    const { judged } = await probed({ targets: [`http://127.0.0.1:${port}`], health: quick })
    expect(await judged).toMatch(/^unhealthy/)
  })
})

describe('probes where a connect hook says where connections go', () => {
  const lookup: LookupFunction = (_name, { all }, callback) =>
    all === true ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4)
  const hook = { check() {}, lookup }

  it.each([
    ['of the upstream', (targets: string[]) => ({ targets, connect: hook })],
    ['of a transport', (targets: string[]) => ({ targets, transport: wireTransport({ connect: hook }) })],
    ['of one in a list', (targets: string[]) => ({ targets, transport: [wireTransport({ connect: hook })] })],
  ])('go by the one %s: a name that it alone resolves', async (_, options) => {
    const origin = own(await originServer())
    const made = options([`http://app.sluice-test.invalid:${origin.port}`]) as UpstreamOptions
    const { judged, port } = await probed({ ...made, health: quick })
    expect(await judged).toBe('healthy')
    expect((await own(httpClient({ port })).ask()).status).toBe(200)
  })

  it('go nowhere that it forbids', async () => {
    const origin = own(await originServer())
    const { judged } = await probed({
      targets: [origin.url],
      connect: safeTargets({ allow: [] }),
      health: quick,
    })
    expect(await judged).toMatch(/^unhealthy.*no target may be at/)
    expect(origin.connections).toBe(0)
  })

  it('go as ever where a transport has none', async () => {
    const origin = own(await originServer())
    const { judged } = await probed({ targets: [origin.url], transport: undiciTransport(), health: quick })
    expect(await judged).toBe('healthy')
  })
})

describe('probes of targets that are known to speak HTTP/2', () => {
  it('ask over HTTP/2 by themselves, and as `type` says where it is given', async () => {
    const origin = own(await http2Origin())
    const options: UpstreamOptions = { targets: [origin.url], http2: 'prior-knowledge' }
    expect(await (await probed({ ...options, health: quick })).judged).toBe('healthy')
    expect(await (await probed({ ...options, health: { ...quick, type: 'http' } })).judged).toMatch(
      /^unhealthy/,
    )
  })
})

describe('dial', () => {
  it('gives a connection that an abort ends, then and later', async () => {
    const origin = own(await originServer())
    const target = targetOf(origin.url)
    const later = new AbortController()
    const socket = await dial()(target, later.signal)
    later.abort()
    await until(() => socket.destroyed && origin.sockets === 0, 'the end of the connection')
    await expect(dial()(target, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('rejects with what refuses a connection, and with what a hook throws', async () => {
    const { signal } = new AbortController()
    await expect(dial()(targetOf('http://127.0.0.1:1'), signal)).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    })
    const check = (): void => {
      throw new ProxyError('destination_ip_prohibited')
    }
    const refused = dial({ connect: { check } })(targetOf('http://127.0.0.1:1'), signal)
    await expect(refused).rejects.toMatchObject({ code: 'destination_ip_prohibited' })
  })

  it('refuses wrong options', () => {
    expect(() => dial({ proxyProtocol: 3 as never, connect: 'x' as never })).toThrow(
      /dial\.connect: got .*\n.*dial\.proxyProtocol: got 3, takes 1 or 2/,
    )
  })

  it('is what `healthCheck` may be given by itself', async () => {
    const origin = own(await originServer())
    const { port } = await demanding(origin.port, 2)
    const upstream = createUpstream({ name: 'x', targets: [`http://127.0.0.1:${port}`] })
    const checks = healthCheck(upstream, quick, { dial: dial({ proxyProtocol: 2 }) })
    own({ close: () => Promise.resolve(checks[Symbol.dispose]()) })
    await until(() => upstream.all[0]?.state === 'healthy', 'a verdict')
  })
})
