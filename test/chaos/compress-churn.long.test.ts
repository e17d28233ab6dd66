import { createHook } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import { createServer, type Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import * as zlib from 'node:zlib'
import { codings } from '@sluice/compress'
import { createProxy, type UpstreamOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type HttpClient, httpClient } from '../kit/client.js'
import { heapInUse } from '../kit/heap.js'
import { leakCheck } from '../kit/leak-check.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { parseResponses, rawClient, value } from '../kit/raw-request.js'
import { seeded } from '../kit/seeded.js'
import { pattern } from '../kit/store-entries.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

type Bytes = (bytes: Uint8Array) => Buffer
const { zstdCompressSync, zstdDecompressSync } = zlib as unknown as Record<string, Bytes>
const tools: Record<string, readonly [encode: Bytes | undefined, decode: Bytes | undefined]> = {
  gzip: [(bytes) => zlib.gzipSync(bytes), zlib.gunzipSync],
  br: [
    (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 } }),
    zlib.brotliDecompressSync,
  ],
  deflate: [(bytes) => zlib.deflateSync(bytes), zlib.inflateSync],
  zstd: [zstdCompressSync, zstdDecompressSync],
}
const encode = (bytes: Uint8Array, coding: string): Buffer =>
  tools[coding]?.[0]?.(bytes) ?? Buffer.from(bytes)
const decode = (bytes: Buffer, stated: string | undefined): Buffer =>
  (stated ?? '')
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '')
    .reduceRight<Buffer>((left, coding) => tools[coding]?.[1]?.(left) ?? left, bytes)
const sumOf = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('hex')

const block = Buffer.from(pattern(1_100_000, 5).toString('hex'))
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function oneOf<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T
}

/** What the target answers under a path: always the same. */
function objectOf(id: number) {
  const random = seeded(id * 7 + 1)
  const size = oneOf(random, [
    0,
    1,
    700,
    3_000,
    16_384,
    16_385,
    60_000,
    200_000,
    id % 9 === 0 ? 2_000_000 : 9,
  ])
  const at = Math.floor(random() * 100_000)
  const plain = block.subarray(at, at + size)
  const coding = oneOf(random, ['', '', '', 'gzip', 'br', 'deflate'])
  const sent = coding === '' ? plain : encode(plain, coding)
  const isWhole = sent.length === 0 || random() < 0.75
  return {
    plain,
    coding,
    sent,
    isWhole,
    cut: isWhole ? sent.length : Math.floor(random() * sent.length),
    isReset: random() < 0.5,
    framing: oneOf(random, ['length', 'chunked', 'chunked', isWhole ? 'close' : 'length']),
    isSlow: random() < 0.3,
    tag: oneOf(random, [undefined, `"${id}"`, `W/"${id}"`]),
    type: oneOf(random, ['text/plain', 'application/json', 'text/event-stream', 'image/png']),
    caching: oneOf(random, ['max-age=60', 'max-age=60', 'no-store']),
  }
}

const answerGet =
  (id: number): OriginHandler =>
  async (req, res) => {
    const { sent, cut, isWhole, isReset, framing, isSlow, tag, type, caching, coding } = objectOf(id)
    const fields = ['Content-Type', type, 'Cache-Control', caching]
    if (tag !== undefined) fields.push('ETag', tag)
    if (tag !== undefined && req.headers['if-none-match']?.includes(`"${id}"`)) {
      res.writeHead(304, fields).end()
      return
    }
    if (coding !== '') fields.push('Content-Encoding', coding)
    if (framing === 'length') fields.push('Content-Length', String(sent.length))
    if (framing === 'chunked') fields.push('Trailer', 'X-Sum')
    if (framing === 'close') {
      res.useChunkedEncodingByDefault = false
      fields.push('Connection', 'close')
    }
    res.writeHead(200, fields)
    const step = isSlow ? 9_000 : 300_000
    for (let at = 0; at < cut && !res.destroyed; at += step) {
      const isMore = res.write(sent.subarray(at, Math.min(cut, at + step)))
      if (!isMore) await until(() => res.destroyed || !res.writableNeedDrain, 'a slow client', 60_000)
      if (isSlow) await turn()
    }
    if (isWhole || req.method === 'HEAD') {
      if (framing === 'chunked') res.addTrailers([['X-Sum', sumOf(sent)]])
      res.end()
    } else if (isReset) res.socket?.resetAndDestroy()
    else res.socket?.end()
  }

/** Tells what it has got. Some take no coding. */
const answerPost =
  (id: number): OriginHandler =>
  async (req, res) => {
    const parts: Buffer[] = []
    for await (const part of req) parts.push(part as Buffer)
    const coding = req.headers['content-encoding']
    const fields = ['Content-Type', 'text/plain', 'Accept-Encoding', 'gzip']
    if (coding !== undefined && id % 4 === 0) res.writeHead(415, fields).end()
    else res.writeHead(200, fields).end(sumOf(decode(Buffer.concat(parts), coding)))
  }

const handler: OriginHandler = async (req, res, connection) => {
  const id = Number(req.url?.slice(1))
  try {
    await (req.method === 'POST' ? answerPost : answerGet)(id)(req, res, connection)
  } catch {
    // Its client has left.
    res.destroy()
  }
}

/** Codecs that the collector hasn't had: on leaving a body none is kept. */
function countCodecs() {
  const alive = new Set<number>()
  const hook = createHook({
    init(id, type) {
      if (type === 'ZLIB') alive.add(id)
    },
    destroy(id) {
      alive.delete(id)
    },
  }).enable()
  return { alive, close: () => hook.disable() }
}

interface Tally {
  whole: number
  cut: number
  left: number
  ranges: number
  unchanged: number
  sums: number
  refused: number
}

/** Holds an answer against what the target has of it. */
function check(
  tally: Tally,
  id: number,
  isPlain: boolean,
  {
    status,
    headers,
    body,
    complete,
  }: { status: number; headers: readonly string[]; body: Buffer; complete: boolean },
): void {
  const { plain, sent, isWhole } = objectOf(id)
  const list = [...headers]
  const coding = value(list, 'content-encoding')
  if (!complete || status >= 500) tally.cut++
  else if (status === 304) tally.unchanged++
  // An object that is shorter than the range.
  else if (status === 416) expect([id, plain.length < 1_000 || sent.length < 1_000]).toEqual([id, true])
  else if (status === 206) {
    const [, from, to] = /^bytes (\d+)-(\d+)\//.exec(value(list, 'content-range') ?? '') ?? []
    const all = isPlain ? plain : sent
    expect([id, body.equals(all.subarray(Number(from), Number(to) + 1))]).toEqual([id, true])
    tally.ranges++
  } else {
    expect([id, status, isWhole]).toEqual([id, 200, true])
    expect([id, coding, sumOf(decode(body, coding))]).toEqual([id, coding, sumOf(plain)])
    tally.whole++
  }
}

const accepts = [
  ...codings,
  ...codings,
  'gzip, br',
  '*',
  'identity',
  'gzip;q=0.5, identity;q=0',
  ', ;q=,',
  '',
]

function askOf(random: () => number, id: number) {
  const headers: string[] = []
  if (random() < 0.95) headers.push('Accept-Encoding', oneOf(random, accepts))
  const kind = random()
  if (kind < 0.1)
    headers.push('Range', `bytes=${Math.floor(random() * 900)}-${900 + Math.floor(random() * 900)}`)
  else if (kind < 0.2) headers.push('If-None-Match', oneOf(random, [`"${id}"`, `W/"${id}"`, '"other"', '*']))
  else if (kind < 0.25) headers.push('Range', 'bytes=1-', 'If-Range', oneOf(random, [`"${id}"`, `W/"${id}"`]))
  return { path: `/${id}`, method: random() < 0.08 ? 'HEAD' : 'GET', headers }
}

async function get(client: HttpClient, random: () => number, tally: Tally, isPlain: boolean): Promise<void> {
  const id = Math.floor(random() * 150)
  const ask = askOf(random, id)
  const how = random()
  const call = client.call(ask)
  call.head.catch(() => {})
  if (how < 0.1) {
    for (let turns = Math.floor(random() * 20); turns > 0; turns--) await turn()
    call.abort()
    tally.left++
    return
  }
  const head = await call.head.catch(() => undefined)
  if (head === undefined) {
    tally.cut++
    return
  }
  if (how < 0.25) {
    head.body.on('error', () => {}).once('data', () => head.body.pause())
    for (let turns = Math.floor(random() * 50); turns > 0; turns--) await turn()
    call.abort()
    tally.left++
    return
  }
  // A slow one.
  if (how < 0.4) for (let turns = 200; turns > 0; turns--) await turn()
  const answer = await call.answer()
  if (ask.method === 'HEAD') expect([id, answer.body.length]).toEqual([id, 0])
  else check(tally, id, isPlain, answer)
}

async function post(client: HttpClient, random: () => number, tally: Tally): Promise<void> {
  const id = Math.floor(random() * 150)
  const plain = block.subarray(id, id + oneOf(random, [0, 10, 3_000, 40_000, 70_000, 500_000]))
  const coding = oneOf(random, ['', 'gzip', 'br', 'deflate'])
  const coded = coding === '' ? plain : encode(plain, coding)
  const isBroken = coding !== '' && coded.length > 40 && random() < 0.3
  const body = isBroken ? coded.subarray(0, coded.length - 12) : coded
  const headers = ['Content-Type', 'text/plain', 'Accept-Encoding', 'gzip']
  if (coding !== '') headers.push('Content-Encoding', coding)
  const call = client.call({ path: `/${id}`, method: 'POST', headers, body, chunked: random() < 0.5 })
  call.head.catch(() => {})
  if (random() < 0.15) {
    for (let turns = Math.floor(random() * 20); turns > 0; turns--) await turn()
    call.abort()
    tally.left++
    return
  }
  const answer = await call.answer().catch(() => undefined)
  if (answer === undefined || answer.status === 400 || answer.status === 415 || !answer.complete) {
    tally.refused++
    return
  }
  expect([id, isBroken, answer.status, answer.text]).toEqual([id, false, 200, sumOf(plain)])
  tally.sums++
}

async function pipelined(port: number, random: () => number, tally: Tally, isPlain: boolean): Promise<void> {
  const ids = Array.from({ length: 4 }, () => Math.floor(random() * 150)).filter(
    (id) => objectOf(id).plain.length < 70_000,
  )
  if (ids.length === 0) return
  const client = own(await rawClient(port))
  client.write(
    ids
      .map((id, i) => {
        const last = i === ids.length - 1 ? 'Connection: close\r\n' : ''
        const coding = oneOf(random, accepts.slice(0, codings.length))
        return `GET /${id} HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: ${coding}\r\n${last}\r\n`
      })
      .join(''),
  )
  await client.closed
  for (const [i, response] of parseResponses(client.received).entries())
    check(tally, ids[i] as number, isPlain, response)
}

interface Ports {
  readonly port: number
  readonly clients: readonly HttpClient[]
}

/** So many clients at once, each with so many requests one after another. */
async function wave({ port, clients }: Ports, tally: Tally, seed: number, isPlain: boolean): Promise<void> {
  await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const random = seeded(seed * 100 + i)
      const client = clients[i % clients.length] as HttpClient
      for (let step = 0; step < 20; step++) {
        const kind = random()
        if (kind < 0.2) await post(client, random, tally)
        else if (kind < 0.25) await pipelined(port, random, tally, isPlain)
        else await get(client, random, tally, isPlain)
      }
    }),
  )
}

const upstreams: [string, Partial<UpstreamOptions>][] = [
  ['that passes on what comes coded', {}],
  ['that decodes all', { decompress: true }],
]

describe.each(upstreams)('a proxy %s, with compression both ways and a cache', (_name, upstream) => {
  it('gives whole bodies, or none as whole, and keeps nothing of those who leave', async () => {
    const leaks = leakCheck()
    const codecs = countCodecs()
    own({ close: codecs.close })
    const origin = own(await originServer(handler))
    const proxy = createProxy({
      upstreams: {
        site: { targets: [origin.url], compressRequests: { to: 'all' }, ...upstream },
      },
      compress: true,
      decompressRequests: true,
      cache: { maxSize: '4mb', maxEntry: '1mb' },
    })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen(0)
    const server: Http2Server = createServer(proxy.listener as never)
    server.on('sessionError', () => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const close2 = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
    const clients = [
      own(httpClient({ port })),
      own(httpClient({ port: (server.address() as AddressInfo).port, http2: true })),
    ]
    const tally: Tally = { whole: 0, cut: 0, left: 0, ranges: 0, unchanged: 0, sums: 0, refused: 0 }
    const isPlain = upstream.decompress === true
    const sizes: number[] = []
    for (let seed = 1; seed <= 3; seed++) {
      await wave({ port, clients }, tally, seed, isPlain)
      await heapInUse()
      sizes.push(process.memoryUsage().rss)
    }
    // Each kind of end has been there.
    for (const [kind, least] of Object.entries({ whole: 150, cut: 30, left: 50, ranges: 2, unchanged: 5 }))
      expect([kind, tally[kind as keyof Tally] > least, tally]).toEqual([kind, true, tally])
    expect(tally.sums).toBeGreaterThan(20)
    const all = [...proxy.upstreams.values()].flatMap((each) => [...each.all])
    await until(() => all.every(({ inFlight }) => inFlight === 0), 'the leases to be released')
    await until(async () => {
      await heapInUse()
      return codecs.alive.size === 0
    }, 'the codecs to be freed')
    // The first wave shows what the allocator keeps.
    expect((sizes[2] as number) - (sizes[0] as number)).toBeLessThan(100 * 1024 ** 2)
    for (const client of clients) await client.close()
    await close2()
    await proxy.close({ drain: 0 })
    await origin.close()
    await leaks.settled()
  })
})
