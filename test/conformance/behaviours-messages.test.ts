import { createServer } from 'node:http'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type Front, fronts, http2Fronts, rawFronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { rawClient, rawRequest, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

// What other forwarders' suites demand of heads and tunnels; `docs/behaviours.md` has the whole list.

trapUnhandled()
const own = owner()

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

/** Names that may stand on several lines, of requests and of answers. */
const repeatedInRequests = [
  'Accept-Encoding',
  'Accept-Language',
  'Cache-Control',
  'Accept',
  'Pragma',
  'Warning',
  'X-Custom',
  'Trace-State',
]
const repeatedInAnswers = [
  'Accept-Ranges',
  'Allow',
  'Cache-Control',
  'Content-Language',
  'Link',
  'Pragma',
  'Set-Cookie',
  'Vary',
  'WWW-Authenticate',
  'X-Custom',
]

describe.each(fronts)('repeated fields through $name', (kind) => {
  it('survive by name, an empty one among them', async () => {
    const lines = repeatedInAnswers.map((name) => `${name}: a\r\n${name}: \r\n${name}: b\r\n`).join('')
    const origin = own(await rawOrigin(answering(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 2\r\n\r\nok`)))
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask({
      headers: repeatedInRequests.flatMap((name) => [name, 'a', name, '', name, 'b']),
    })
    const head = (await origin.connections[0]?.head()) ?? ''
    const sent = head.split('\r\n').flatMap((line) => {
      const [name = '', text = ''] = line.split(/: ?(.*)/)
      return [name, text]
    })
    for (const name of repeatedInRequests) expect([name, values(sent, name)]).toEqual([name, ['a', '', 'b']])
    for (const name of repeatedInAnswers) {
      const got = values(answer.headers, name)
      // node:http2 sends some names once alone: those come as one list, with nothing lost.
      expect([name, kind.http2 ? got.join(', ') : got]).toEqual([
        name,
        kind.http2 ? 'a, , b' : ['a', '', 'b'],
      ])
    }
  })
})

describe('Strict-Transport-Security', () => {
  const theirs = 'max-age=1'
  const mine = 'max-age=2; includeSubDomains'
  const answer = answering(
    `HTTP/1.1 200 OK\r\nStrict-Transport-Security: ${theirs}\r\nContent-Length: 2\r\n\r\nok`,
  )

  it('of an app before the proxy and of the target is one: the answer has the last word', async () => {
    const origin = own(await rawOrigin(answer))
    const proxy = own(createProxy(origin.url))
    const app = express()
    app.use((_req, res, next) => {
      res.setHeader('Strict-Transport-Security', mine)
      next()
    })
    app.use(proxy.listener)
    const { client } = own(await listen(createServer(app)))
    const { headers } = await client.ask()
    expect(values(headers, 'strict-transport-security')).toEqual([theirs])
  })

  it.each([
    ['default', answer, theirs],
    ['default', answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), mine],
    ['set', answer, mine],
  ])('is one, and a rule says whose: %s', async (rule, script, expected) => {
    const origin = own(await rawOrigin(script))
    const response = { [rule]: { 'Strict-Transport-Security': mine } }
    const proxy = own(createProxy({ upstreams: { default: origin.url }, rewrite: { response } }))
    const { client } = own(await listen(createServer(proxy.listener)))
    const { headers } = await client.ask()
    expect(values(headers, 'strict-transport-security')).toEqual([expected])
  })
})

const bareLf = /(^|[^\r])\n/

describe.each(rawFronts)('an informational response through $name', (kind) => {
  it.each(['Content-Length: 5', 'content-length: 0'])(
    'goes without %s, which a client might wait for (RFC 9110 section 8.6)',
    async (field) => {
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.head()
          await connection.write(
            `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n${field}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
          )
        }),
      )
      const front = own(await kind.start(origin.url))
      const { responses } = await rawRequest(front.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', {
        responses: 1,
      })
      expect(responses.map(({ status, headers }) => [status, values(headers, 'content-length')])).toEqual([
        [103, []],
        [200, ['2']],
      ])
      expect(values(responses[0]?.headers ?? [], 'link')).toEqual(['</a>'])
    },
  )
})

describe.each(rawFronts)('line ends through $name', (kind) => {
  it('are whole on the wire, in both directions: heads, chunks, trailers, 1xx and error pages', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        for (;;) {
          const from = connection.text.length
          await connection.until(from + 1)
          await until(
            () => connection.text.endsWith('\r\n\r\n') && connection.text.length > from,
            'a whole request',
          )
          await connection.write(
            'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\n' +
              'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n',
          )
        }
      }),
    )
    const front = own(await kind.start(origin.url))
    const client = await rawClient(front.port)
    client.write('GET /1 HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nX-A:  b \r\n\r\n')
    await client.responses(2)
    client.write('POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n')
    await client.responses(4)
    client.write('GET /3 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')
    await client.responses(5)
    client.close()
    // The error page is a line of text: what ends it is content.
    expect(client.text.replace(/400 Bad Request\n$/, '')).not.toMatch(bareLf)
    for (const { text } of origin.connections) expect(text).not.toMatch(bareLf)
    expect(origin.connections.length).toBeGreaterThan(0)
  })

  it.each([
    ['behind the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n'],
    ['behind a field', 'GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n'],
    ['in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\n2\r\n\r\n'],
    ['at the end of the head', 'GET / HTTP/1.1\r\nHost: a\r\n\n'],
    [
      'behind the size of a chunk',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n',
    ],
  ])('a bare one of a client (%s) goes no further', async (_name, bytes) => {
    const origin = own(
      await rawOrigin(answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')),
    )
    const front = own(await kind.start(origin.url))
    const client = await rawClient(front.port)
    client.write(bytes)
    client.socket.end()
    await within(client.closed, 'the connection to end')
    await released(front)
    for (const { text } of origin.connections) expect(text).not.toMatch(bareLf)
    // Behind the head of an answer comes a text.
    expect(client.text.slice(0, client.text.indexOf('\r\n\r\n'))).not.toMatch(bareLf)
    expect(client.text).not.toContain('200 OK')
  })

  it.each([
    ['behind the status line', 'HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok'],
    ['behind a field', 'HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 2\r\n\r\nok'],
    ['at the end of the head', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok'],
  ])('a bare one of a target (%s) goes no further: 502', async (_name, bytes) => {
    const origin = own(await rawOrigin(answering(bytes)))
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const { responses, text } = await rawRequest(
      front.port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )
    expect(responses.map(({ status }) => status)).toEqual([502])
    expect(text.slice(0, text.indexOf('\r\n\r\n'))).not.toMatch(bareLf)
  })
})

describe.each(rawFronts)('versions through $name', (kind) => {
  it.each(['1.0', '1.1'])(
    'of HTTP/%s clients the target sees 1.1, and they see 1.1 of a 1.0 target',
    async (version) => {
      const origin = own(await rawOrigin(answering('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok')))
      const front = own(await kind.start(origin.url))
      const { responses } = await rawRequest(
        front.port,
        `GET / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`,
      )
      expect(responses.map(({ statusLine }) => statusLine)).toEqual(['HTTP/1.1 200 OK'])
      expect(origin.connections[0]?.text).toMatch(/^GET \/ HTTP\/1\.1\r\n/)
    },
  )

  it.each(['HTTP/1.2', 'HTTP/2.0', 'HTTP/3.0', 'HTTP/9.9'])(
    '%s is no version of a request',
    async (version) => {
      const origin = own(await originServer())
      const front = own(await kind.start(origin.url))
      const { responses } = await rawRequest(front.port, `GET / ${version}\r\nHost: a\r\n\r\n`)
      expect(responses.map(({ status }) => status)).toEqual([expect.toBeOneOf([400, 505])])
      expect(origin.requests).toHaveLength(0)
    },
  )
})

describe.each(http2Fronts)('versions through $name', (kind) => {
  it('of HTTP/2 clients the target sees 1.1', async () => {
    const origin = own(await rawOrigin(answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')))
    const front = own(await kind.start(origin.url))
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok' })
    expect(origin.connections[0]?.text).toMatch(/^GET \/ HTTP\/1\.1\r\n/)
  })
})

describe.each(rawFronts)('upgrades through $name', (kind) => {
  const handshake = (path: string, protocol: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n` +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  const accepted = (protocol: string): string =>
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n` +
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

  it.each([
    ['websocket', '/a%2Fb/%zz//c?x=%20+&a=1;b=2'],
    ['SPDY/3.1', '/exec?command=ls'],
  ])('to %s keep the path %s as it is, and bytes flow both ways', async (protocol, path) => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(accepted(protocol))
        await connection.until('ping')
        await connection.write('pong')
      }),
    )
    const front = own(await kind.start(origin.url))
    const client = await rawClient(front.port)
    client.write(handshake(path, protocol))
    await client.until('\r\n\r\n')
    client.write('ping')
    await client.until('pong')
    expect(client.text).toMatch(/^HTTP\/1\.1 101 /)
    expect(origin.connections[0]?.text.split('\r\n')[0]).toBe(`GET ${path} HTTP/1.1`)
    client.reset()
    await released(front)
  })

  it.each(['end', 'reset'] as const)(
    'that the target gives up by %s end with no status behind the 101',
    async (how) => {
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.head()
          await connection.write(accepted('websocket'))
          await connection.until('ping')
          connection[how]()
        }),
      )
      const front = own(await kind.start(origin.url))
      const client = await rawClient(front.port)
      client.write(handshake('/', 'websocket'))
      await client.until('\r\n\r\n')
      client.write('ping')
      await within(client.closed, 'the tunnel to end')
      expect(client.text.match(/HTTP\/1\.1/g)).toHaveLength(1)
      expect(client.text).toMatch(/\r\n\r\n$/)
      await released(front)
    },
  )
})
