import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { fronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Each front with plain requests, and those of HTTP/1.1 with upgrades too. */
const ways = fronts.flatMap((kind) => {
  const plain = { name: kind.name, kind, extra: [] as string[] }
  if (kind.http2) return [plain]
  return [
    plain,
    { name: `an upgrade by ${kind.name}`, kind, extra: ['Connection', 'Upgrade', 'Upgrade', 'other'] },
  ]
})

describe.each(ways)("one's own pseudonym in Via, through $name", ({ kind, extra }) => {
  it.each([
    '1.1 edge',
    'HTTP/1.1 edge',
    '2.0\tedge',
    '1.1 edge (a comment)',
    '1.1 a (x), 1.1 edge, 1.0 b',
    '1.1 a ((x) y),1.1 edge',
  ])('is a loop: %j', async (via) => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, via: 'edge' }))
    const answer = await front.client.ask({ headers: [...extra, 'Via', via] })
    expect(answer.status).toBe(508)
    expect(answer.text).not.toContain('edge')
    expect(origin.requests).toHaveLength(0)
    expect(front.inFlight).toBe(0)
  })

  it('is a loop on any of several lines', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, via: 'edge' }))
    const lines = ['Via', '1.1 a', 'via', '1.1 edge', 'VIA', '1.1 b']
    expect((await front.client.ask({ headers: [...extra, ...lines] })).status).toBe(508)
  })

  it('is a loop behind a comment that nobody closes: others write behind it', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, via: 'edge' }))
    expect((await front.client.ask({ headers: [...extra, 'Via', '1.1 a (, 1.1 edge'] })).status).toBe(508)
  })

  it.each([
    '1.1 a (edge)',
    '1.1 a (x, 1.1 edge, y)',
    '1.1 a (x \\) , 1.1 edge )',
    '1.1 a ((x), 1.1 edge )',
    '1.1 edge-two',
    '1.1 my.edge',
    '1.1 edge:8080',
    'edge 1.1',
  ])('is none in %j', async (via) => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, via: 'edge' }))
    expect((await front.client.ask({ headers: [...extra, 'Via', via] })).status).toBe(200)
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'via').join(', ')).toBe(
      `${via}, ${kind.http2 ? '2.0' : '1.1'} edge`,
    )
  })
})

describe('a proxy whose target is itself', () => {
  it('answers 508 to a WebSocket over HTTP/2', async () => {
    const proxy = own(createProxy({ upstreams: { self: 'http://127.0.0.1:1' }, via: 'edge' }))
    const server = createHttp2Server({ settings: { enableConnectProtocol: true } })
    proxy.attach(server)
    const front = own(await listen(server, { http2: true }))
    const session = connect(`http://127.0.0.1:${front.port}`)
    own({ close: () => session.destroy() })
    await within(once(session, 'remoteSettings'), 'settings')
    const stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': '/',
        ':scheme': 'http',
        ':authority': 'a',
        'sec-websocket-version': '13',
        via: '1.1 edge',
      },
      { endStream: false },
    )
    stream.on('error', () => {})
    const [head] = (await within(once(stream, 'response'), 'an answer')) as [Record<string, unknown>]
    expect(head[':status']).toBe(508)
  })

  it.each([
    ['a request', []],
    ['an upgrade', ['Connection', 'Upgrade', 'Upgrade', 'other']],
  ])('answers 508 to %s', async (_, headers) => {
    const server = createServer()
    const front = own(await listen(server))
    const proxy = own(createProxy(`http://127.0.0.1:${front.port}`))
    proxy.attach(server)
    expect((await front.client.ask({ headers })).status).toBe(508)
    expect([...proxy.upstreams.values()].map(({ all }) => all[0]?.inFlight)).toEqual([0])
  })
})
