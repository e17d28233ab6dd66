import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { attach } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { attachedFronts, attachedHttp2Fronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { testCertificate } from '../kit/certificate.js'
import { chainOf } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen } from '../kit/listen.js'
import { echo, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, type RawConnection, rawOrigin } from '../kit/raw-origin.js'
import { parseResponses, rawClient, rawRequest, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const get = (path: string, more = '', version = '1.1'): string =>
  `GET ${path} HTTP/${version}\r\nHost: a\r\n${more}\r\n`
const namesOf = (list: readonly string[]): string[] =>
  list.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())

describe.each(attachedRawFronts)('trailers of a request through $name', (kind) => {
  const post = (announced: string, trailers: string): string =>
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${announced}\r\n2\r\nok\r\n0\r\n${trailers}\r\n`

  it.each([
    ['announced', 'Trailer: X-Sum\r\n'],
    ['not announced', ''],
  ])('%s reach the target behind the body', async (_name, announced) => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    await rawRequest(front.port, post(announced, 'X-Sum: 42\r\nX-Late: a\r\nX-Late: b\r\n'), { responses: 1 })
    expect(await origin.requests[0]?.body().then(String)).toBe('ok')
    expect(origin.requests[0]?.rawTrailers).toEqual(['X-Sum', '42', 'X-Late', 'a', 'X-Late', 'b'])
  })

  it('of the hop, of framing or of proxies don’t, with a _ neither', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const fields = ['Connection: X-Named', 'X-Named: a', 'Keep-Alive: 1', 'Host: evil', 'Authorization: x']
    const ofProxies = [
      'X-Forwarded-For: x',
      'X_Forwarded_For: x',
      'X-Real-IP: x',
      'X_REAL_IP: x',
      'Content_Length: 9',
    ]
    const ofHop = ['Proxy-Authorization: x', 'TE: trailers', 'Trailer: a']
    const forbidden = [...fields, ...ofProxies, ...ofHop, 'X-Late: a']
    await rawRequest(front.port, post('', `${forbidden.join('\r\n')}\r\n`), { responses: 1 })
    await origin.requests[0]?.body()
    expect(origin.requests[0]?.rawTrailers).toEqual(['X-Late', 'a'])
  })
})

describe.each(attachedHttp2Fronts)('trailers of a request through $name', (kind) => {
  it('reach the target behind the body', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const ca = kind.tls ? testCertificate()?.cert : undefined
    const session = connectHttp2(`${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`, ca ? { ca } : {})
    own({ close: () => session.destroy() })
    const stream = session.request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42', authorization: 'x' }))
    stream.end('ok')
    expect((await within(once(stream, 'response'), 'the response'))[0]).toMatchObject({ ':status': 200 })
    expect(await origin.requests[0]?.body().then(String)).toBe('ok')
    expect(origin.requests[0]?.rawTrailers).toEqual(['x-sum', '42'])
  })
})

describe.each(attachedRawFronts)('HTTP/1.0 through $name', (kind) => {
  it('hears no 1xx, and a body of chunks is undone', async () => {
    const origin = own(
      await rawOrigin(
        answering(
          'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Late: a\r\n\r\n',
        ),
      ),
    )
    const front = own(await kind.start(origin.url))
    const { responses, ended, text } = await rawRequest(front.port, get('/', '', '1.0'))
    expect(responses.map(({ status }) => status)).toEqual([200])
    expect(text.endsWith('\r\n\r\nok')).toBe(true)
    expect(ended).toBe('end')
    expect(origin.connections[0]?.text).toMatch(/^GET \/ HTTP\/1\.1\r\n/)
  })

  it('keeps its connection where it asks for that and the length is known, and not else', async () => {
    const origin = own(
      await originServer((_req, res) => void res.writeHead(200, { 'Content-Length': 2 }).end('ok')),
    )
    const front = own(await kind.start(origin.url))
    const keep = get('/', 'Connection: keep-alive\r\n', '1.0')
    const { responses, ended } = await rawRequest(front.port, keep + keep + get('/', '', '1.0'))
    expect(responses.map(({ headers }) => value(headers, 'connection'))).toEqual([
      'keep-alive',
      'keep-alive',
      'close',
    ])
    expect(ended).toBe('end')
  })
})

describe.each(attachedRawFronts)('answers as bytes through $name', (kind) => {
  it('205 has no content, and what is pipelined behind it is answered', async () => {
    const origin = own(
      await originServer((req, res) => {
        res.statusCode = req.url === '/205' ? 205 : 200
        res.end(req.url === '/205' ? undefined : 'next')
      }),
    )
    const front = own(await kind.start(origin.url))
    const { responses } = await rawRequest(front.port, get('/205') + get('/'), { responses: 2 })
    expect(responses.map(({ status, body }) => [status, String(body)])).toEqual([
      [205, ''],
      [200, 'next'],
    ])
    expect(value(responses[0]?.headers ?? [], 'content-length')).toBe('0')
  })

  it('a body that ends with the target’s connection is whole, and the client’s connection goes on', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\n\r\nall of it')
        connection.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    const { responses } = await rawRequest(front.port, get('/') + get('/'), { responses: 2 })
    expect(responses).toMatchObject([{ complete: true }, { complete: true }])
    expect(responses.map(({ body }) => String(body))).toEqual(['all of it', 'all of it'])
  })

  it('pipelined requests with bodies, and one that hangs behind an early refusal: in order, none twice', async () => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start(origin.url))
    const post = (body: string): string =>
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const all = ['one', 'two', 'three', 'four']
    const { responses } = await rawRequest(front.port, all.map(post).join(''), { responses: 4 })
    expect(responses.map(({ body }) => String(body))).toEqual(all)
    expect(origin.requests).toHaveLength(4)
  })

  it.each([
    ['the target’s own', 'Date: Mon, 01 Jan 2001 00:00:00 GMT\r\nServer: old/1.0\r\n', /2001/, 'old/1.0'],
    ['none of the target’s', '', /GMT$/, undefined],
  ])('Date and Server: %s', async (_name, fields, date, server) => {
    const origin = own(await rawOrigin(answering(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`)))
    const front = own(await kind.start(origin.url))
    const { responses } = await rawRequest(front.port, get('/'), { responses: 1 })
    const headers = responses[0]?.headers ?? []
    expect(values(headers, 'date')).toEqual([expect.stringMatching(date)])
    expect(value(headers, 'server')).toBe(server)
  })

  it('the absolute form is for the chosen target all the same; an authority is none of other methods', async () => {
    const origin = own(await rawOrigin(answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')))
    // By default a Host of another name is refused.
    const guard = { validate: { absoluteTarget: 'use-target' } } as const
    const front = own(await kind.start({ targets: origin.url, guard }))
    await rawRequest(front.port, get('http://other.example:99/a?b'), { responses: 1 })
    const text = origin.connections[0]?.text ?? ''
    expect(text).toMatch(/^GET \/a\?b HTTP\/1\.1\r\n/)
    expect(text).toMatch(/\r\nX-Forwarded-Host: other\.example:99\r\n/)
    const { responses } = await rawRequest(front.port, get('other.example:99'))
    expect(responses.map(({ status }) => status)).toEqual([400])
    expect(origin.connections).toHaveLength(1)
  })
})

describe.each(attachedHttp2Fronts)('the asterisk form through $name', (kind) => {
  it('OPTIONS * reaches the target as it is', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(`${origin.url}/base`))
    expect(await front.client.ask({ method: 'OPTIONS', path: '*' })).toMatchObject({ status: 200 })
    expect(origin.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(['OPTIONS *'])
  })
})

describe.each(attachedFronts)('answers through $name', (kind) => {
  it('without content have none: HEAD, 204, 304', async () => {
    const origin = own(
      await originServer((req, res) => {
        res.writeHead(Number(req.url?.slice(1)), { ETag: '"x"' })
        res.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    for (const [method, path] of [
      ['HEAD', '/200'],
      ['GET', '/204'],
      ['GET', '/304'],
      ['HEAD', '/404'],
    ] as const) {
      const answer = await front.client.ask({ method, path })
      expect(answer).toMatchObject({ status: Number(path.slice(1)), text: '', complete: true })
      expect(value(answer.headers, 'etag')).toBe('"x"')
    }
  })

  it('have trailers, announced or not, without those of the hop', async () => {
    const origin = own(
      await rawOrigin(
        answering(
          'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Late: 2\r\nKeep-Alive: a\r\nSet-Cookie: b=c\r\n\r\n',
        ),
      ),
    )
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask({ headers: ['TE', 'trailers'] })
    expect(answer).toMatchObject({ status: 200, text: 'ok', complete: true })
    expect(namesOf(answer.trailers)).toEqual(['x-sum', 'x-late'])
  })
})

describe.each(attachedRawFronts)('a client that ends its half behind its request, through $name', (kind) => {
  /** Answers when it is told to. */
  async function slow(): Promise<{ url: string; go(): void; connection(): Promise<RawConnection> }> {
    const go = deferred()
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await go.promise
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      }),
    )
    return { url: origin.url, go: () => go.resolve(), connection: () => origin.connection() }
  }

  it('gets its answer', async () => {
    const front = own(await kind.start(own(await originServer()).url))
    const client = own(await rawClient(front.port, { allowHalfOpen: true }))
    client.socket.end(get('/'))
    await until(() => client.ended === 'end', 'the end')
    expect(parseResponses(client.received)).toMatchObject([{ status: 200, complete: true }])
    client.close()
  })

  it('gets a late answer too, and is asked with a 102 meanwhile whether it is there', async () => {
    const origin = await slow()
    const front = own(await kind.start(origin.url))
    const client = own(await rawClient(front.port, { allowHalfOpen: true }))
    client.socket.end(get('/'))
    await client.until('HTTP/1.1 102 Processing\r\n\r\n')
    origin.go()
    await until(() => client.ended === 'end', 'the end')
    const statuses = parseResponses(client.received).map(({ status }) => status)
    expect([...new Set(statuses)]).toEqual([102, 200])
    expect(statuses.at(-1)).toBe(200)
    client.close()
    await until(() => front.inFlight === 0, 'the lease to be released')
  })

  it('gets a long answer whole', async () => {
    const length = 4 * 1024 * 1024
    const origin = own(await originServer((_req, res) => void res.end(Buffer.alloc(length, 'z'))))
    const front = own(await kind.start(origin.url))
    const client = own(await rawClient(front.port, { allowHalfOpen: true }))
    client.socket.end(get('/'))
    const [response] = await client.responses()
    expect(response?.body.length).toBe(length)
    client.close()
  })

  it('and leaves: the target learns, before the head and behind it', async () => {
    for (const head of ['', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart']) {
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.head()
          await connection.write(head)
        }),
      )
      const front = own(await kind.start({ targets: origin.url, retry: false }))
      const leaks = leakCheck()
      const client = own(await rawClient(front.port))
      client.write(get('/'))
      if (head !== '') await client.until('part')
      await origin.connection()
      client.close()
      await within((await origin.connection()).closed, 'the end at the target')
      await until(() => front.inFlight === 0, 'the lease to be released')
      await leaks.settled()
    }
  })
})

describe('ending a half beside an app', () => {
  it('is the app’s affair where it has a say, and after the chain is detached', async () => {
    const built = own(chainOf(own(await originServer()).url))
    const server = createServer((_req, res) => void res.end('app')) as ReturnType<typeof createServer> & {
      httpAllowHalfOpen: boolean
    }
    own(await listen(server))
    attach(server, built.handler, { path: '/api' })
    expect(server.httpAllowHalfOpen).toBe(false)
    const detach = attach(server, built.handler)
    expect(server.httpAllowHalfOpen).toBe(true)
    detach()
  })
})
