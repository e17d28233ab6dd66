import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client, Context, Layer } from '@sluice/core'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type FrontKind, type FrontOptions, fronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Every front with plain requests, and those of HTTP/1.1 with upgrades too, which a target may answer like any request. */
const ways = fronts.flatMap((kind) => {
  const plain = { name: kind.name, kind, extra: [] as string[] }
  if (kind.http2) return [plain]
  return [
    plain,
    { name: `an upgrade by ${kind.name}`, kind, extra: ['Connection', 'Upgrade', 'Upgrade', 'other'] },
  ]
})

type Way = (typeof ways)[number]

/** What `clientAddress` made of a request, and what the target got of it. */
async function ask(
  { kind, extra }: { kind: FrontKind; extra: readonly string[] },
  options: Omit<FrontOptions, 'targets'>,
  headers: readonly string[],
): Promise<{ client: Client['client']; got: (name: string) => string[]; names: string[] }> {
  const origin = own(await originServer())
  let client: Client['client'] | undefined
  const look: Layer<Context & Client> = (next) => (ctx) => {
    client = ctx.client
    return next(ctx)
  }
  const front = own(await kind.start({ ...options, targets: origin.url, use: [look] }))
  const all = ['Host', 'inner.example', ...extra, ...headers]
  expect(await front.client.ask({ headers: all })).toMatchObject({ status: 200 })
  const raw = origin.requests[0]?.rawHeaders ?? []
  return {
    client: client as Client['client'],
    got: (name) => values(raw, name),
    names: raw.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()),
  }
}

const trust = ['127.0.0.0/8', '10.0.0.0/8', '2001:db8::/32']
const schemeOf = ({ kind }: Way): string => (kind.tls ? 'https' : 'http')

describe.each(ways)('who called, by X-Forwarded-*, through $name', (way) => {
  it('is walked from the right, IPv6 and IPv4-mapped addresses in plain form', async () => {
    const { client, got } = await ask(way, { trust }, [
      'X-Forwarded-For',
      '6.6.6.6, fe80::9%eth0',
      'X-Forwarded-For',
      '::ffff:10.0.0.3, "[2001:DB8::1]:443", 10.0.0.2:99',
    ])
    const believed = ['fe80::9', '10.0.0.3', '2001:db8::1', '10.0.0.2']
    expect(client).toEqual({ address: 'fe80::9', believed, scheme: schemeOf(way) })
    expect(got('x-forwarded-for')).toEqual([[...believed, '127.0.0.1'].join(', ')])
    expect(got('x-forwarded-host')).toEqual(['inner.example'])
  })

  it('comes with Proto, Host, Port and Prefix of the hop that is believed', async () => {
    const { client, got } = await ask(way, { trust }, [
      'X-Forwarded-For',
      '6.6.6.6, 203.0.113.9, 10.0.0.2',
      'X-Forwarded-Proto',
      'gopher, https, http',
      'X-Forwarded-Host',
      'evil.example, site.example:8443, middle.example',
      'X-Forwarded-Port',
      '8443',
      'X-Forwarded-Prefix',
      '/shop',
    ])
    const said = { scheme: 'https', host: 'site.example:8443', port: 8443, prefix: '/shop' }
    expect(client).toEqual({ address: '203.0.113.9', believed: ['203.0.113.9', '10.0.0.2'], ...said })
    expect(got('x-forwarded-for')).toEqual(['203.0.113.9, 10.0.0.2, 127.0.0.1'])
    expect(got('x-forwarded-proto')).toEqual(['https'])
    expect(got('x-forwarded-host')).toEqual(['site.example:8443'])
    expect(got('x-forwarded-port')).toEqual(['8443'])
    expect(got('x-forwarded-prefix')).toEqual(['/shop'])
  })

  it('is the last known address where an entry names nobody', async () => {
    const { client, got } = await ask(way, { trust }, ['X-Forwarded-For', '6.6.6.6, unknown, 10.0.0.2'])
    expect(client).toMatchObject({ address: '10.0.0.2', believed: ['10.0.0.2'] })
    expect(got('x-forwarded-for')).toEqual(['10.0.0.2, 127.0.0.1'])
  })

  it('never is what Forwarded says, nor what junk says', async () => {
    const { client, got, names } = await ask(way, { trust }, [
      'Forwarded',
      'for=6.6.6.6;proto=gopher;host=evil.example',
      'X-Forwarded-Host',
      'evil.example',
      'X-Forwarded-For',
      '6.6.6.6, <script>',
    ])
    expect(client).toEqual({ address: '127.0.0.1', believed: [], scheme: schemeOf(way) })
    expect(got('x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(got('x-forwarded-host')).toEqual(['inner.example'])
    expect(names).not.toContain('forwarded')
  })

  it('is not told by X-Real-IP, nor by names that CGI takes for the same', async () => {
    const { names } = await ask(way, { trust }, [
      'X-Real-IP',
      '6.6.6.6',
      'X_Forwarded_For',
      '6.6.6.6',
      'X-Forwarded_Proto',
      'https',
      'x_real_ip',
      '6.6.6.6',
      'X.Forwarded.For',
      '6.6.6.6',
      'x!forwarded-host',
      'evil.example',
      'X.Real~IP',
      '6.6.6.6',
      'X-Forwarder',
      'stays',
    ])
    expect(names.filter((name) => /forwarde|real/.test(name)).sort()).toEqual([
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-forwarder',
    ])
  })

  it('is told to nobody with x: false', async () => {
    for (const trusted of [trust, []]) {
      const { names } = await ask(way, { trust: trusted, forwarded: { x: false } }, [
        'X-Forwarded-For',
        '203.0.113.9',
        'X-Forwarded-Proto',
        'https',
        'Forwarded',
        'for=6.6.6.6',
        'X-Real-IP',
        '6.6.6.6',
      ])
      expect(names.filter((name) => /forward|real/.test(name))).toEqual([])
    }
  })
})

describe.each(ways)('who called, by Forwarded, through $name', (way) => {
  const by = { trust, trustFields: 'forwarded' } as const
  const chain = [
    'Forwarded',
    'for=6.6.6.6;host=evil.example, FOR="[2001:DB9::7%25]:99"',
    'Forwarded',
    'for=203.0.113.9;Proto=HTTPS;host="site.example:8443";x="a,b", for="[2001:db8::1]:443";by=_b',
  ]

  it('is walked from the right, and X-Forwarded-* count for nothing', async () => {
    const { client, got } = await ask(way, by, [
      ...chain,
      'X-Forwarded-For',
      '6.6.6.6',
      'X-Forwarded-Proto',
      'gopher',
    ])
    expect(client).toMatchObject({
      address: '203.0.113.9',
      believed: ['203.0.113.9', '2001:db8::1'],
      scheme: 'https',
      host: 'site.example:8443',
    })
    expect(client.elements).toHaveLength(2)
    expect(got('forwarded')).toEqual([])
    expect(got('x-forwarded-for')).toEqual(['203.0.113.9, 2001:db8::1, 127.0.0.1'])
    expect(got('x-forwarded-proto')).toEqual(['https'])
    expect(got('x-forwarded-host')).toEqual(['site.example:8443'])
  })

  it('goes out behind the believed chain, which is written anew', async () => {
    const { got, names } = await ask(way, { ...by, forwarded: { x: false, rfc7239: 'real' } }, chain)
    const [value = ''] = got('forwarded')
    expect(value.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:PORT')).toBe(
      'for=203.0.113.9;host="site.example:8443";proto=HTTPS;x="a,b", for="[2001:db8::1]:443";by=_b, ' +
        `for="127.0.0.1:PORT";host=inner.example;proto=${schemeOf(way)}`,
    )
    expect(names.filter((name) => name.startsWith('x-forwarded'))).toEqual([])
  })

  it('keeps to itself with hidden and unknown who the chain is of', async () => {
    const hidden = await ask(way, { ...by, forwarded: { x: false, rfc7239: 'hidden' } }, chain)
    const rest = `for=unknown;host="site.example:8443";proto=HTTPS, for=unknown, for=`
    expect(hidden.got('forwarded')[0]).toMatch(
      new RegExp(`^${rest}_[\\w-]{12};host=inner.example;proto=https?$`),
    )
    const unknown = await ask(way, { ...by, forwarded: { x: false, rfc7239: 'unknown' } }, chain)
    expect(unknown.got('forwarded')).toEqual([`${rest}unknown;host=inner.example;proto=${schemeOf(way)}`])
  })

  it('keeps what a trusted proxy heard of somebody whom it does not name', async () => {
    const { client, got } = await ask(way, { ...by, forwarded: { rfc7239: 'hidden' } }, [
      'Forwarded',
      'for=6.6.6.6, for=_outer;host=site.example;proto=https',
    ])
    expect(client).toMatchObject({
      address: '127.0.0.1',
      believed: [],
      scheme: 'https',
      host: 'site.example',
    })
    expect(got('forwarded')[0]).toMatch(/^for=_outer;host=site.example;proto=https, for=_[\w-]{12};/)
    expect(got('x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(got('x-forwarded-proto')).toEqual(['https'])
  })

  it('is written over for a stranger, and where nothing is understood', async () => {
    for (const options of [{ trustFields: 'forwarded' } as const, by]) {
      const { client, got } = await ask(way, { ...options, forwarded: { rfc7239: 'real' } }, [
        'Forwarded',
        'for=6.6.6.6;host=evil.example;, for="',
      ])
      expect(client).toMatchObject({ address: '127.0.0.1', believed: [], scheme: schemeOf(way) })
      expect(got('forwarded')[0]).toMatch(/^for="127\.0\.0\.1:\d+";host=inner\.example;proto=https?$/)
    }
  })
})

describe.each(ways)('Forwarded out, of X-Forwarded-* in, through $name', (way) => {
  it('is the believed chain in its form', async () => {
    const { got } = await ask(way, { trust, forwarded: { rfc7239: 'real' } }, [
      'X-Forwarded-For',
      '6.6.6.6, 2001:db9::9, 10.0.0.2',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      '[2001:db9::1]:81',
    ])
    expect(got('forwarded')[0]).toMatch(
      /^for="\[2001:db9::9\]";host="\[2001:db9::1\]:81";proto=https, for=10\.0\.0\.2, for="127\.0\.0\.1:\d+";host=inner/,
    )
    expect(got('x-forwarded-for')).toEqual(['2001:db9::9, 10.0.0.2, 127.0.0.1'])
  })
})

describe.each(ways.filter(({ kind }) => !kind.http2))('Connection through $name', (way) => {
  it('takes away nothing of what trusted proxies say (CVE-2024-45410)', async () => {
    const fields = [
      'X-Forwarded-For',
      '203.0.113.9',
      'X-Forwarded-Host',
      'a.example',
      'X-Forwarded-Proto',
      'https',
    ]
    const named =
      'X-Forwarded-For, x-forwarded-host, X-Forwarded-Proto, X-Forwarded-Port, X-Forwarded-Prefix, Forwarded'
    const { client } = await ask(way, { trust }, ['Connection', named, ...fields])
    expect(client).toMatchObject({ address: '203.0.113.9', host: 'a.example', scheme: 'https' })
  })
})

describe('X-Forwarded-Prefix of a trusted proxy', () => {
  it.each([
    ['/outer', '/outer/api'],
    ['/outer/', '/outer/api'],
    ['/', '/api'],
    ['//evil.example', '/api'],
    ['/outer?', '/api'],
  ])('%s goes before the mount path: %s', async (outer, whole) => {
    const origin = own(await originServer())
    const proxy = own(createProxy({ upstreams: { site: origin.url }, trust }))
    const app = express()
    app.use('/api', proxy.listener)
    const front = own(await listen(createServer(app)))
    const headers = ['X-Forwarded-For', '203.0.113.9', 'X-Forwarded-Prefix', outer]
    expect(await front.client.ask({ path: '/api/x', headers })).toMatchObject({ status: 200 })
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'x-forwarded-prefix')).toEqual([whole])
  })
})

describe('a client on a Unix socket', () => {
  it('is unknown, and trusted by no range', async () => {
    const origin = own(await originServer())
    const proxy = own(
      createProxy({
        upstreams: { site: origin.url },
        trust: ['0.0.0.0/0', '::/0'],
        forwarded: { rfc7239: 'real' },
      }),
    )
    const folder = mkdtempSync(join(tmpdir(), 'who-'))
    const socketPath = join(folder, 's')
    const server = createServer(proxy.listener).listen(socketPath)
    await within(once(server, 'listening'), 'a Unix socket')
    own({ close: () => void server.close(() => rmSync(folder, { recursive: true })) })
    const call = request({
      socketPath,
      agent: false,
      headers: { host: 'a.example', 'x-forwarded-for': '6.6.6.6' },
    }).end()
    const [answer] = (await within(once(call, 'response'), 'an answer')) as [IncomingMessage]
    answer.resume()
    const raw = origin.requests[0]?.rawHeaders ?? []
    expect(values(raw, 'forwarded')).toEqual(['for=unknown;host=a.example;proto=http'])
    expect(values(raw, 'x-forwarded-for')).toEqual([])
  })
})

describe.each(fronts)('a hidden identifier through $name', (kind) => {
  it('is one for a connection, and another for the next', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, forwarded: { rfc7239: 'hidden' } }))
    await front.client.ask()
    await front.client.ask()
    await front.client.close()
    await front.client.ask()
    const [a, b, c] = origin.requests.map(({ rawHeaders }) => values(rawHeaders, 'forwarded')[0])
    expect(a).toMatch(/^for=_[\w-]{12};/)
    expect(b).toBe(a)
    expect(c).toMatch(/^for=_[\w-]{12};/)
    expect(c).not.toBe(a)
  })
})

describe('a chain of proxies', () => {
  it.each([
    ['x-forwarded-for', 'x-forwarded' as const],
    ['forwarded', 'forwarded' as const],
  ])('without end in %s is believed for 10,000 entries', async (name, trustFields) => {
    let client: Client['client'] | undefined
    const proxy = own(
      createProxy({
        upstreams: { site: 'http://127.0.0.1:1' },
        trust: ['127.0.0.0/8', '10.0.0.0/8'],
        trustFields,
        guard: { validate: { maxHeaderBytes: 0 } },
        use: [
          () => (ctx) => {
            client = ctx.client
            return { status: 204, headers: [], body: null }
          },
        ],
      }),
    )
    const front = own(await listen(createServer({ maxHeaderSize: 1 << 20 }, proxy.listener)))
    const entry = name === 'forwarded' ? 'for=10.0.0.1' : '10.0.0.1'
    expect(await front.client.ask({ headers: [name, `${entry},`.repeat(20_000) + entry] })).toMatchObject({
      status: 204,
    })
    expect(client?.believed).toHaveLength(10_000)
    expect(client?.address).toBe('10.0.0.1')
  })
})
