import { PassThrough, Transform } from 'node:stream'
import { TransformStream } from 'node:stream/web'
import { gunzipSync, gzipSync } from 'node:zlib'
import {
  type BodyTransform,
  type Client,
  type Context,
  type Layer,
  type Outbound,
  type Reply,
  type TransformOptions,
  transformRequest,
  transformResponse,
} from '@sluice/core'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { attachedFronts } from '../kit/attached-fronts.js'
import { type Front, fronts, rawFronts, threeFronts, twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { observer } from '../kit/observer.js'
import { type Origin, type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

type Site = Context & Client
const request = (fn: (out: Outbound, ctx: Site) => BodyTransform, options?: TransformOptions): Layer<Site> =>
  transformRequest<Site>(fn, options)
const response = (fn: (reply: Reply, ctx: Site) => BodyTransform, options?: TransformOptions): Layer<Site> =>
  transformResponse<Site>(fn, options)

/** Bytes in capitals. */
const upper = (): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(null, chunk.toString('latin1').toUpperCase())
    },
  })

const webUpper = (): TransformStream =>
  new TransformStream({
    transform(chunk: Uint8Array, controller) {
      controller.enqueue(Buffer.from(Buffer.from(chunk).toString('latin1').toUpperCase()))
    },
  })

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')
const letGo = (origin: Origin): Promise<boolean> =>
  until(() => origin.requests.every(({ aborted }) => aborted), 'the target to be let go')

/** Sends without end, as fast as it is read. */
const flood: OriginHandler = (req, res) => {
  req.resume()
  const more = (): void => {
    while (!res.destroyed && res.write(Buffer.alloc(65_536, 'x')));
  }
  res.on('drain', more)
  more()
}

describe.each(fronts)('body transforms through $name', (kind) => {
  it.each([
    ['a Node stream', upper],
    ['a stream of the web', webUpper],
  ])('%s: the reply flows through it, and what told of its bytes is gone', async (_name, make) => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, {
          'Content-Type': 'text/plain',
          'Content-Length': '300000',
          'Content-MD5': 'x',
          Digest: 'x',
          'Content-Digest': 'x',
          'Repr-Digest': 'x',
          ETag: '"x"',
          'Last-Modified': 'Mon, 01 Jan 2024 00:00:00 GMT',
          'Accept-Ranges': 'bytes',
          'Cache-Control': 'max-age=5',
        })
        res.end('abc'.repeat(100_000))
      }),
    )
    const transform = response((reply) => {
      reply.headers.push('X-Upper', 'yes')
      return make()
    })
    const front = own(await kind.start({ targets: origin.url, use: [transform] }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 200, complete: true })
    expect(answer.text).toBe('ABC'.repeat(100_000))
    for (const name of 'content-length content-md5 digest content-digest repr-digest etag last-modified accept-ranges'.split(
      ' ',
    ))
      expect(value(answer.headers, name), name).toBeUndefined()
    expect(value(answer.headers, 'cache-control')).toBe('max-age=5')
    expect(value(answer.headers, 'x-upper')).toBe('yes')
    const head = await front.client.ask({ method: 'HEAD' })
    expect(head).toMatchObject({ status: 200, text: '' })
    expect(value(head.headers, 'content-length')).toBeUndefined()
    await released(front)
  })

  it('the request flows through it, in chunks', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [request(upper)] }))
    const body = 'abc'.repeat(100_000)
    const headers = ['Content-MD5', 'x', 'X-A', '1']
    expect(await front.client.ask({ method: 'POST', body, headers })).toMatchObject({ status: 200 })
    const seen = await origin.request()
    expect(String(await seen.body())).toBe(body.toUpperCase())
    expect(value(seen.rawHeaders, 'content-length')).toBeUndefined()
    expect(value(seen.rawHeaders, 'transfer-encoding')).toBe('chunked')
    expect(value(seen.rawHeaders, 'content-md5')).toBeUndefined()
    expect(value(seen.rawHeaders, 'x-a')).toBe('1')
    expect(await front.client.ask()).toMatchObject({ status: 200 })
    await released(front)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('thrown by a transform')
      },
    ],
    ['fails', (done: (error: Error) => void) => done(new Error('failed in a transform'))],
    [
      'fails later',
      (done: (error: Error) => void) => void setImmediate(done, new Error('later in a transform')),
    ],
  ] as readonly [string, (done: (error: Error) => void) => void][])(
    'one that %s midway: the client is cut off, the target let go',
    async (_name, fail) => {
      vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
      let made: Transform | undefined
      const failing = (): Transform => {
        let bytes = 0
        made = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            bytes += chunk.length
            if (bytes < 300_000) setImmediate(done, null, chunk)
            else fail(done)
          },
        })
        return made
      }
      const origin = own(await originServer(flood))
      const front = own(await kind.start({ targets: origin.url, use: [response(failing)] }))
      const answer = await front.client.ask()
      expect(answer).toMatchObject({ status: 200, complete: false })
      await letGo(origin)
      await until(() => made?.destroyed, 'the stream to be destroyed')
      await released(front)
    },
  )

  it('a request whose transform fails is a 500, and no whole one for the target', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(
      await originServer((_req, _res, seen) => {
        seen.body().catch(() => {})
      }),
    )
    const failing = (): Transform =>
      new Transform({
        transform() {
          throw new Error('thrown by a transform of requests')
        },
      })
    const front = own(await kind.start({ targets: origin.url, use: [request(failing)] }))
    const answer = await front.client.ask({ method: 'POST', body: 'x'.repeat(100_000) })
    expect(answer).toMatchObject({ status: 500, complete: true })
    expect(answer.text).not.toContain('transform')
    await letGo(origin)
    await released(front)
  })

  it('a client that leaves midway: the stream is destroyed, the target let go', async () => {
    const leaks = leakCheck()
    const made: Transform[] = []
    const make = (): Transform => {
      const stream = new PassThrough()
      made.push(stream)
      return stream
    }
    const origin = await originServer(flood)
    const front = await kind.start({ targets: origin.url, use: [response(make), request(make)] })
    const call = front.client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    call.body.write('x')
    const { body } = await call.head
    body.on('error', () => {})
    call.abort()
    await letGo(origin)
    await until(
      () => made.length === 2 && made.every(({ destroyed }) => destroyed),
      'the streams to be destroyed',
    )
    await released(front)
    await front.close()
    await origin.close()
    await leaks.settled()
  })

  it('a target that breaks off midway: the client is cut off, the stream never ended', async () => {
    let ended = false
    let made: Transform | undefined
    const make = (): Transform => {
      made = new Transform({
        transform: (chunk, _encoding, done) => done(null, chunk),
        flush(done) {
          ended = true
          done()
        },
      })
      return made
    }
    const origin = own(
      await originServer((req, res) => {
        res.writeHead(200, { 'Content-Length': '1000' })
        res.write('x', () => setImmediate(() => req.socket.destroy()))
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [response(make)] }))
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: false })
    await until(() => made?.destroyed, 'the stream to be destroyed')
    expect(ended).toBe(false)
  })

  it.each([
    ['no body', 'GET', 204, []],
    ['a part', 'GET', 206, ['Content-Range', 'bytes 0-3/9']],
    ['a range of another status', 'GET', 200, ['Content-Range', 'bytes 0-3/9']],
    ['no-transform', 'GET', 200, ['Cache-Control', 'max-age=1, No-Transform']],
    ['a coding', 'GET', 200, ['Content-Encoding', 'gzip']],
    ['not modified', 'GET', 304, []],
  ] as const)('%s is left alone, and nobody is asked', async (_name, method, status, fields) => {
    let asked = 0
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(status, ['ETag', '"x"', ...fields])
        res.end(status === 204 || status === 304 ? undefined : 'abcd')
      }),
    )
    const make = (): Transform => {
      asked++
      return upper()
    }
    const front = own(await kind.start({ targets: origin.url, use: [response(make)] }))
    const answer = await front.client.ask({ method })
    expect(answer.status).toBe(status)
    expect(answer.text).toBe(status === 204 || status === 304 ? '' : 'abcd')
    expect(value(answer.headers, 'etag')).toBe('"x"')
    expect(asked).toBe(0)
  })

  it('HEAD has the fields of GET, of a reply that is left as it is too', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, ['ETag', '"x"', 'Content-Length', '4'])
        res.end('abcd')
      }),
    )
    const made: Transform[] = []
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          response((reply, { out }) => {
            if (out.path === '/left') return undefined
            reply.headers.push('X-Upper', 'yes')
            const stream = upper()
            made.push(stream)
            return stream
          }),
        ],
      }),
    )
    for (const [path, etag, length, mark] of [
      ['/left', '"x"', '4', undefined],
      ['/upper', undefined, undefined, 'yes'],
    ]) {
      for (const method of ['HEAD', 'GET']) {
        const { headers } = await front.client.ask({ method, path: path as string })
        expect(value(headers, 'etag'), method).toBe(etag)
        expect(value(headers, 'content-length'), method).toBe(length)
        expect(value(headers, 'x-upper'), method).toBe(mark)
      }
    }
    await until(() => made.every(({ destroyed }) => destroyed), 'both streams to be destroyed')
    expect(made).toHaveLength(2)
    await released(front)
  })

  it('coded bodies flow where one says so; requests of their kinds are left alone too', async () => {
    const origin = own(
      await originServer(async (_req, res, seen) => {
        await seen.body()
        res.writeHead(200, { 'Content-Encoding': 'gzip' })
        res.end(gzipSync('abc'))
      }),
    )
    let asked = 0
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [
          response(() => new PassThrough(), { coded: true }),
          request(() => {
            asked++
            return upper()
          }),
        ],
      }),
    )
    const post = (...headers: string[]) => front.client.ask({ method: 'PUT', body: 'abc', headers })
    const answer = await post('Content-Encoding', 'br')
    expect(String(gunzipSync(answer.body))).toBe('abc')
    expect(value(answer.headers, 'content-length')).toBeUndefined()
    await post('Cache-Control', 'no-transform')
    await post('Content-Range', 'bytes 0-2/9')
    expect(asked).toBe(0)
    for (const { rawHeaders } of origin.requests) expect(value(rawHeaders, 'content-length')).toBe('3')
    await post('Content-Encoding', 'identity')
    expect(asked).toBe(1)
  })

  it('a function that throws, or gives no stream, or fields that HTTP forbids: 500, and nothing leaks', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(await originServer(flood))
    const stream = upper()
    const wrong = (list: { headers: string[] }, path: string | undefined): BodyTransform => {
      if (path === '/throws') throw new Error('thrown by a function for transforms')
      if (path === '/nonsense') return 'upper' as never
      if (path === '/framed') list.headers.push('Transfer-Encoding', 'gzip')
      else list.headers.push('X-A', 'b\r\nX-Evil: 1')
      return stream
    }
    const back = own(
      await kind.start({ targets: origin.url, use: [response((reply, { out }) => wrong(reply, out.path))] }),
    )
    const out = own(
      await kind.start({
        targets: origin.url,
        use: [
          request((sent) => {
            if (sent.path !== '/moved') return wrong(sent, sent.path)
            sent.path = '/a b'
            return upper()
          }),
        ],
      }),
    )
    for (const path of ['/throws', '/nonsense', '/splits']) {
      const answer = await back.client.ask({ path })
      expect(answer).toMatchObject({ status: 500, complete: true })
      expect(value(answer.headers, 'x-evil')).toBeUndefined()
    }
    await letGo(origin)
    const sent = origin.requests.length
    for (const path of ['/throws', '/nonsense', '/splits', '/framed', '/moved'])
      expect(await out.client.ask({ path, method: 'POST', body: 'abc' })).toMatchObject({ status: 500 })
    expect(origin.requests).toHaveLength(sent)
    expect(stream.destroyed).toBe(true)
  })
})

describe.each(threeFronts)('transforms and the pace, through $name', (kind) => {
  it('a client that does not read stops the target', async () => {
    let sent = 0
    let stopped = false
    const origin = own(
      await originServer((_req, res) => {
        const more = (): void => {
          let room = true
          while (room && !res.destroyed) {
            room = res.write(Buffer.alloc(65_536))
            sent += 65_536
            if (sent > 200_000_000) throw new Error('no end')
          }
          stopped = true
        }
        res.on('drain', more)
        more()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [response(() => new PassThrough())] }))
    const call = front.client.call()
    await call.head
    let last = -1
    await until(() => {
      const still = sent === last
      last = sent
      return still && stopped
    }, 'the target to be stopped')
    expect(sent).toBeLessThan(50_000_000)
    call.abort()
    await letGo(origin)
  })

  it('a stream that says all before it has heard all ends the reply well and lets the target go', async () => {
    const origin = own(await originServer(flood))
    const first = (): Transform => {
      const stream = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          stream.push(chunk.subarray(0, 5))
          stream.push(null)
          void done
        },
      })
      return stream
    }
    const front = own(await kind.start({ targets: origin.url, use: [response(first)] }))
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'xxxxx', complete: true })
    await letGo(origin)
    await released(front)
  })

  it('trailers of both ways survive', async () => {
    const origin = own(
      await originServer(async (_req, res, seen) => {
        await seen.body()
        res.writeHead(200, { Trailer: 'X-Sum' })
        res.write('abc')
        res.addTrailers({ 'X-Sum': '7' })
        res.end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [response(upper), request(upper)] }))
    const answer = await front.client.ask({ headers: ['TE', 'trailers'] })
    expect(answer.text).toBe('ABC')
    expect(value(answer.trailers, 'x-sum')).toBe('7')
  })
})

describe.each(rawFronts.filter(({ transport }) => transport === 'wire'))(
  'transforms through $name',
  (kind) => {
    it('trailers of a request survive', async () => {
      const origin = own(await originServer())
      const front = own(await kind.start({ targets: origin.url, use: [request(upper)] }))
      const client = own(await rawClient(front.port))
      client.write(
        'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n',
      )
      await client.responses()
      const seen = await origin.request()
      expect(String(await seen.body())).toBe('ABC')
      expect(value(seen.rawTrailers as string[], 'x-sum')).toBe('7')
    })

    it('a tunnel is no body', async () => {
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.head()
          await connection.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhead',
          )
        }),
      )
      const front = own(await kind.start({ targets: origin.url, use: [response(upper), request(upper)] }))
      const client = own(await rawClient(front.port))
      client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
      await client.until('\r\n\r\nhead')
    })
  },
)

describe.each(attachedFronts.filter(({ http2, tls }) => !http2 && !tls))('Expect through $name', (kind) => {
  it('the client hears 100 when its body is wanted, and not before an early answer', async () => {
    const origin = own(
      await originServer(async (req, res, seen) => {
        if (req.url === '/early') return void res.writeHead(401).end()
        await seen.body()
        return void res.end('ok')
      }),
    )
    origin.server.on('checkContinue', (req, res) => {
      if (req.url !== '/early') res.writeContinue()
      origin.server.emit('request', req, res)
    })
    const made: Transform[] = []
    const make = (): Transform => {
      const stream = upper()
      made.push(stream)
      return stream
    }
    const front = own(await kind.start({ targets: origin.url, use: [request(make)] }))
    const client = own(await rawClient(front.port))
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n')
    await client.until('HTTP/1.1 100 Continue\r\n\r\n')
    client.write('abc')
    await client.until('ok')
    expect(String(await (await origin.request()).body())).toBe('ABC')
    const early = own(await rawClient(front.port))
    early.write('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n')
    await early.until('401')
    expect(early.text).not.toContain('100 Continue')
    await until(
      () => made.length === 2 && made.every(({ destroyed }) => destroyed),
      'the streams to be destroyed',
    )
    await released(front)
  })
})

describe.each(twoFronts)('transforms and further tries through $name', (kind) => {
  it('a body that nobody has read goes to the next target, made once', async () => {
    const dead = await originServer()
    await dead.close()
    const origin = own(await originServer())
    const seen = observer()
    let made = 0
    const make = (): Transform => {
      made++
      return upper()
    }
    const front = own(await kind.start({ targets: [dead.url, origin.url], use: [seen.layer, request(make)] }))
    for (let i = 0; i < 4; i++)
      expect(await front.client.ask({ method: 'POST', body: 'abc' })).toMatchObject({ status: 200 })
    expect(made).toBe(4)
    for (const each of origin.requests) expect(String(await each.body())).toBe('ABC')
    expect(seen.codes).toEqual([])
  })

  it('one that was read is not sent again', async () => {
    const origin = own(
      await originServer((req) => {
        req.once('data', () => req.socket.destroy())
      }),
    )
    const front = own(await kind.start({ targets: [origin.url], use: [request(() => new PassThrough())] }))
    expect(await front.client.ask({ method: 'PUT', body: 'abc' })).toMatchObject({ status: 502 })
    expect(origin.requests).toHaveLength(1)
    await released(front)
  })

  it('no target: the stream is destroyed', async () => {
    const origin = own(await originServer())
    const stream = upper()
    const front = own(await kind.start({ targets: origin.url, use: [request(() => stream)] }))
    front.upstream.drain(front.upstream.all[0]?.id as string)
    expect(await front.client.ask({ method: 'POST', body: 'abc' })).toMatchObject({ status: 503 })
    await until(() => stream.destroyed, 'the stream to be destroyed')
  })
})

it('wrong options are a TypeError', () => {
  expect(() => transformRequest('x' as never)).toThrow(/transformRequest.*function/)
  expect(() => transformResponse(() => undefined, { code: true } as never)).toThrow(/transformResponse\.code/)
})
