import { createServer } from 'node:http'
import { balance } from '@sluice/balance'
import { chain, toListener } from '@sluice/core'
import { forward, http2Transport } from '@sluice/forward'
import { createUpstream } from '@sluice/upstream'
import connect from 'connect'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { fronts, twoFronts } from '../kit/fronts.js'
import { http2Origin } from '../kit/http2-origin.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

/** What a client may say of itself to be taken for somebody else. */
const forged = [
  'X-Forwarded-For',
  '6.6.6.6',
  'x-forwarded-for',
  '7.7.7.7',
  'X-Forwarded-Host',
  'evil.example',
  'X-Forwarded-Proto',
  'gopher',
  'X-Forwarded-Port',
  '666',
  'X-Forwarded-Prefix',
  '/evil',
  'X-Forwarded-Server',
  'evil.example',
  'X-Forwarded-By',
  '6.6.6.6',
  'X-Forwarded-A',
  '6.6.6.6',
  'Forwarded',
  'for=6.6.6.6;proto=gopher',
]

describe.each(fronts)('forwarding fields through $name', (kind) => {
  it('are written anew: what a client says of itself is dropped', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    await front.client.ask({ headers: ['Host', 'site.example:81', ...forged] })
    const got = origin.requests[0]?.rawHeaders ?? []
    expect(values(got, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(values(got, 'x-forwarded-host')).toEqual(['site.example:81'])
    expect(values(got, 'x-forwarded-proto')).toEqual([kind.tls ? 'https' : 'http'])
    const others = got.filter(
      (_, i) => i % 2 === 0 && !/^x-forwarded-(for|host|proto)$/i.test(got[i] as string),
    )
    expect(others.filter((name) => /forwarded/i.test(name))).toEqual([])
  })

  it('what a client says of its certificate is dropped, whatever the spelling', async () => {
    const origin = own(await originServer())
    // Also where it is believed of who called: that is not what such a proxy has been asked.
    const front = own(await kind.start({ targets: origin.url, trust: ['127.0.0.1'] }))
    const names = ['Client-Cert', 'client-cert', 'CLIENT-CERT-CHAIN', 'X-Forwarded-Client-Cert']
    const alike = [
      'Client_Cert',
      'client_cert-chain',
      'X_Forwarded_Client_Cert',
      'Client.Cert',
      'client~cert.chain',
    ]
    const other = ['client-certs', 'client-cert-chains', 'x-client-cert']
    const headers = [...names, ...alike, ...other].flatMap((name) => [name, ':AAAA:'])
    await front.client.ask({ headers: ['Host', 'a.example', ...headers] })
    const got = origin.requests[0]?.rawHeaders ?? []
    const passed = got.filter((name, i) => i % 2 === 0 && /client[^a-z]cert/i.test(name))
    expect(passed.map((name) => name.toLowerCase()).sort()).toEqual([...other].sort())
  })

  it('from a trusted proxy are carried on', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, trust: ['127.0.0.0/8', '10.0.0.0/8'] }))
    const headers = [
      'X-Forwarded-For',
      '6.6.6.6, 203.0.113.9',
      'X-Forwarded-For',
      '10.1.2.3',
      'X-Forwarded-Host',
      'outer.example',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Prefix',
      '/outer',
      'Forwarded',
      'for=6.6.6.6',
    ]
    await front.client.ask({ headers: ['Host', 'inner.example', ...headers] })
    const got = origin.requests[0]?.rawHeaders ?? []
    // The walk ends at the first address that is not one of our proxies: what stands left of it is hearsay.
    expect(values(got, 'x-forwarded-for')).toEqual(['203.0.113.9, 10.1.2.3, 127.0.0.1'])
    expect(values(got, 'x-forwarded-host')).toEqual(['outer.example'])
    expect(values(got, 'x-forwarded-proto')).toEqual(['https'])
    expect(values(got, 'x-forwarded-prefix')).toEqual(['/outer'])
    expect(values(got, 'forwarded')).toEqual([])
  })

  it('from a stranger are dropped although somebody is trusted', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, trust: ['10.0.0.0/8'] }))
    await front.client.ask({ headers: forged })
    const got = origin.requests[0]?.rawHeaders ?? []
    expect(values(got, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(values(got, 'x-forwarded-proto')).toEqual([kind.tls ? 'https' : 'http'])
    expect(values(got, 'forwarded')).toEqual([])
  })
})

describe('X-Forwarded-Prefix', () => {
  it.each([
    ['Express', () => express()],
    ['Connect', () => connect() as unknown as express.Express],
  ])('under %s is the path that the proxy is mounted at, which the target does not see', async (_, make) => {
    const origin = own(await originServer())
    const proxy = own(createProxy(origin.url))
    const app = make()
    app.use('/api', proxy.listener as never)
    const front = own(await listen(createServer(app)))
    expect(await front.client.ask({ path: '/api/%2Fx//y?q=1', headers: forged })).toMatchObject({
      status: 200,
    })
    const got = origin.requests[0]
    expect(got?.url).toBe('/%2Fx//y?q=1')
    // Connect leaves no word of it but the URL as it came.
    expect(values(got?.rawHeaders ?? [], 'x-forwarded-prefix')).toEqual(['/api'])
  })

  it('is what attach() has stripped', async () => {
    const origin = own(await originServer())
    const proxy = own(createProxy(origin.url))
    const server = createServer()
    proxy.attach(server, { path: '/api' })
    const front = own(await listen(server))
    await front.client.ask({ path: '/api' })
    await front.client.ask({ path: '/api/x' })
    await front.client.ask({ path: '/api?q' })
    expect(await front.client.ask({ path: '/apix' })).toMatchObject({ status: 404 })
    expect(origin.requests.map(({ url }) => url)).toEqual(['/', '/x', '/?q'])
    for (const { rawHeaders } of origin.requests)
      expect(values(rawHeaders, 'x-forwarded-prefix')).toEqual(['/api'])
  })
})

describe.each(fronts)('Host through $name', (kind) => {
  const headers = ['Host', 'site.example:81']

  it('is the target by default', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    await front.client.ask({ headers })
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'host')).toEqual([`127.0.0.1:${origin.port}`])
  })

  it("is what the client asked for with 'original'", async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, host: 'original' }))
    await front.client.ask({ headers })
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'host')).toEqual(['site.example:81'])
  })

  it('is one name always with { fixed }', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, host: { fixed: 'fixed.example' } }))
    await front.client.ask({ headers })
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'host')).toEqual(['fixed.example'])
  })
})

describe.each(fronts)('Via through $name', (kind) => {
  it('says how the message came, in both directions, after those before us', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('Via', '1.0 behind')
        res.end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, via: 'edge' }))
    const answer = await front.client.ask({ headers: ['Via', '1.1 before'] })
    const sent = values(origin.requests[0]?.rawHeaders ?? [], 'via').join(', ')
    expect(sent).toBe(`1.1 before, ${kind.http2 ? '2.0' : '1.1'} edge`)
    expect(values(answer.headers, 'via').join(', ')).toBe('1.0 behind, 1.1 edge')
  })

  it('says that a target speaks HTTP/1.0; undici does not tell', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok')
        connection.end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, via: 'edge' }))
    const { headers, text } = await front.client.ask()
    expect(text).toBe('ok')
    expect(values(headers, 'via')).toEqual([kind.transport === 'undici' ? '1.1 edge' : '1.0 edge'])
  })

  it('by default carries a pseudonym that names no machine', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask()
    const sent = value(origin.requests[0]?.rawHeaders ?? [], 'via') ?? ''
    expect(sent).toMatch(/^[\d.]+ [\w-]+$/)
    expect(sent).not.toMatch(/127\.0\.0\.1|localhost/)
    expect(value(answer.headers, 'via')?.split(' ')[1]).toBe(sent.split(' ')[1])
  })

  it('is left out with false', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, via: false }))
    const answer = await front.client.ask()
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'via')).toEqual([])
    expect(values(answer.headers, 'via')).toEqual([])
  })
})

it.each([
  ['with a body', 'GET', 200],
  ['with none', 'HEAD', 204],
])('Via says that a target speaks HTTP/2, in an answer %s', async (_name, method, status) => {
  const origin = own(
    await http2Origin((stream) => {
      stream.respond({ ':status': status }, { endStream: status === 204 })
      if (status === 200) stream.end('ok')
    }),
  )
  const transport = http2Transport()
  own({ close: () => transport.close(true) })
  const upstream = createUpstream({ name: 'test', targets: [origin.url] })
  const handler = chain()
    .use(balance(upstream))
    .handle(forward({ transport: [transport], via: 'edge' }))
  const front = own(await listen(createServer(toListener(handler))))
  const answer = await front.client.ask({ method })
  expect([answer.status, values(answer.headers, 'via')]).toEqual([status, ['2.0 edge']])
})

describe.each(twoFronts)('a loop through $name', (kind) => {
  it('to itself ends in 508 and not in exhaustion', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    front.upstream.replace([`http://127.0.0.1:${front.port}`])
    const answer = await front.client.ask()
    expect(answer.status).toBe(508)
    expect(origin.requests).toHaveLength(0)
    expect(front.inFlight).toBe(0)
  })

  it("is only one's own: a request that has passed another proxy is forwarded", async () => {
    const origin = own(await originServer())
    const inner = own(await kind.start(origin.url))
    const outer = own(await kind.start(`http://127.0.0.1:${inner.port}`))
    expect(await outer.client.ask({ headers: ['Via', '1.1 sluice, 1.1 edge (sluice)'] })).toMatchObject({
      status: 200,
    })
    expect(
      values(origin.requests[0]?.rawHeaders ?? [], 'via')
        .join(', ')
        .split(','),
    ).toHaveLength(4)
  })

  it('is found in a list, and not in a comment or a longer name', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, via: 'edge' }))
    const status = async (via: string): Promise<number> =>
      (await front.client.ask({ headers: ['Via', via] })).status
    expect(await status('1.1 other, 1.1 edge')).toBe(508)
    expect(await status('HTTP/1.1 edge (comment)')).toBe(508)
    expect(await status('1.1 edge-two, 1.1 other (edge)')).toBe(200)
  })
})

describe('a chain without clientAddress()', () => {
  it('says of the client what the socket says', async () => {
    const origin = own(await originServer())
    const upstream = createUpstream({ name: 'u', targets: [origin.url] })
    const front = own(
      await listen(createServer(toListener(chain().use(balance(upstream)).handle(forward())))),
    )
    await front.client.ask({ headers: forged })
    const got = origin.requests[0]?.rawHeaders ?? []
    expect(values(got, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(values(got, 'x-forwarded-proto')).toEqual(['http'])
    await upstream.close()
  })
})
