import { randomBytes } from 'node:crypto'
import * as zlib from 'node:zlib'
import { codings, type DecompressOptions, decompress, encodeSync } from '@sluice/compress'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Answer, Ask } from '../kit/client.js'
import { type Front, type FrontKind, fronts, rawFronts, threeFronts } from '../kit/fronts.js'
import { observer } from '../kit/observer.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const text = Buffer.from('What a target sends, which its client is to have plain. '.repeat(2_000))
const gzip = zlib.gzipSync(text)

/** Coded bodies, each with its lines of `Content-Encoding`. */
const forms: readonly (readonly [Uint8Array, ...string[]])[] = [
  ...codings.map((coding) => [encodeSync(coding, text, { level: 5 }), coding] as const),
  [zlib.deflateRawSync(text), 'deflate'],
  [Buffer.concat([gzip.subarray(0, 0), zlib.gzipSync(''), gzip]), 'x-gzip'],
  [zlib.brotliCompressSync(gzip), 'gzip', 'BR, identity'],
]
const flood = zlib.gzipSync(Buffer.alloc(50 * 1024 * 1024), { level: 1 })

const start = async (kind: FrontKind, origin: Origin, options: DecompressOptions = {}): Promise<Front> =>
  own(await kind.start({ targets: origin.url, use: [decompress(options)] }))

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

/** Answers every request with these. */
const giving = (body: Uint8Array, fields: readonly string[], status = 200): Promise<Origin> =>
  originServer((_req, res) => {
    res.writeHead(status, [...fields])
    res.end(body)
  })

const plain = ['Content-Type', 'text/plain']
const digests = ['Content-MD5', 'x', 'Digest', 'x', 'Content-Digest', 'x', 'Repr-Digest', 'x']

describe.each(fronts)('decompress through $name', (kind) => {
  it('a client that has not said that it takes a coding gets the body without it', async () => {
    for (const [body, ...lines] of forms) {
      const fields = [...plain, ...digests, 'ETag', '"x"', 'Vary', 'Origin', 'Accept-Ranges', 'bytes']
      for (const line of lines) fields.push('Content-Encoding', line)
      fields.push('Content-Length', String(body.length))
      const origin = own(await giving(body, fields))
      const front = await start(kind, origin)
      const asks: Ask[] = [{}, { headers: ['Accept-Encoding', 'identity'] }]
      asks.push({ headers: ['Accept-Encoding', `${'gzip, '.repeat(2_000)}br`] })
      asks.push({ headers: ['Accept-Encoding', 'gzip;q=0, br;q=0, deflate;q=0, zstd;q=0'] })
      for (const ask of asks) {
        const answer = await front.client.ask(ask)
        expect(answer, lines.join()).toMatchObject({ status: 200, complete: true })
        expect(answer.body.equals(text)).toBe(true)
        const { headers } = answer
        for (const name of 'content-encoding content-length content-md5 digest content-digest repr-digest accept-ranges'.split(
          ' ',
        ))
          expect(value(headers, name), name).toBeUndefined()
        expect(value(headers, 'etag')).toBe('W/"x"')
        expect(values(headers, 'vary').join(', ')).toBe('Origin, Accept-Encoding')
        const head = await front.client.ask({ ...ask, method: 'HEAD' })
        expect(head).toMatchObject({ status: 200, text: '' })
        const stable = (list: string[]): string[] =>
          list.filter(
            (_, i) => !/^(?:date|transfer-encoding|connection|keep-alive)$/i.test(list[i & ~1] as string),
          )
        expect(stable(head.headers)).toEqual(stable(headers))
      }
      await released(front)
    }
  })

  it('a client that takes it gets it as it came, and hears that others may not', async () => {
    const origin = own(await giving(gzip, [...plain, 'Content-Encoding', 'gzip', 'ETag', '"x"', ...digests]))
    const front = await start(kind, origin)
    for (const accept of ['gzip', 'br, x-gzip;q=0.5', '*']) {
      const answer = await front.client.ask({ headers: ['Accept-Encoding', accept] })
      expect(answer.body.equals(gzip), accept).toBe(true)
      expect(value(answer.headers, 'content-encoding')).toBe('gzip')
      expect(value(answer.headers, 'etag')).toBe('"x"')
      expect(value(answer.headers, 'digest')).toBe('x')
      expect(value(answer.headers, 'vary')).toBe('Accept-Encoding')
    }
    const all = await start(kind, origin, { for: 'all' })
    const answer = await all.client.ask({ headers: ['Accept-Encoding', 'gzip'] })
    expect(answer.body.equals(text)).toBe(true)
    expect(value(answer.headers, 'content-encoding')).toBeUndefined()
    // Everybody gets the same.
    expect(value(answer.headers, 'vary')).toBeUndefined()
  })

  it.each([
    ['a coding that nobody knows', 200, ['Content-Encoding', 'rot13']],
    ['one of two that nobody knows', 200, ['Content-Encoding', 'gzip, rot13']],
    ['garbage', 200, ['Content-Encoding', 'gzip;q=1']],
    ['fifty codings', 200, ['Content-Encoding', Array.from({ length: 50 }, () => 'gzip').join(', ')]],
    ['no-transform', 200, ['Content-Encoding', 'gzip', 'Cache-Control', 'private, No-Transform']],
    ['a part', 206, ['Content-Encoding', 'gzip', 'Content-Range', 'bytes 0-9/100']],
    ['no coding', 200, ['Content-Encoding', 'identity']],
  ])('%s stays as it is', async (_name, status, fields) => {
    const origin = own(await giving(gzip, [...plain, ...fields, ...digests, 'ETag', '"x"'], status))
    const front = await start(kind, origin)
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status, complete: true })
    expect(answer.body.equals(gzip)).toBe(true)
    expect(value(answer.headers, 'content-encoding')).toBe(fields[1])
    expect(value(answer.headers, 'etag')).toBe('"x"')
    expect(value(answer.headers, 'digest')).toBe('x')
    expect(value(answer.headers, 'vary')).toBe(status === 206 ? 'Accept-Encoding' : undefined)
    expect((await front.client.ask({ method: 'HEAD' })).status).toBe(status)
    await released(front)
  })

  it('what has no body needs no decoding', async () => {
    const coded = ['Content-Encoding', 'gzip']
    const origin = own(
      await originServer((req, res) => {
        const [, status = '', how] = (req.url ?? '').split('/')
        if (how === 'none') res.writeHead(Number(status), [...coded, 'Content-Length', '0'])
        else res.writeHead(Number(status), coded)
        res.end()
      }),
    )
    const front = await start(kind, origin)
    for (const path of ['/204/', '/304/', '/200/none', '/404/none'])
      for (const method of ['GET', 'HEAD']) {
        const answer = await front.client.ask({ method, path })
        expect(answer, path).toMatchObject({ status: Number(path.slice(1, 4)), text: '', complete: true })
        expect(value(answer.headers, 'content-encoding')).toBe('gzip')
      }
    await released(front)
  })

  it('a body of no bytes is an empty one, since the framing says that it is whole', async () => {
    const origin = own(
      await originServer((req, res) => {
        res.writeHead(Number(req.url?.slice(1)), ['Content-Encoding', 'gzip', 'Location', '/x'])
        res.flushHeaders()
        res.end()
      }),
    )
    const front = await start(kind, origin)
    for (const status of [200, 302]) {
      const answer = await front.client.ask({ path: `/${status}` })
      expect(answer).toMatchObject({ status, text: '', complete: true })
      expect(value(answer.headers, 'content-encoding')).toBeUndefined()
    }
    await released(front)
  })

  it('conditions reach the target as it knows them, and a 304 the client as that does', async () => {
    const origin = own(
      await originServer((req, res) => {
        const known = req.headers['if-none-match'] !== undefined
        res.writeHead(known ? 304 : 200, ['ETag', '"x"', 'Content-Encoding', 'gzip', 'Vary', 'Accept'])
        res.end(known ? undefined : gzip)
      }),
    )
    const front = await start(kind, origin)
    const tag = value((await front.client.ask()).headers, 'etag') as string
    expect(tag).toBe('W/"x"')
    const again = await front.client.ask({ headers: ['If-None-Match', tag] })
    expect(again).toMatchObject({ status: 304 })
    expect(value(again.headers, 'etag')).toBe(tag)
    expect(values(again.headers, 'vary').join(', ')).toBe('Accept, Accept-Encoding')
    const range = ['Range', 'bytes=5-']
    await front.client.ask({ method: 'PUT', headers: ['If-Match', tag], body: 'x' })
    await front.client.ask({ headers: [...range, 'If-Range', tag] })
    await front.client.ask({ headers: [...range, 'If-Range', 'Mon, 01 Jan 2024 00:00:00 GMT'] })
    await front.client.ask({ headers: [...range, 'If-Range', '"x"'] })
    const [, , put, weak, date, strong] = origin.requests.map(({ rawHeaders }) => [
      value(rawHeaders, 'if-match'),
      value(rawHeaders, 'range'),
      value(rawHeaders, 'if-range'),
    ])
    expect(put).toEqual(['"x"', undefined, undefined])
    expect(weak).toEqual([undefined, undefined, undefined])
    expect(date).toEqual([undefined, undefined, undefined])
    expect(strong).toEqual([undefined, 'bytes=5-', '"x"'])
  })

  it('a body that can not be decoded is never whole, and 502 where its head has not gone out', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const noise = zlib.gzipSync(randomBytes(200_000))
    const bad: [Uint8Array, boolean][] = [
      [text, false],
      [gzip.subarray(0, 12), false],
      [noise.subarray(0, -3), true],
      [Buffer.concat([noise, Buffer.from('garbage')]), true],
      [Buffer.concat([noise, noise.subarray(0, 500)]), true],
    ]
    for (const [body, begun] of bad) {
      const origin = own(
        await originServer((_req, res) => {
          res.writeHead(200, ['Content-Encoding', 'gzip'])
          res.write(body.subarray(0, 100_000))
          res.end(body.subarray(100_000))
        }),
      )
      const watch = observer()
      const front = own(await kind.start({ targets: origin.url, use: [watch.layer, decompress()] }))
      const answer = await front.client.ask()
      // The head waits for what comes with it, and no longer.
      if (begun || answer.status === 200) expect(answer).toMatchObject({ status: 200, complete: false })
      else expect(answer).toMatchObject({ status: 502, text: '502 Bad Gateway\n' })
      expect((await watch.outcome()).error).toMatchObject({
        code: 'http_response_content_coding',
        source: 'upstream',
      })
      await released(front)
    }
  })

  it('a target that breaks off breaks it off', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const noise = zlib.gzipSync(randomBytes(200_000))
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, ['Content-Encoding', 'gzip', 'Content-Length', String(noise.length)])
        res.write(noise.subarray(0, 150_000), () => res.destroy())
      }),
    )
    const front = await start(kind, origin)
    const { complete, body } = await front.client.ask()
    expect(complete).toBe(false)
    expect(body.length).toBeLessThan(200_000)
    await released(front)
  })

  it('a client that leaves, or reads nothing, holds nothing up and little in memory', async () => {
    let sent = 0
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, ['Content-Encoding', 'gzip'])
        const more = (): void => {
          do sent += flood.length
          while (!res.destroyed && res.write(flood))
        }
        res.on('drain', more)
        more()
      }),
    )
    const front = await start(kind, origin)
    const call = front.client.call()
    const head = await call.head
    expect(head.status).toBe(200)
    await atRest(() => sent)
    expect(sent).toBeLessThan(60 * flood.length)
    call.abort()
    await until(() => origin.requests[0]?.aborted, 'the target to be let go')
    await released(front)
  })
})

describe.each(threeFronts)('decompress through $name', (kind) => {
  it('what was decoded is what was sent', async () => {
    let next: { body: Uint8Array; fields: string[]; size: number } = { body: gzip, fields: [], size: 1 }
    const origin = own(
      await originServer((_req, res) => {
        const { body, fields, size } = next
        res.writeHead(200, fields)
        for (let at = 0; at < body.length; at += size) res.write(body.subarray(at, at + size))
        res.end()
      }),
    )
    const front = await start(kind, origin)
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 3_000 }),
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.constantFrom(...codings), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 20, max: 30_000 }),
        async (part, times, stack, level, size) => {
          const bytes = Buffer.concat(Array.from({ length: times }, () => part))
          const body = stack.reduce<Uint8Array>(
            (inner, coding) => encodeSync(coding, inner, { level }),
            bytes,
          )
          next = { body, fields: ['Content-Encoding', stack.join(',')], size }
          const answer: Answer = await front.client.ask()
          expect(answer).toMatchObject({ status: 200, complete: true })
          expect(answer.body.equals(bytes)).toBe(true)
        },
      ),
      { numRuns: 40 },
    )
    await released(front)
  })
})

describe.each(threeFronts)('decompress around a cache through $name', (kind) => {
  it('decodes hits as it does misses, for those who need it', async () => {
    const origin = own(
      await giving(gzip, [
        ...plain,
        'Content-Encoding',
        'gzip',
        'Cache-Control',
        'max-age=60',
        'ETag',
        '"x"',
      ]),
    )
    const front = own(await kind.start({ targets: origin.url, use: [decompress()], cache: true }))
    for (let i = 0; i < 2; i++) {
      expect((await front.client.ask()).body.equals(text)).toBe(true)
      const coded = await front.client.ask({ headers: ['Accept-Encoding', 'gzip'] })
      expect(coded.body.equals(gzip)).toBe(true)
      const known = await front.client.ask({ headers: ['If-None-Match', 'W/"x"'] })
      expect(known.status).toBe(304)
      expect(value(known.headers, 'etag')).toBe('W/"x"')
    }
    expect(origin.requests).toHaveLength(1)
    await released(front)
  })
})

describe.each(rawFronts)('decompress through $name', (kind) => {
  it('leaves upgrades alone', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\nContent-Encoding: gzip\r\n\r\n',
        )
        await connection.until('bytes of the tunnel')
        await connection.write('and back')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [decompress()] }))
    const client = own(await rawClient(front.port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
    await client.until('\r\n\r\n')
    client.write('bytes of the tunnel')
    await client.until('and back')
  })

  it('trailers come through, without those that tell of other bytes', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, ['Content-Encoding', 'gzip', 'Trailer', 'X-Sum, Content-Digest'])
        res.write(gzip)
        res.addTrailers({ 'X-Sum': '1', 'Content-Digest': 'x' })
        res.end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [decompress()] }))
    const answer = await front.client.ask({ headers: ['TE', 'trailers'] })
    expect(answer.body.equals(text)).toBe(true)
    expect(value(answer.trailers, 'content-digest')).toBeUndefined()
    expect(value(answer.trailers, 'x-sum')).toBe('1')
  })
})

it('a wrong option is told by its path', () => {
  expect(() => decompress({ for: 'clients' as 'client' })).toThrow(
    /decompress\.for: got 'clients', takes 'client', 'all'/,
  )
  expect(() => decompress({ fro: 'all' } as object, 'upstreams.api.decompress')).toThrow(
    /upstreams\.api\.decompress\.fro/,
  )
})
