import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Readable, Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import { type Coding, codings, compress } from '@sluice/compress'
import { chain, toListener } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import type { Answer } from '../kit/client.js'
import { type Front, type FrontOptions, fronts, listening, rawFronts, threeFronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawClient, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const text = 'a line that compresses well\n'.repeat(400)
const takes = (coding: string): { headers: string[] } => ({ headers: ['Accept-Encoding', coding] })
/** A level for each, so that none depends on how busy the machine is. */
const steady = { level: { zstd: 3, br: 4, gzip: 6, deflate: 6 } } as const

type Zlib = Record<`${string}Sync`, (bytes: Uint8Array) => Buffer> &
  Record<`create${string}`, () => Transform>
const { createZstdDecompress, zstdDecompressSync } = zlib as unknown as Zlib
const decoders: Record<Coding, [((bytes: Uint8Array) => Buffer) | undefined, (() => Transform) | undefined]> =
  {
    zstd: [zstdDecompressSync, createZstdDecompress],
    br: [zlib.brotliDecompressSync, zlib.createBrotliDecompress],
    gzip: [zlib.gunzipSync, zlib.createGunzip],
    deflate: [zlib.inflateSync, zlib.createInflate],
  }

const codingOf = ({ headers }: { headers: string[] }): Coding | undefined =>
  value(headers, 'content-encoding') as Coding | undefined

function plainOf(answer: Answer): string {
  const coding = codingOf(answer)
  return (coding === undefined ? answer.body : decoders[coding][0]?.(answer.body))?.toString() ?? ''
}

/** What has come so far of a body in this coding. */
function soFar(body: Readable, coding: Coding): () => string {
  let found = ''
  const decoder = decoders[coding][1]?.() as Transform
  for (const stream of [body, decoder]) stream.on('error', () => {})
  body.pipe(decoder).on('data', (chunk: Buffer) => {
    found += chunk.toString()
  })
  return () => found
}

type Starts = { start(options: FrontOptions): Promise<Front> }

/** A proxy of this kind that compresses, before a target that answers so. */
async function site(kind: Starts, handler: OriginHandler, options: Partial<FrontOptions> = {}) {
  const origin = own(await originServer(handler))
  const front = own(await kind.start({ targets: origin.url, compress: steady, ...options }))
  return { origin, front, client: front.client }
}

const answers =
  (fields: Record<string, string>, body: string | Buffer = text, status = 200) =>
  (_req: IncomingMessage, res: ServerResponse): void =>
    void res.writeHead(status, { 'Content-Type': 'text/plain', ...fields }).end(body)

describe.each(fronts)('compression by $name', (kind) => {
  it('gives each client what it takes, and the same once it is decoded', async () => {
    const { client } = await site(kind, (req, res) => {
      res.setHeader('Content-Type', 'text/plain').setHeader('Vary', 'Cookie')
      if (req.url === '/whole') return void res.setHeader('Content-Length', text.length).end(text)
      res.write(text.slice(0, 5000))
      res.end(text.slice(5000))
    })
    for (const path of ['/whole', '/parts'])
      for (const coding of ['identity', ...codings]) {
        const answer = await client.ask({ path, ...takes(coding) })
        expect(answer).toMatchObject({ status: 200, complete: true })
        expect(codingOf(answer)).toBe(coding === 'identity' ? undefined : coding)
        expect(plainOf(answer)).toBe(text)
        expect(values(answer.headers, 'vary').join(', ')).toBe('Cookie, Accept-Encoding')
        const told = value(answer.headers, 'content-length')
        expect(told === undefined || Number(told) === answer.body.length).toBe(true)
      }
  })

  it('goes by weights, then by its own order, over all lines of the field', async () => {
    const { client } = await site(kind, answers({}), { compress: { ...steady, encodings: ['gzip', 'br'] } })
    for (const [accept, coding] of [
      ['br;q=0.8, gzip;q=0.2', 'br'],
      ['br, gzip', 'gzip'],
      ['*', 'gzip'],
      ['GZIP;q=0, br;q=0.001', 'br'],
      ['x-gzip', 'gzip'],
      ['gzip;q=0.5, identity;q=0.8', undefined],
      ['zstd', undefined],
      ['', undefined],
      [';;,=gzip', undefined],
    ] as const)
      expect([accept, codingOf(await client.ask(takes(accept)))]).toEqual([accept, coding])
    const lines = { headers: ['Accept-Encoding', 'identity;q=0.1', 'Accept-Encoding', 'br'] }
    expect(codingOf(await client.ask(lines))).toBe('br')
    expect(codingOf(await client.ask())).toBeUndefined()
  })

  it('lets each event out while the stream is open', async () => {
    const { client, origin } = await site(kind, (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
    })
    for (const [i, coding] of codings.entries()) {
      const call = client.call(takes(coding))
      const { res } = await origin.request(i)
      const { body, headers } = await call.head
      expect(codingOf({ headers })).toBe(coding)
      const found = soFar(body, coding)
      let all = ''
      for (const event of ['data: 1\n\n', 'data: 2\n\n', `data: ${'3'.repeat(5000)}\n\n`]) {
        all += event
        res.write(event)
        await until(() => found() === all, `an event in ${coding}`)
      }
      res.end('data: last\n\n')
      await until(() => found() === `${all}data: last\n\n`, `the end in ${coding}`)
    }
  })

  it('knows its tags again', async () => {
    const { client, origin } = await site(kind, (req, res) => {
      res.setHeader('ETag', '"v1"').setHeader('Content-Type', 'text/plain')
      res.setHeader('Accept-Ranges', 'bytes').setHeader('Repr-Digest', 'sha-256=:AAAA:')
      const { 'if-match': match, 'if-none-match': noneMatch, 'if-range': ifRange, range } = req.headers
      if (match !== undefined && match !== '"v1"') return void res.writeHead(412).end()
      if (req.method === 'PUT') return void res.end('written')
      if (noneMatch?.includes('"v1"')) return void res.writeHead(304).end()
      if (range !== undefined && (ifRange === undefined || ifRange === '"v1"'))
        return void res.writeHead(206, { 'Content-Range': `bytes 0-3/${text.length}` }).end(text.slice(0, 4))
      res.end(text)
    })
    const first = await client.ask(takes('gzip'))
    expect(value(first.headers, 'etag')).toBe('W/"v1"')
    const withTag = (name: string, tag: string, ...more: string[]) => ({
      headers: ['Accept-Encoding', 'gzip', name, tag, ...more],
    })
    const again = await client.ask(withTag('If-None-Match', 'W/"v1"'))
    expect(again).toMatchObject({ status: 304, text: '' })
    expect([value(again.headers, 'etag'), value(again.headers, 'vary')]).toEqual([
      'W/"v1"',
      'Accept-Encoding',
    ])
    const plain = await client.ask(withTag('If-None-Match', '"v1"'))
    expect(value(plain.headers, 'etag')).toBe('"v1"')
    // They are of the plain bytes, and who holds the coded ones has never been told of them.
    for (const name of ['accept-ranges', 'repr-digest'])
      expect([first, again, plain].map(({ headers }) => values(headers, name).length)).toEqual([0, 0, 1])
    const write = { method: 'PUT', body: 'new' }
    expect((await client.ask({ ...write, ...withTag('If-Match', 'W/"v1"') })).status).toBe(200)
    expect((await client.ask({ ...write, ...withTag('If-Match', 'W/"v0"') })).status).toBe(412)
    // What the client has is coded, and the target's part goes on with the plain bytes.
    const resumed = await client.ask(withTag('If-Range', 'W/"v1"', 'Range', 'bytes=0-3'))
    expect([resumed.status, plainOf(resumed)]).toEqual([200, text])
    const part = await client.ask(withTag('If-Range', '"v1"', 'Range', 'bytes=0-3'))
    expect([part.status, part.text, codingOf(part)]).toEqual([206, text.slice(0, 4), undefined])
    expect(values((await origin.request(0)).rawHeaders, 'if-match')).toEqual([])
  })

  it('answers HEAD with the fields of GET', async () => {
    const { client } = await site(kind, (req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': text.length, ETag: '"1"' })
      res.end(req.method === 'HEAD' ? undefined : text)
    })
    const [got, head] = [
      await client.ask(takes('gzip')),
      await client.ask({ method: 'HEAD', ...takes('gzip') }),
    ]
    expect(head).toMatchObject({ status: 200, text: '', complete: true })
    for (const name of ['content-encoding', 'etag', 'vary', 'content-type'])
      expect([name, value(head.headers, name)]).toEqual([name, value(got.headers, name)])
    expect(value(head.headers, 'content-length')).not.toBe(String(text.length))
  })

  it('never ends as whole what the target has broken off', async () => {
    const { client } = await site(kind, async (req, res) => {
      const length = Number(req.url?.slice(1))
      res.writeHead(200, { 'Content-Type': 'text/plain', ...(length > 0 && { 'Content-Length': length }) })
      await new Promise((resolve) => res.write(text.slice(0, 3000), resolve))
      res.destroy()
    })
    for (const path of ['/0', '/3001', '/1000000'])
      for (const coding of ['identity', ...codings]) {
        const answer = await client.ask({ path, ...takes(coding) }).catch(() => undefined)
        expect([path, coding, answer?.status === 200 && answer.complete]).toEqual([path, coding, false])
      }
  })

  it('ends what clients have left', async () => {
    const { client, front, origin } = await site(kind, (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/plain' }).write(text)
    })
    const calls = [...codings, ...codings, ...codings].map((coding) => client.call(takes(coding)))
    for (const [i, call] of calls.entries()) {
      if (i % 2 === 0) await call.head
      else await origin.request(i)
      call.abort()
      call.head.catch(() => {})
    }
    await until(() => origin.requests.length === calls.length, 'all requests')
    for (const { closed } of origin.requests) await closed
    await until(() => front.inFlight === 0, 'the leases')
  })
})

/** Answers that stay as they are, and whether another client might get them otherwise. */
const asTheyAre: Record<string, { handler: OriginHandler; ask?: string[]; varies?: boolean }> = {
  '204': { handler: (_req, res) => void res.writeHead(204, { 'Content-Type': 'text/plain' }).end() },
  '304': { handler: (_req, res) => void res.writeHead(304, { ETag: '"1"' }).end(), varies: true },
  'a part': {
    handler: answers({ 'Content-Range': `bytes 0-${text.length - 1}/90000` }, text, 206),
    varies: true,
  },
  'an empty body': { handler: answers({ 'Content-Length': '0' }, '') },
  'a small body': { handler: answers({ 'Content-Length': '5' }, 'small') },
  'coded already': { handler: answers({ 'Content-Encoding': 'x-own' }) },
  'no-transform of the target': { handler: answers({ 'Cache-Control': 'no-transform' }) },
  'no-transform of the client': {
    handler: answers({}),
    ask: ['Cache-Control', 'no-transform'],
    varies: true,
  },
  'an image': { handler: answers({ 'Content-Type': 'image/png' }) },
  'no type': { handler: (_req, res) => void res.end(text) },
}

describe.each(threeFronts)('what $name leaves as it is', (kind) => {
  it.each(Object.entries(asTheyAre))('%s', async (_, { handler, ask = [], varies = false }) => {
    const digest = { 'Accept-Ranges': 'bytes', 'Content-Digest': 'sha-256=:AA==:' }
    const { client } = await site(kind, (req, res, seen) => {
      for (const [name, field] of Object.entries(digest)) res.setHeader(name, field)
      return handler(req, res, seen)
    })
    const plain = await client.ask({ headers: [...takes('identity').headers, ...ask] })
    const answer = await client.ask({ headers: [...takes('gzip, br').headers, ...ask] })
    expect(answer.body).toEqual(plain.body)
    expect([answer.status, answer.complete]).toEqual([plain.status, true])
    for (const name of ['content-encoding', 'content-length', 'etag', 'accept-ranges', 'content-digest'])
      expect([name, value(answer.headers, name)]).toEqual([name, value(plain.headers, name)])
    expect(values(answer.headers, 'vary')).toEqual(varies ? ['Accept-Encoding'] : [])
  })

  it('nothing that tells of the plain bytes, where it codes', async () => {
    const fields = {
      'Accept-Ranges': 'bytes',
      'Content-MD5': 'x',
      Digest: 'x',
      'Content-Digest': 'x',
      'Repr-Digest': 'x',
    }
    const { client } = await site(kind, answers({ ...fields, Vary: '*' }))
    const answer = await client.ask(takes('gzip'))
    expect(plainOf(answer)).toBe(text)
    for (const name of Object.keys(fields)) expect(values(answer.headers, name)).toEqual([])
    expect(values(answer.headers, 'vary')).toEqual(['*'])
  })
})

describe.each(rawFronts)('an upgrade through $name', (kind) => {
  it('is another protocol’s', async () => {
    const { front, origin } = await site(kind, answers({}))
    origin.server.on('upgrade', (_req, socket) => {
      socket.on('error', () => {})
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own\r\nContent-Type: text/plain\r\n\r\n',
      )
      socket.end(text)
    })
    const client = own(await rawClient(front.port))
    client.write(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: own\r\nAccept-Encoding: gzip\r\n\r\n',
    )
    await until(() => client.text.endsWith(text), 'the bytes')
    expect(client.text).toMatch(/^HTTP\/1\.1 101/)
    expect(client.text).not.toMatch(/content-encoding|vary/i)
  })
})

describe.each(threeFronts)('streams through $name', (kind) => {
  it('a stream that is none of events goes on when its source pauses', async () => {
    const { client, origin } = await site(kind, (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/plain' }).write('first')
    })
    for (const [i, coding] of codings.entries()) {
      const found = soFar((await client.call(takes(coding)).head).body, coding)
      await until(() => found() === 'first', `the first part in ${coding}`)
      const { res } = await origin.request(i)
      res.write(', second')
      await until(() => found() === 'first, second', `the second part in ${coding}`)
      res.end()
    }
  })

  it('a client that does not read stops the target', async () => {
    const most = 512 * 1024 * 1024
    // Longer than the window of any coder: none finds it again.
    const noise = randomBytes(1024 * 1024)
    let sent = 0
    const { client, origin } = await site(kind, (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/plain' })
      const more = (): void => {
        while (sent < most) {
          sent += noise.length
          if (!res.write(noise)) return void res.once('drain', more)
        }
        res.end()
      }
      more()
    })
    for (const [i, coding] of codings.entries()) {
      sent = 0
      const call = client.call(takes(coding))
      await call.head
      expect(await atRest(() => sent)).toBeLessThan(most / 2)
      call.abort()
      await (await origin.request(i)).closed
    }
  })

  it('keeps trailers', async () => {
    const { client } = await site(kind, (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/plain', Trailer: 'X-Sum' }).write(text)
      res.addTrailers({ 'X-Sum': '7' })
      res.end()
    })
    const answer = await client.ask({ headers: ['Accept-Encoding', 'gzip', 'TE', 'trailers'] })
    expect(plainOf(answer)).toBe(text)
    expect(value(answer.trailers, 'x-sum')).toBe('7')
  })
})

describe('tags with a suffix', () => {
  it('are strong, one for each form, and known again', async () => {
    const { client, origin } = await site(
      listening,
      (req, res) => {
        res.setHeader('ETag', '"v1"')
        if (req.headers['if-none-match'] === '"v1"') return void res.writeHead(304).end()
        answers({ ETag: '"v1"' })(req, res)
      },
      { compress: { ...steady, etag: 'suffix' } },
    )
    const tags = new Map<string, string>()
    for (const coding of ['gzip', 'br', 'identity'])
      tags.set(coding, value((await client.ask(takes(coding))).headers, 'etag') as string)
    expect(new Set(tags.values()).size).toBe(3)
    for (const [coding, tag] of tags) {
      expect(tag).toMatch(/^"v1/)
      const known = await client.ask({ headers: [...takes(coding).headers, 'If-None-Match', tag] })
      expect([known.status, value(known.headers, 'etag')]).toEqual([304, tag])
      // Who takes br alone mustn't hear that the form in gzip is still good, but the plain one is good for everybody.
      const other = coding === 'br' ? 'gzip' : 'br'
      const asked = await client.ask({ headers: [...takes(other).headers, 'If-None-Match', tag] })
      expect(asked.status).toBe(coding === 'identity' ? 304 : 200)
      await client.ask({ method: 'PUT', headers: ['If-Match', tag], body: 'x' })
      const { rawHeaders } = await origin.request(origin.requests.length - 1)
      expect(value(rawHeaders, 'if-match')).toBe('"v1"')
    }
  })
})

describe('what clients ask for wrongly', () => {
  it.each(['identity;q=0', '*;q=0', 'zz, identity;q=0'])(
    '%s: the plain body, or 406 by option',
    async (accept) => {
      const options = { targets: [], compress: steady }
      const plain = await site(listening, answers({}), { compress: options.compress })
      const answer = await plain.client.ask(takes(accept))
      expect([answer.status, answer.text, codingOf(answer)]).toEqual([200, text, undefined])
      const strict = await site(listening, answers({}), { compress: { ...steady, unacceptable: 406 } })
      const refused = await strict.client.ask(takes(accept))
      expect([refused.status, value(refused.headers, 'vary')]).toEqual([406, 'Accept-Encoding'])
      expect(strict.origin.requests).toHaveLength(0)
      expect(codingOf(await strict.client.ask(takes('gzip, identity;q=0')))).toBe('gzip')
    },
  )

  it.each([
    ['image/png', 'x'.repeat(2_000)],
    ['text/plain', 'short'],
    ['', 'of no type'],
  ])(
    'a client that refuses the plain body gets a coding of what is not worth one: %j',
    async (type, body) => {
      const origin: OriginHandler = (_req, res) =>
        void res
          .writeHead(200, [
            ...(type === '' ? [] : ['Content-Type', type]),
            'Content-Length',
            String(body.length),
          ])
          .end(body)
      const { client } = await site(listening, origin)
      const answer = await client.ask(takes('gzip, identity;q=0'))
      expect([codingOf(answer), zlib.gunzipSync(answer.body).toString()]).toEqual(['gzip', body])
      expect(codingOf(await client.ask(takes('gzip')))).toBeUndefined()
    },
  )

  it.each([
    [200, ['Content-Length', '0'], ''],
    [206, ['Content-Range', 'bytes 0-1/9', 'Content-Length', '2'], 'xx'],
    [304, ['ETag', '"x"'], ''],
    [416, ['Content-Range', 'bytes */9', 'Content-Length', '0'], ''],
  ] as const)('nor does it get a coding of a %d of which there is none', async (status, fields, body) => {
    for (const type of [[], ['Content-Type', 'image/png']]) {
      const { client } = await site(listening, (_req, res) => {
        res.writeHead(status, [...type, ...fields]).end(body)
      })
      const answer = await client.ask(takes('gzip, identity;q=0'))
      expect([answer.status, codingOf(answer), answer.text]).toEqual([status, undefined, body])
    }
  })

  it('100 KB of Accept-Encoding: 431 by Node, and where that lets it through, as if it were not there', async () => {
    const long = `gzip, ${'x, '.repeat(34_000)}br`
    const { client, origin } = await site(listening, answers({}))
    expect((await client.ask(takes(long))).status).toBe(431)
    expect(origin.requests).toHaveLength(0)
    const handler = chain()
      .use(compress(steady))
      .handle(() => ({ status: 200, headers: ['Content-Type', 'text/plain'], body: text }))
    const lenient = own(await listen(createServer({ maxHeaderSize: 256 * 1024 }, toListener(handler))))
    const answer = await lenient.client.ask(takes(long))
    expect([answer.status, answer.text, codingOf(answer)]).toEqual([200, text, undefined])
    expect(codingOf(await lenient.client.ask(takes('gzip')))).toBe('gzip')
  })
})
