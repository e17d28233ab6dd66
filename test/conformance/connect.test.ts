import { once } from 'node:events'
import { createServer } from 'node:http'
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import { attach, chain } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { attachedHttp2Fronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { testCertificate } from '../kit/certificate.js'
import { type Front, listening } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, type RawConnection, rawOrigin } from '../kit/raw-origin.js'
import { rawClient, rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** By default `createProxy` carries none, since few want it. */
const guard = { validate: { connect: 'pass' } } as const

const connectTo = (authority: string, more = ''): string =>
  `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${more}\r\n`

it('CONNECT is 501 through createProxy unless it is allowed, and no target hears of it', async () => {
  const origin = own(await rawOrigin(echoing))
  const front = own(await listening.start(origin.url))
  const { responses } = await rawRequest(front.port, connectTo('far.example:443'), { responses: 1 })
  expect(responses.map(({ status }) => status)).toEqual([501])
  expect(origin.connections).toHaveLength(0)
})

/** Takes a CONNECT and says everything back. */
async function echoing(connection: RawConnection): Promise<void> {
  const head = await connection.head()
  connection.socket.removeAllListeners('end')
  await connection.write('HTTP/1.1 200 Go ahead\r\nX-Tunnel: yes\r\nContent-Length: 7\r\n\r\nhello ')
  connection.socket.write(connection.received.subarray(head.length))
  connection.socket.pipe(connection.socket)
}

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

describe.each(attachedRawFronts)('CONNECT through $name', (kind) => {
  it('goes to the chosen target, names what was asked for, and a 2xx opens the tunnel', async () => {
    const origin = own(await rawOrigin(echoing))
    const front = own(await kind.start({ targets: `${origin.url}/base`, guard }))
    const client = own(await rawClient(front.port))
    client.write(`${connectTo('far.example:443')}early `)
    await client.until('\r\n\r\nhello early ')
    client.write('and late')
    await client.until('early and late')
    const head = client.text.slice(0, client.text.indexOf('\r\n\r\n') + 2)
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(head).toMatch(/\r\nX-Tunnel: yes\r\n/)
    // RFC 9110 section 9.3.6: what follows is the tunnel's, whatever the target says of a length.
    expect(head).not.toMatch(/content-length|transfer-encoding/i)
    const lines = origin.connections[0]?.text.split('\r\n') ?? []
    expect(lines[0]).toBe('CONNECT far.example:443 HTTP/1.1')
    expect(lines.filter((line) => /^host:/i.test(line))).toEqual(['Host: far.example:443'])
    expect(front.inFlight).toBe(1)
    client.socket.end()
    await within(client.closed, 'the end of the tunnel')
    await released(front)
  })

  it('a refusal is the response that it is', async () => {
    const origin = own(
      await rawOrigin(answering('HTTP/1.1 403 No\r\nX-Why: no\r\nContent-Length: 6\r\n\r\nnot me')),
    )
    const front = own(await kind.start({ targets: origin.url, guard }))
    const { responses, ended } = await rawRequest(front.port, connectTo('far.example:443'))
    expect(responses).toMatchObject([{ status: 403, complete: true }])
    expect(value(responses[0]?.headers ?? [], 'x-why')).toBe('no')
    expect(String(responses[0]?.body)).toBe('not me')
    expect(ended).toBe('end')
    await released(front)
  })

  it.each([
    ['no port', connectTo('far.example')],
    ['an empty port', connectTo('far.example:')],
    ['port 0', connectTo('far.example:0')],
    ['a port that is none', connectTo('far.example:99999')],
    ['a path', connectTo('/path')],
    ['an absolute target', connectTo('http://far.example/')],
    ['content', connectTo('far.example:443', 'Content-Length: 5\r\n')],
    ['chunks', connectTo('far.example:443', 'Transfer-Encoding: chunked\r\n')],
    ['no Host', 'CONNECT far.example:443 HTTP/1.1\r\n\r\n'],
  ])('with %s gets 400, and the target hears nothing', async (_name, bytes) => {
    const origin = own(await rawOrigin(echoing))
    const front = own(await kind.start({ targets: origin.url, guard }))
    const { responses, ended } = await rawRequest(front.port, bytes)
    expect(responses.map(({ status }) => status)).toEqual([400])
    expect(ended).not.toBe('open')
    expect(origin.connections).toHaveLength(0)
  })

  it('a client that resets ends it for the target, and the target for the client', async () => {
    const seen = observer()
    const origin = own(await rawOrigin(echoing))
    const front = own(await kind.start({ targets: origin.url, guard, use: [seen.layer] }))
    for (let i = 0; i < 2; i++) {
      const client = own(await rawClient(front.port))
      client.write(connectTo('far.example:443'))
      await client.until('hello ')
      if (i === 0) client.reset()
      else origin.connections[i]?.reset()
      await within(client.closed, 'the close at the client')
      await within(origin.connections[i]?.closed as Promise<void>, 'the close at the target')
      expect(await seen.outcome(i)).toMatchObject({ kind: i === 0 ? 'client-left' : 'error' })
    }
    await released(front)
  })
})

describe('CONNECT that nobody wants', () => {
  it('is answered by the chain as it likes', async () => {
    const server = createServer()
    attach(
      server,
      chain().handle((ctx) => ({ status: 405, headers: ['Allow', 'GET'], body: `no ${ctx.out.method}` })),
    )
    const { port } = own(await listen(server))
    const { responses, ended } = await rawRequest(port, connectTo('far.example:443'))
    expect(responses).toMatchObject([{ status: 405, complete: true }])
    expect(ended).toBe('end')
  })

  it('is not below a path: the app’s own listener gets it, or it gets 404', async () => {
    const origin = own(await originServer())
    for (const listens of [true, false]) {
      const server = createServer()
      const heard = deferred<string | undefined>()
      if (listens)
        server.on('connect', (req, socket) => {
          heard.resolve(req.url)
          socket.end('HTTP/1.1 418 The app\r\n\r\n')
        })
      attach(server, () => ({ status: 200, headers: [], body: origin.url }), { path: '/api' })
      const { port } = own(await listen(server))
      const { responses } = await rawRequest(port, connectTo('far.example:443'))
      expect(responses.map(({ status }) => status)).toEqual([listens ? 418 : 404])
      if (listens) expect(await heard.promise).toBe('far.example:443')
    }
  })
})

describe.each(attachedHttp2Fronts)('CONNECT through $name', (kind) => {
  function session(front: Front): ClientHttp2Session {
    const ca = kind.tls ? testCertificate()?.cert : undefined
    const made = connectHttp2(`${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`, ca ? { ca } : {})
    made.on('error', () => {})
    own({ close: () => made.destroy() })
    return made
  }
  const ask = (front: Front, authority: string): ClientHttp2Stream =>
    session(front).request({ ':method': 'CONNECT', ':authority': authority }, { endStream: false })

  it('opens a tunnel over the stream, and either half may end first', async () => {
    const origin = own(await rawOrigin(echoing))
    const front = own(await kind.start({ targets: origin.url, guard }))
    const stream = ask(front, 'far.example:443')
    let text = ''
    stream.on('data', (chunk: Buffer) => {
      text += String(chunk)
    })
    const [headers] = await within(once(stream, 'response'), 'the response')
    expect(headers).toMatchObject({ ':status': 200, 'x-tunnel': 'yes' })
    expect(headers['content-length']).toBeUndefined()
    stream.write('one')
    await until(() => text === 'hello one', 'the echo')
    stream.end(' two')
    await within(once(stream, 'close'), 'the end')
    expect(text).toBe('hello one two')
    expect(stream.rstCode).toBe(0)
    expect(origin.connections[0]?.text).toMatch(/^CONNECT far\.example:443 HTTP\/1\.1\r\n/)
    await released(front)
  })

  it('a refusal is the response that it is', async () => {
    const origin = own(await rawOrigin(answering('HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\nnot me')))
    const front = own(await kind.start({ targets: origin.url, guard }))
    const stream = ask(front, 'far.example:443')
    const response = once(stream, 'response')
    stream.setEncoding('utf8')
    expect((await within(response, 'the response'))[0]).toMatchObject({ ':status': 403 })
    expect(await stream.toArray().then((parts) => parts.join(''))).toBe('not me')
    await released(front)
  })

  it('without a port gets 400', async () => {
    const origin = own(await rawOrigin(echoing))
    const front = own(await kind.start({ targets: origin.url, guard }))
    const [headers] = await within(once(ask(front, 'far.example'), 'response'), 'the response')
    expect(headers).toMatchObject({ ':status': 400 })
    expect(origin.connections).toHaveLength(0)
  })

  it('a target that resets resets the stream with CONNECT_ERROR (RFC 9113 section 8.5)', async () => {
    const origin = own(await rawOrigin(echoing))
    const front = own(await kind.start({ targets: origin.url, guard }))
    const stream = ask(front, 'far.example:443')
    stream.on('error', () => {})
    // Ahead of the reset it would say that what came is all.
    let ended = false
    stream.on('end', () => {
      ended = true
    })
    await within(once(stream, 'data'), 'the first bytes')
    origin.connections[0]?.reset()
    await within(once(stream, 'close'), 'the reset').catch(() => {})
    await until(() => stream.destroyed, 'the reset')
    expect(stream.rstCode).toBe(0x0a)
    expect(ended).toBe(false)
    await released(front)
  })
})
