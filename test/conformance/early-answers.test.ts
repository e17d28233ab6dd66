import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { attach, fromListener, type Handler } from '@sluice/core'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { attachedHttp2Fronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { testCertificate } from '../kit/certificate.js'
import { fronts } from '../kit/fronts.js'
import { http2Origin } from '../kit/http2-origin.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { parseResponses, rawClient, rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const piece = Buffer.alloc(64 * 1024, 'x')
const refused = 'HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large'
const post = (length: number): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`
const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

/** Answers as soon as it has the head. */
const early = (bytes: string) =>
  rawOrigin(async (connection) => {
    await connection.head()
    await connection.write(bytes)
  })

describe.each(attachedRawFronts)('an answer ahead of the request’s end through $name', (kind) => {
  it('is relayed at once, says close, and the connection ends when the client has ended its half', async () => {
    const origin = own(await early(refused))
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const client = own(await rawClient(front.port, { allowHalfOpen: true }))
    client.write(post(1_000_000) + 'x'.repeat(1000))
    const [response] = await client.responses()
    expect(response).toMatchObject({ status: 413, complete: true })
    expect(value(response?.headers ?? [], 'connection')).toBe('close')
    await until(() => client.ended === 'end', 'the end of the other half')
    // It still reads: what is sent meets no reset.
    client.write('y'.repeat(1000))
    client.socket.end()
    await within(client.closed, 'the close')
    expect(client.ended).toBe('end')
    await until(() => front.inFlight === 0, 'the lease to be released')
  })

  it('a client that sends without end gets it all the same, and is read no further than a little', async () => {
    const origin = own(await early(refused))
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const client = own(await rawClient(front.port, { allowHalfOpen: true }))
    client.write(chunked)
    let sent = 0
    const more = (): void => {
      while (!client.socket.destroyed && client.socket.write('10000\r\n')) {
        client.socket.write(piece)
        client.socket.write('\r\n')
        sent += piece.length
        if (sent > 1_000_000_000) return
      }
    }
    client.socket.on('drain', more)
    more()
    await client.responses()
    expect(parseResponses(client.received)[0]).toMatchObject({ status: 413, complete: true })
    await within(client.closed, 'the close')
    // What fits into the buffers of two kernels, and a little.
    expect(sent).toBeLessThan(64_000_000)
    await until(() => front.inFlight === 0, 'the lease to be released')
  })

  it('a client that stops sending and stays is let go', async () => {
    const origin = own(await early(refused))
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const client = own(await rawClient(front.port, { allowHalfOpen: true }))
    client.write(post(1_000_000))
    await client.responses()
    // Our half stays open; when theirs has gone with the connection, what we send meets a reset.
    await until(() => client.socket.destroyed || !client.socket.write('x'), 'the reset')
    await within(client.closed, 'the reset')
  })

  it('a request that had come whole costs no connection', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.statusCode = 413
        res.end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const client = own(await rawClient(front.port))
    client.write(`${post(4)}body`)
    const [response] = await client.responses()
    expect(value(response?.headers ?? [], 'connection')).not.toBe('close')
    client.write(`${post(4)}body`)
    await client.responses(2)
  })

  it('a long answer is relayed whole, however slowly it is read', async () => {
    const length = 8 * 1024 * 1024
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, { 'Content-Length': length })
        res.end(Buffer.alloc(length, 'z'))
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const client = own(await rawClient(front.port))
    client.socket.pause()
    client.write(post(1_000_000) + 'x'.repeat(1000))
    await atRest(() => client.socket.bytesRead)
    client.socket.resume()
    const [response] = await client.responses()
    expect(response?.body.length).toBe(length)
  })
})

describe('an answer that nobody’s target gives', () => {
  async function serve(handler: Handler): Promise<number> {
    const server = createServer()
    attach(server, handler)
    return own(await listen(server)).port
  }

  it('a handler that leaves the body alone: close, and a little of the rest is read', async () => {
    const port = await serve(() => ({ status: 401, headers: [], body: 'who?' }))
    const { responses, ended } = await rawRequest(port, `${post(500_000)}${'x'.repeat(100_000)}`)
    expect(responses).toMatchObject([{ status: 401, complete: true }])
    expect(value(responses[0]?.headers ?? [], 'connection')).toBe('close')
    expect(ended).toBe('end')
  })

  it('a handler that still reads the body may go on behind its answer', async () => {
    let bytes = 0
    let whole = false
    const port = await serve((ctx) => {
      const { body } = ctx.out
      ;(body as { pipe(to: object): void }).pipe({
        write: (chunk: Uint8Array) => {
          bytes += chunk.length
          return true
        },
        end: () => {
          whole = true
        },
        abort: () => {},
        onDrain: () => {},
      })
      return { status: 202, headers: [], body: 'later' }
    })
    const client = own(await rawClient(port))
    client.write(post(1_000_000))
    const [response] = await client.responses()
    expect(response).toMatchObject({ status: 202 })
    expect(value(response?.headers ?? [], 'connection')).not.toBe('close')
    client.write('x'.repeat(1_000_000))
    await until(() => whole, 'the whole body')
    expect(bytes).toBe(1_000_000)
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  })

  it('an app at the end of a chain that answers before it reads goes on reading', async () => {
    const port = await serve(
      fromListener((req, res) => {
        res.flushHeaders()
        req.pipe(res)
      }),
    )
    const client = own(await rawClient(port))
    client.write(post(200_000))
    await client.until('\r\n\r\n')
    client.write('x'.repeat(200_000))
    const [response] = await client.responses()
    expect(response?.body.length).toBe(200_000)
  })
})

describe.each(attachedHttp2Fronts)('an answer ahead of the request’s end through $name', (kind) => {
  it('is relayed at once, and RST_STREAM NO_ERROR stops the rest (RFC 9113 section 8.1)', async () => {
    const origin = own(await early(refused))
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const ca = kind.tls ? testCertificate()?.cert : undefined
    const session = connectHttp2(`${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`, ca ? { ca } : {})
    own({ close: () => session.destroy() })
    const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
    let text = ''
    stream.on('data', (chunk: Buffer) => {
      text += String(chunk)
    })
    stream.write(piece)
    const [headers] = await within(once(stream, 'response'), 'the response')
    expect(headers).toMatchObject({ ':status': 413 })
    await until(() => stream.destroyed, 'the end of the stream')
    expect(text).toBe('too large')
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR)
    // The session goes on.
    expect(session.destroyed).toBe(false)
    await until(() => front.inFlight === 0, 'the lease to be released')
  })
})

describe.each(fronts)('an exchange in both directions at once through $name', (kind) => {
  it('goes on as long as both want', async () => {
    const origin = own(
      await originServer((req, res) => {
        res.flushHeaders()
        req.pipe(res)
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call({ method: 'POST', open: true })
    call.body.write('0')
    const { body } = await within(call.head, 'the head')
    let heard = 0
    body.on('data', (chunk: Buffer) => {
      heard += chunk.length
    })
    const ended = once(body, 'end')
    let sent = 1
    for (let i = 0; i < 40; i++) {
      call.body.write(piece)
      sent += piece.length
      await until(() => heard === sent, 'the echo')
    }
    call.body.end()
    await within(ended, 'the end')
  })
})

describe('an answer whose head has gone out while its request was read', () => {
  it('ends our half of the connection once nothing more is read, though the head said keep-alive', async () => {
    // Its answer’s head goes out while the request is still read, and its end comes when most of that can’t be read any more.
    const go = deferred()
    const target = own(
      await http2Origin((stream) => {
        stream.respond({ ':status': 413 })
        stream.write('too ')
        void go.promise.then(() => stream.end('large'))
      }),
    )
    const proxy = own(
      createProxy({ upstreams: { site: { targets: [target.url], http2: 'prior-knowledge', retry: false } } }),
    )
    const { port } = await proxy.listen()
    const client = own(await rawClient(port, { allowHalfOpen: true }))
    client.write(post(1_000_000))
    client.socket.write(Buffer.alloc(1_000_000, 'x'))
    await until(() => client.received.includes('too '), 'the first part of the answer')
    go.resolve()
    const [answer] = await client.responses()
    expect(answer).toMatchObject({ status: 413, complete: true })
    expect(value(answer?.headers ?? [], 'connection')).toBe('keep-alive')
    await until(() => client.ended === 'end', 'the end of the other half')
  })
})
