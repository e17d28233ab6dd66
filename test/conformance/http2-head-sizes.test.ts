import { once } from 'node:events'
import { createServer } from 'node:http'
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer as createHttp2,
  type IncomingHttpHeaders,
} from 'node:http2'
import { Duplex } from 'node:stream'
import { attach, type Handler, PushBody } from '@sluice/core'
import { serverOptions } from '@sluice/guard'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { http2Origin } from '../kit/http2-origin.js'
import { listen } from '../kit/listen.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const fields = (count: number, size: number): string[] =>
  Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'.repeat(size)]).flat()

describe('a request whose head is too large for its target', () => {
  it.each([
    ['for HTTP/2', fields(1, 66_000)],
    ['for a server of Node, which resets its stream', fields(150, 1)],
  ])('%s is answered 431; it is not sent elsewhere, and nobody is ejected', async (_what, headers) => {
    const targets = [own(await http2Origin()), own(await http2Origin())]
    const proxy = createProxy({
      upstreams: { default: { targets: targets.map(({ url }) => ({ url })), http2: 'prior-knowledge' } },
      guard: false,
    })
    own({ close: () => proxy.close() })
    const { client } = own(await listen(createServer({ maxHeaderSize: 128 * 1024 }, proxy.listener)))
    for (let i = 0; i < 10; i++) expect((await client.ask({ headers })).status).toBe(431)
    expect(proxy.upstreams.get('default')?.all.map(({ state }) => state)).not.toContain('ejected')
    for (let i = 0; i < 2; i++) expect(await client.ask()).toMatchObject({ status: 200, text: 'ok' })
    expect(targets.map(({ streams }) => streams.length)).toEqual([1, 1])
    expect(targets.map(({ connections }) => connections)).toEqual([1, 1])
  })
})

describe('to a client of HTTP/2', () => {
  /** Takes more than Node's clients do by themselves. */
  async function clientOf(handler: Handler, options = {}): Promise<ClientHttp2Session> {
    const server = createHttp2({ settings: { enableConnectProtocol: true }, ...options })
    attach(server, handler)
    const { port } = own(await listen(server, { http2: true }))
    const session = connect(`http://127.0.0.1:${port}`, { maxHeaderListPairs: 2_000 })
    own({ close: () => session.destroy() })
    await once(session, 'remoteSettings')
    return session
  }

  interface Seen {
    readonly head: IncomingHttpHeaders | undefined
    /** Statuses of informational responses. */
    readonly informed: readonly unknown[]
    readonly text: string
    readonly code: number | undefined
    /** The connection goes on. */
    readonly goesOn: boolean
  }

  async function ask(session: ClientHttp2Session, fields = {}): Promise<Seen> {
    const stream = session.request({ ':path': '/', ...fields })
    let head: IncomingHttpHeaders | undefined
    let text = ''
    const informed: unknown[] = []
    stream.on('error', () => {})
    stream.on('headers', (given) => informed.push(given[':status']))
    stream.on('response', (given) => {
      head = given
    })
    stream.on('data', (chunk: Buffer) => {
      text += String(chunk)
    })
    await within(new Promise((resolve) => stream.on('close', resolve)), 'the end of the stream')
    // A GOAWAY would come before this is answered.
    const goesOn = session.closed
      ? false
      : await new Promise<boolean>((resolve) => {
          session.ping((error) => resolve(error === null && !session.closed))
        })
    return { head, informed, text, code: stream.rstCode, goesOn }
  }

  /** 59 KB in lines of HTTP/1.1, which is no more than the wire takes; 67 KB as HTTP/2 counts. */
  const many = fields(990, 52)
  const large = (): Handler => () => ({ status: 200, headers: many, body: 'all' })

  it.each<[string, object, number]>([
    ['of a server as Node makes it is answered 502', {}, 502],
    ['of a server that says so goes out', { maxSendHeaderBlockLength: 100_000 }, 200],
    ['of a server that has its options from here goes out', serverOptions(), 200],
  ])('a head that is larger than Node sends by itself %s', async (_which, options, status) => {
    const seen = observer()
    const session = await clientOf(seen.layer(large()), options)
    for (let i = 0; i < 2; i++) {
      const { head, text, code, goesOn } = await ask(session)
      expect([head?.[':status'], code, goesOn]).toEqual([status, 0, true])
      expect(text).toBe(status === 200 ? 'all' : '502 Bad Gateway\n')
    }
    const outcomes = [await seen.outcome(0), await seen.outcome(1)].map(({ error }) => [
      error?.code,
      error?.reason,
    ])
    const failed = ['http_response_header_section_size', 'http2-head-size']
    expect(outcomes).toEqual(Array(2).fill(status === 200 ? [undefined, undefined] : failed))
  })

  it('all that a target may say goes out of a server of ours', async () => {
    const target = own(await originServer((_req, res) => res.writeHead(200, many).end('all')))
    const proxy = createProxy(target.url)
    own({ close: () => proxy.close() })
    const session = await clientOf(proxy.handler, serverOptions())
    expect(await ask(session)).toMatchObject({ head: { ':status': 200 }, text: 'all', goesOn: true })
  })

  it('a body whose head can’t go out is let go', async () => {
    let stopped = 0
    class Flowing extends PushBody {
      protected resume(): void {}
      protected stop(): void {
        stopped++
      }
    }
    const session = await clientOf(() => ({ status: 200, headers: many, body: new Flowing() }))
    expect((await ask(session)).head?.[':status']).toBe(502)
    expect(stopped).toBe(1)
  })

  it('an answer whose trailers are larger is reset, and does not pass for whole', async () => {
    class Flowing extends PushBody {
      protected resume(): void {}
      protected stop(): void {}
      begin(): this {
        setImmediate(() => {
          this.push(Buffer.from('all'))
          this.finish(many)
        })
        return this
      }
    }
    const session = await clientOf(() => ({ status: 200, headers: [], body: new Flowing().begin() }))
    const { head, code, goesOn } = await ask(session)
    expect([head?.[':status'], code, goesOn]).toEqual([200, constants.NGHTTP2_INTERNAL_ERROR, true])
  })

  it('an informational response that is larger is left out, and the answer comes', async () => {
    const session = await clientOf((ctx) => {
      ctx.inform(103, ['link', '</a>; rel=preload'])
      ctx.inform(103, many)
      return { status: 200, headers: [], body: 'all' }
    })
    expect(await ask(session)).toMatchObject({ informed: [103], text: 'all', code: 0, goesOn: true })
  })

  it.each([
    ['CONNECT', { ':method': 'CONNECT', ':authority': 'a:1', ':path': undefined }, 200],
    ['extended CONNECT', { ':method': 'CONNECT', ':protocol': 'echo', ':scheme': 'http' }, 101],
  ])('a tunnel by %s whose head is larger is answered 502', async (_how, asked, status) => {
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    const session = await clientOf(() => ({ status, headers: many, body: null, socket }))
    expect(await ask(session, asked)).toMatchObject({ head: { ':status': 502 }, goesOn: true })
    expect(socket.destroyed).toBe(true)
  })
})
