import { Readable } from 'node:stream'
import { type BodyInit, type Reply, toReadable } from '@sluice/core'
import { get, type HeaderList, parseByteRanges, parseContentRange } from '@sluice/headers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCache } from './create-cache.js'

async function read(body: BodyInit): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of toReadable(body)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** How the target tells of its bytes. */
interface Manner {
  readonly sized: boolean
  readonly framed: boolean
  readonly tag: 'strong' | 'weak' | 'none'
  readonly ranges: boolean
}

const size = 24

class Target {
  version = 0
  asked: string[] = []
  manner: Manner = { sized: true, framed: true, tag: 'strong', ranges: true }

  bytes(version = this.version): Buffer {
    return Buffer.from(Array.from({ length: size }, (_, i) => (version * 41 + i) % 256))
  }

  readonly fetch = ({ headers: asked }: { headers: HeaderList }): Reply => {
    const { framed, ranges, sized, tag } = this.manner
    const range = get(asked, 'range')
    const ifRange = get(asked, 'if-range')
    this.asked.push(range ?? 'all')
    const own = tag === 'none' ? undefined : `${tag === 'weak' ? 'W/' : ''}"${this.version}"`
    const headers = ['Cache-Control', 'max-age=60', 'Version', `${this.version}`, 'Content-Type', 'a/b']
    if (own !== undefined) headers.push('ETag', own)
    const matches = ifRange === undefined || (tag === 'strong' && ifRange === own)
    const specs = range !== undefined && ranges && matches ? parseByteRanges(range) : undefined
    const spec = specs?.length === 1 ? specs[0] : undefined
    let [first, last] = [0, size - 1]
    if (spec !== undefined) {
      if ('suffix' in spec) first = Math.max(0, size - spec.suffix)
      else {
        first = spec.first
        last = Math.min(spec.last ?? last, last)
      }
      if (first > last) return { status: 416, headers: ['Content-Range', `bytes */${size}`], body: null }
      headers.push('Content-Range', `bytes ${first}-${last}/${sized ? size : '*'}`)
    }
    const body = this.bytes().subarray(first, last + 1)
    if (framed) headers.push('Content-Length', `${body.length}`)
    const flows = Readable.from(Array.from(body, (byte) => Buffer.from([byte])))
    return { status: spec === undefined ? 200 : 206, headers, body: flows }
  }
}

/** What an answer says it holds is what the target had in one of its versions. */
async function check(target: Target, reply: Reply): Promise<void> {
  const { headers, status } = reply
  const content = await read(reply.body)
  if (status === 416) return
  const all = target.bytes(Number(get(headers, 'version')))
  const length = get(headers, 'content-length')
  if (length !== undefined) expect(content.length).toBe(Number(length))
  const where = get(headers, 'content-range')
  const type = get(headers, 'content-type') ?? ''
  if (where === undefined && !type.startsWith('multipart/')) {
    expect(status).toBe(200)
    expect(content.equals(all)).toBe(true)
    return
  }
  expect(status).toBe(206)
  const parts: [string, Buffer][] = []
  if (where !== undefined) parts.push([where, content])
  else {
    const boundary = type.slice(type.indexOf('=') + 1)
    for (const part of `\r\n${content.toString('latin1')}`.split(`\r\n--${boundary}`).slice(1, -1)) {
      const [head = '', ...rest] = part.split('\r\n\r\n')
      parts.push([/Content-Range: (.*)/.exec(head)?.[1] ?? '', Buffer.from(rest.join('\r\n\r\n'), 'latin1')])
    }
  }
  for (const [range, bytes] of parts) {
    const said = parseContentRange(range)
    if (said?.first === undefined) throw new Error(`Content-Range: ${range}`)
    expect(bytes.equals(all.subarray(said.first, said.last + 1))).toBe(true)
  }
}

const at = fc.nat(size + 1)
const one = fc.oneof(
  fc.tuple(at, at).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
  at.map((from) => `${from}-`),
  at.map((count) => `-${count}`),
)
const range = fc.oneof(
  { weight: 4, arbitrary: one.map((spec) => `bytes=${spec}`) },
  {
    weight: 1,
    arbitrary: fc.array(one, { minLength: 2, maxLength: 3 }).map((specs) => `bytes=${specs.join(',')}`),
  },
  { weight: 2, arbitrary: fc.constant(undefined) },
)
const manner = fc.record({
  sized: fc.boolean(),
  framed: fc.boolean(),
  tag: fc.constantFrom<Manner['tag']>('strong', 'strong', 'strong', 'weak', 'none'),
  ranges: fc.constantFrom(true, true, true, true, false),
})
const step = fc.record({
  range,
  manner,
  changes: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  ifRange: fc.constantFrom('', '', '', '"0"', '"1"', 'W/"0"'),
  late: fc.integer({ min: 0, max: 9 }).map((n) => (n === 0 ? 61_000 : 0)),
})

const ask = (headers: HeaderList) => ({
  method: 'GET',
  scheme: 'http' as const,
  authority: 'site.test',
  path: '/',
  headers,
  body: null,
})

describe('partial content in the engine', () => {
  it('never gives a wrong byte, one request after the other', async () => {
    let hits = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        let now = 1_700_000_000_000
        const target = new Target()
        await using cache = createCache({ clock: () => now })
        for (const { changes, ifRange, late, manner, range } of steps) {
          now += late
          if (changes) target.version++
          target.manner = manner
          const headers = range === undefined ? [] : ['Range', range]
          if (ifRange !== '') headers.push('If-Range', ifRange)
          const before = target.asked.length
          await check(target, await cache.handle(ask(headers), target.fetch))
          if (target.asked.length === before) hits++
        }
      }),
      { numRuns: 100 },
    )
    expect(hits).toBeGreaterThan(50)
  })

  it('never gives a wrong byte, many at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { maxLength: 5 }),
        async (rounds) => {
          const target = new Target()
          await using cache = createCache()
          for (const round of rounds) {
            await Promise.all(
              round.map(async ({ changes, ifRange, manner, range }) => {
                if (changes) target.version++
                target.manner = manner
                const headers = range === undefined ? [] : ['Range', range]
                if (ifRange !== '') headers.push('If-Range', ifRange)
                await check(target, await cache.handle(ask(headers), target.fetch))
              }),
            )
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('serves nothing from a part that came shorter than it said', async () => {
    const target = new Target()
    await using cache = createCache()
    const cut = (): Reply => ({
      status: 206,
      headers: [
        'Cache-Control',
        'max-age=60',
        'ETag',
        '"0"',
        'Version',
        '0',
        'Content-Range',
        `bytes 0-9/${size}`,
      ],
      body: Readable.from([target.bytes().subarray(0, 5)]),
    })
    const came = await cache.handle(ask(['Range', 'bytes=0-9']), cut)
    await read(came.body).catch(() => {})
    for (const range of ['bytes=0-1', 'bytes=7-8', 'bytes=0-9', undefined]) {
      const reply = await cache.handle(ask(range === undefined ? [] : ['Range', range]), target.fetch)
      await check(target, reply)
    }
    expect(target.asked[0]).toBe('bytes=0-1')
  })

  it('lets go of a part that has nothing new but the size', async () => {
    const target = new Target()
    await using cache = createCache()
    target.manner = { ...target.manner, sized: false }
    await check(target, await cache.handle(ask(['Range', 'bytes=0-']), target.fetch))
    const again = Readable.from([target.bytes().subarray(3, 5)])
    const reply = await cache.handle(ask([]), (): Reply => {
      const headers = ['ETag', '"0"', 'Version', '0', 'Cache-Control', 'max-age=60']
      return { status: 206, headers: [...headers, 'Content-Range', `bytes 3-4/${size}`], body: again }
    })
    await check(target, reply)
    expect(again.destroyed).toBe(true)
    await check(target, await cache.handle(ask(['Range', 'bytes=-1']), target.fetch))
    expect(target.asked).toEqual(['bytes=0-'])
  })

  it('completes what it has, and then has all', async () => {
    const target = new Target()
    await using cache = createCache()
    for (const range of ['bytes=0-4', 'bytes=3-9', undefined, 'bytes=-3', 'bytes=0-0,23-23']) {
      await check(target, await cache.handle(ask(range === undefined ? [] : ['Range', range]), target.fetch))
    }
    expect(target.asked[0]).toBe('bytes=0-4')
    expect(target.asked.at(-1)).toBe('bytes=10-')
    expect(target.asked.length).toBe(3)
  })
})
