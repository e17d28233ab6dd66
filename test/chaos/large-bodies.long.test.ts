import { createHash } from 'node:crypto'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { type Program, program } from '../kit/program.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const MiB = 1024 * 1024
const size = 100 * MiB
/** No two pieces in a row are alike, so that one that is lost or goes twice shows. */
const pieces = Array.from({ length: 7 }, (_, i) =>
  Buffer.alloc(64 * 1024, `${i} is a piece of a large body; `),
)

function* parts(bytes: number): Generator<Buffer> {
  for (let sent = 0, i = 0; sent < bytes; i++) {
    const piece = pieces[i % pieces.length] as Buffer
    yield piece.subarray(0, Math.min(piece.length, bytes - sent))
    sent += piece.length
  }
}

interface Sum {
  readonly bytes: number
  readonly hash: string
}

function sumOf(bytes: number): Sum {
  const hash = createHash('sha256')
  for (const part of parts(bytes)) hash.update(part)
  return { bytes, hash: hash.digest('hex') }
}

const whole = sumOf(size)

/** Reads all of it. */
async function sum(stream: Readable): Promise<Sum> {
  const hash = createHash('sha256')
  let bytes = 0
  await pipeline(
    stream,
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        bytes += chunk.length
        hash.update(chunk)
        done()
      },
    }),
  )
  return { bytes, hash: hash.digest('hex') }
}

interface Stand {
  readonly proxy: Program
  readonly port: number
  /** What the target has got. */
  readonly received: Sum[]
}

/** A target, and the proxy before it in a process of its own. */
async function stand(): Promise<Stand> {
  const received: Sum[] = []
  const origin = own(
    await originServer(async (req, res) => {
      if (req.method === 'POST') {
        received.push(await sum(req))
        res.end('got it')
        return
      }
      const [, bytes, framing] = /^\/(\d+)\/(\w+)$/.exec(req.url as string) ?? []
      if (framing === 'length') res.setHeader('Content-Length', bytes as string)
      await pipeline(parts(Number(bytes)), res)
    }),
  )
  const script = fileURLToPath(new URL('large-bodies-proxy.mjs', import.meta.url))
  const proxy = own(program([script, origin.url]))
  const [, port] = await proxy.says(/port (\d+)/)
  return { proxy, port: Number(port), received }
}

async function down({ port }: Stand, bytes: number, framing: string): Promise<Sum> {
  const response = await within(
    new Promise<IncomingMessage>((resolve, reject) => {
      request({ port, host: '127.0.0.1', path: `/${bytes}/${framing}`, agent: false }, resolve)
        .on('error', reject)
        .end()
    }),
    'the head of the answer',
  )
  expect(response.statusCode).toBe(200)
  expect(response.headers['content-length']).toBe(framing === 'length' ? String(bytes) : undefined)
  const got = await sum(response)
  expect(response.complete).toBe(true)
  return got
}

async function up({ port, received }: Stand, bytes: number, framing: string): Promise<Sum> {
  const headers = framing === 'length' ? { 'Content-Length': bytes } : { 'Transfer-Encoding': 'chunked' }
  let sending!: ClientRequest
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    sending = request({ port, host: '127.0.0.1', method: 'POST', agent: false, headers }, resolve).on(
      'error',
      reject,
    )
  })
  await pipeline(parts(bytes), sending)
  const response = await within(answered, 'the answer')
  expect(response.statusCode).toBe(200)
  expect((await sum(response)).bytes).toBe('got it'.length)
  return received.at(-1) as Sum
}

/** The memory of the proxy, as often as it has told. */
function told({ proxy }: Stand): number[] {
  return [...proxy.output.matchAll(/^rss (\d+)$/gm)].map(([, rss]) => Number(rss))
}

describe('100 MB through a proxy in a process of its own', () => {
  it.each([
    ['down, with a length', down, 'length'],
    ['down, in chunks', down, 'chunked'],
    ['up, with a length', up, 'length'],
    ['up, in chunks', up, 'chunked'],
  ] as const)(
    '%s: every byte as it was, and its memory grows by less than 60 MB',
    async (_name, move, framing) => {
      const stage = await stand()
      // The first bytes make the proxy load and compile what it needs.
      for (let i = 0; i < 5; i++) await move(stage, 2 * MiB, framing)
      const before = told(stage).length
      await until(() => told(stage).length > before, 'the proxy to tell')
      const start = told(stage).at(-1) as number
      expect(await move(stage, size, framing)).toEqual(whole)
      const after = told(stage).length
      await until(() => told(stage).length > after, 'the proxy to tell')
      const most = Math.max(...told(stage).slice(before))
      expect(most - start).toBeLessThan(60 * MiB)
    },
    60_000,
  )
})
