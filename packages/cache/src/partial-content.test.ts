import { type BodyInit, toReadable } from '@sluice/core'
import { type ByteRangeSpec, get, type HeaderList, parseByteRanges, parseContentRange } from '@sluice/headers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { joinedBody } from './joined-body.js'
import {
  combine,
  combinedHead,
  isWhole,
  mayCombine,
  missingFor,
  partOf,
  shortPartOf,
} from './policy/partial.js'
import { serveRange } from './serve-range.js'
import { sliceBody } from './slice-body.js'
import type { StoredPart } from './store.js'

interface Message {
  readonly status: number
  readonly headers: HeaderList
  readonly body: Buffer
}

interface Kept extends Message {
  readonly part?: StoredPart | undefined
}

async function read(body: BodyInit): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of toReadable(body)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A target with one resource, that answers one range, or all. */
class Target {
  version = 0
  size = 20
  /** Whether it tells the size beside a range. */
  sized = true
  asked: string[] = []

  bytes(version = this.version): Buffer {
    return Buffer.from(Array.from({ length: this.size }, (_, i) => (version * 37 + i) % 256))
  }

  answer(range: string | undefined, ifRange?: string): Message {
    this.asked.push(`${range ?? 'all'}`)
    const tag = `"${this.version}"`
    const bytes = this.bytes()
    const spec =
      range === undefined || (ifRange !== undefined && ifRange !== tag)
        ? undefined
        : parseByteRanges(range)?.[0]
    const headers = ['ETag', tag, 'Content-Type', 'a/b']
    if (spec === undefined)
      return { status: 200, headers: [...headers, 'Content-Length', `${this.size}`], body: bytes }
    const first = 'suffix' in spec ? Math.max(0, this.size - spec.suffix) : spec.first
    const last = 'suffix' in spec ? this.size - 1 : Math.min(spec.last ?? this.size - 1, this.size - 1)
    if (first > last)
      return { status: 416, headers: ['Content-Range', `bytes */${this.size}`], body: Buffer.alloc(0) }
    const where = `bytes ${first}-${last}/${this.sized ? this.size : '*'}`
    headers.push('Content-Range', where, 'Content-Length', `${last - first + 1}`)
    return { status: 206, headers, body: bytes.subarray(first, last + 1) }
  }
}

/** A cache of one resource that is always fresh, made of the parts that are tested. */
class OneEntry {
  kept: Kept | undefined
  constructor(private readonly target: Target) {}

  async get(range?: string): Promise<Message> {
    const stored = await this.serve(range)
    if (stored !== undefined) return stored
    const more =
      this.kept?.part === undefined ? undefined : missingFor(this.kept.part, this.kept.headers, one(range))
    if (more?.ifRange !== undefined) {
      await this.keep(this.target.answer(more.range, more.ifRange))
      const completed = await this.serve(range)
      if (completed !== undefined) return completed
    }
    const came = this.target.answer(range)
    await this.keep(came)
    return came
  }

  private async serve(range: string | undefined): Promise<Message | undefined> {
    const { kept } = this
    if (kept === undefined) return undefined
    const source = {
      status: kept.status,
      headers: kept.headers,
      size: kept.body.length,
      part: kept.part,
      body: (from: number, to: number) => kept.body.subarray(from, to),
    }
    const answer = serveRange('GET', range === undefined ? [] : ['Range', range], source, () => 'between')
    if (answer === 'fetch') return undefined
    if (answer === 'whole') return kept
    return { ...answer, body: await read(answer.body) }
  }

  private async keep(came: Message): Promise<void> {
    if (came.status === 200) this.kept = came
    const part = partOf(came)
    if (part === undefined) return
    const { kept } = this
    const both =
      kept !== undefined && mayCombine(kept, came)
        ? combine(kept.part ?? { first: 0, last: kept.body.length - 1, size: kept.body.length }, part)
        : undefined
    if (kept === undefined || both === undefined) {
      this.kept = { ...came, part }
      return
    }
    const pieces = both.take.map(({ of, from, to }) =>
      sliceBody(of === 'came' ? came.body : kept.body, from, to),
    )
    const head = combinedHead(kept, came, both.part)
    this.kept = {
      ...head,
      body: await read(joinedBody(pieces)),
      part: isWhole(both.part) ? undefined : both.part,
    }
  }
}

/** The single range of a request, as one asks for the rest of it. */
function one(range: string | undefined): ByteRangeSpec | undefined {
  const specs = range === undefined ? undefined : parseByteRanges(range)
  if (range === undefined) return undefined
  return specs?.length === 1 ? specs[0] : { suffix: 0 }
}

describe('partial content, all together', () => {
  it('never gives a wrong byte, whatever is asked for and stored, and whenever the target changes', async () => {
    const at = fc.nat(22)
    const range = fc.oneof(
      fc.tuple(at, at).map(([a, b]) => `bytes=${Math.min(a, b)}-${Math.max(a, b)}`),
      at.map((from) => `bytes=${from}-`),
      at.map((count) => `bytes=-${count}`),
      fc.constant(undefined),
    )
    const step = fc.record({
      range,
      changes: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      sized: fc.boolean(),
    })
    let combined = 0
    let fromCache = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const target = new Target()
        const cache = new OneEntry(target)
        for (const { range, changes, sized } of steps) {
          if (changes) target.version++
          target.sized = sized
          const before = target.asked.length
          const answer = await cache.get(range)
          if (target.asked.length === before) fromCache++
          if (cache.kept?.part === undefined && cache.kept?.status === 200 && target.asked.at(-1) !== 'all')
            combined++
          if (answer.status === 416) continue
          expect(get(answer.headers, 'content-length')).toBe(String(answer.body.length))
          const version = Number(get(answer.headers, 'etag')?.slice(1, -1))
          const all = target.bytes(version)
          const where = get(answer.headers, 'content-range')
          expect(answer.status).toBe(where === undefined ? 200 : 206)
          if (where === undefined) {
            expect(answer.body.equals(all)).toBe(true)
            continue
          }
          const said = parseContentRange(where)
          if (said?.first === undefined) throw new Error(where)
          expect(answer.body.equals(all.subarray(said.first, said.last + 1))).toBe(true)
          const fresh = target.answer(range)
          target.asked.pop()
          expect([said.first, said.last]).toEqual(
            Object.values(parseContentRange(get(fresh.headers, 'content-range') as string) ?? {}).slice(0, 2),
          )
        }
      }),
      { numRuns: 500 },
    )
    expect(combined).toBeGreaterThan(50)
    expect(fromCache).toBeGreaterThan(500)
  })

  it('completes a beginning, and asks for nothing twice', async () => {
    const target = new Target()
    const cache = new OneEntry(target)
    await cache.get('bytes=0-4')
    expect((await cache.get('bytes=2-9')).body.length).toBe(8)
    expect(await cache.get()).toMatchObject({ status: 200, body: target.bytes() })
    expect((await cache.get('bytes=-3')).body).toEqual(target.bytes().subarray(17))
    expect(target.asked).toEqual(['bytes=0-4', 'bytes=5-9', 'bytes=10-'])
  })

  it('drops a beginning when the target has another representation', async () => {
    const target = new Target()
    const cache = new OneEntry(target)
    await cache.get('bytes=0-4')
    target.version++
    expect(await cache.get()).toMatchObject({ status: 200, body: target.bytes() })
    expect(target.asked).toEqual(['bytes=0-4', 'bytes=5-'])
  })

  it('serves a part that is a byte short of what it says from its first byte on', async () => {
    const headers = ['Content-Range', 'bytes 4-9/10', 'Content-Length', '5', 'ETag', '"a"']
    const part = shortPartOf({ status: 206, headers })
    const bytes = Buffer.from('01234')
    const of = async (range: string): Promise<string> => {
      const source = {
        status: 206,
        headers,
        size: 5,
        part,
        body: (from: number, to: number) => bytes.subarray(from, to),
      }
      const answer = serveRange('GET', ['Range', range], source, () => 'between')
      return typeof answer === 'string' ? answer : (await read(answer.body)).toString()
    }
    expect([await of('bytes=6-8'), await of('bytes=6-'), await of('bytes=-1'), await of('bytes=-5')]).toEqual(
      ['234', '234', '4', '01234'],
    )
    expect(mayCombine({ status: 206, headers }, { status: 206, headers })).toBe(false)
  })
})
