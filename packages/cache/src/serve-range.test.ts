import { Readable } from 'node:stream'
import { type BodyInit, toReadable } from '@sluice/core'
import { get, parseContentRange } from '@sluice/headers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RangeReply, type RangeSource, serveRange } from './serve-range.js'
import type { StoredPart } from './store.js'

const text = '0123456789'
const boundary = (): string => 'between'

function stored(headers: string[] = [], part?: StoredPart, bytes = text): RangeSource {
  return {
    status: part === undefined ? 200 : 206,
    headers: ['Content-Type', 'text/plain', 'Content-Length', String(bytes.length), ...headers],
    size: bytes.length,
    part,
    body: (from, to) => Buffer.from(bytes.slice(from, to)),
  }
}

async function read(body: BodyInit): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of toReadable(body)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('latin1')
}

function reply(answer: ReturnType<typeof serveRange>): RangeReply {
  if (typeof answer === 'string') throw new Error(`the answer is ${answer}`)
  return answer
}

/** Content ranges and bytes of an answer, of one range or of several. */
function partsOf({ headers }: RangeReply, content: string): (readonly [string, string])[] {
  const where = get(headers, 'content-range')
  if (where !== undefined) return [[where, content]]
  expect(get(headers, 'content-type')).toBe('multipart/byteranges; boundary=between')
  const parts = `\r\n${content}`.split('\r\n--between')
  expect(parts[0]).toBe('')
  expect(parts.at(-1)).toBe('--\r\n')
  return parts.slice(1, -1).map((part) => {
    const [, range = '', bytes = ''] =
      /^\r\nContent-Type: a\/b\r\nContent-Range: (.*)\r\n\r\n(.*)$/s.exec(part) ?? []
    return [range, bytes] as const
  })
}

const of = (source: RangeSource, ...headers: string[]): ReturnType<typeof serveRange> =>
  serveRange('GET', headers, source, boundary)

describe('ranges of a whole response', () => {
  it.each([
    ['bytes=0-1', '01', 'bytes 0-1/10'],
    ['bytes=8-', '89', 'bytes 8-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=5-99', '56789', 'bytes 5-9/10'],
    ['bytes=0-1,2-3', '0123', 'bytes 0-3/10'],
  ])('%s', async (range, bytes, contentRange) => {
    const answer = reply(
      of(stored(['ETag', '"a"', 'Content-Digest', 'x', 'Repr-Digest', 'y']), 'Range', range),
    )
    expect(answer.status).toBe(206)
    expect(answer.headers).toEqual([
      'Content-Type',
      'text/plain',
      'ETag',
      '"a"',
      'Repr-Digest',
      'y',
      'Content-Range',
      contentRange,
      'Content-Length',
      String(bytes.length),
    ])
    expect(await read(answer.body)).toBe(bytes)
  })

  it('sends several ranges as one multipart, of the length told', async () => {
    const answer = reply(of(stored(), 'range', 'bytes=8-9,0-0,-5000,4-4'))
    expect(answer.headers).toContain('bytes 0-9/10')

    const several = reply(of(stored(), 'range', 'bytes=8-9,0-0,4-4'))
    expect(several.status).toBe(206)
    expect(several.headers.filter((_, i) => i % 2 === 0)).toEqual(['Content-Type', 'Content-Length'])
    expect(get(several.headers, 'content-type')).toBe('multipart/byteranges; boundary=between')
    const body = await read(several.body)
    expect(get(several.headers, 'content-length')).toBe(String(body.length))
    expect(body).toBe(
      [
        '--between',
        'Content-Type: text/plain',
        'Content-Range: bytes 8-9/10',
        '',
        '89',
        '--between',
        'Content-Type: text/plain',
        'Content-Range: bytes 0-0/10',
        '',
        '0',
        '--between',
        'Content-Type: text/plain',
        'Content-Range: bytes 4-4/10',
        '',
        '4',
        '--between--',
        '',
      ].join('\r\n'),
    )
  })

  it('sends what was asked for, read back part by part', async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 })
    const range = fc.tuple(fc.nat(40), fc.nat(40)).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`)
    await fc.assert(
      fc.asyncProperty(bytes, fc.array(range, { minLength: 1, maxLength: 16 }), async (whole, ranges) => {
        const source: RangeSource = {
          status: 200,
          headers: ['content-type', 'a/b'],
          size: whole.length,
          // As a file does: in pieces.
          body: (from, to) =>
            Readable.from(Array.from(whole.subarray(from, to), (byte) => Buffer.from([byte]))),
        }
        const answer = reply(of(source, 'Range', `bytes=${ranges.join(',')}`))
        const asked = new Set<number>()
        for (const one of ranges) {
          const [first = 0, last = 0] = one.split('-').map(Number)
          for (let i = first; i <= last && i < whole.length; i++) asked.add(i)
        }
        if (asked.size === 0) {
          expect(answer.status).toBe(416)
          return
        }
        const content = await read(answer.body)
        expect(get(answer.headers, 'content-length')).toBe(String(content.length))
        const got = new Set<number>()
        for (const [where, part] of partsOf(answer, content)) {
          const said = parseContentRange(where)
          if (said?.first === undefined) throw new Error(where)
          expect(said.size).toBe(whole.length)
          expect(part).toBe(Buffer.from(whole.subarray(said.first, said.last + 1)).toString('latin1'))
          for (let i = said.first; i <= said.last; i++) {
            expect(got.has(i)).toBe(false)
            got.add(i)
          }
        }
        expect(got).toEqual(asked)
      }),
    )
  })

  it('answers 416 with the size where no range has a byte in it', () => {
    expect(of(stored(['ETag', '"a"']), 'Range', 'bytes=10-')).toEqual({
      status: 416,
      headers: ['Content-Range', 'bytes */10', 'Content-Length', '0'],
      body: null,
    })
  })

  it.each([
    ['another method', 'HEAD', ['Range', 'bytes=0-1']],
    ['no range', 'GET', []],
    ['two fields', 'GET', ['Range', 'bytes=0-1', 'Range', 'bytes=3-4']],
    ['another unit', 'GET', ['Range', 'items=0-1']],
    ['a malformed one', 'GET', ['Range', 'bytes=1-0']],
    ['If-Range alone', 'GET', ['If-Range', '"a"']],
  ])('gives the whole for %s', (_, method, headers) => {
    expect(serveRange(method, headers, stored(['ETag', '"a"']), boundary)).toBe('whole')
  })

  it('gives several ranges of what is coded as the whole, since the multipart is not coded', () => {
    const coded = stored(['Content-Encoding', 'gzip'])
    expect(of(coded, 'Range', 'bytes=0-1,5-6')).toBe('whole')
    expect(reply(of(coded, 'Range', 'bytes=0-1,2-3')).status).toBe(206)
    const part = stored(['Content-Encoding', 'gzip'], { first: 0, last: 9, size: 20 })
    expect(of(part, 'Range', 'bytes=0-1,5-6')).toBe('fetch')
    expect(reply(of(part, 'Range', 'bytes=0-1')).status).toBe(206)
  })

  it('gives the whole while nobody knows how long it is', () => {
    expect(of({ ...stored(), size: Number.NaN }, 'Range', 'bytes=0-1')).toBe('whole')
  })

  it('gives no part of what is no 200', () => {
    expect(of({ ...stored(), status: 404 }, 'Range', 'bytes=0-1')).toBe('whole')
  })
})

describe('If-Range', () => {
  const modified = 'Tue, 01 Jul 2025 10:00:00 GMT'
  const later = 'Tue, 01 Jul 2025 10:01:00 GMT'
  const sooner = 'Tue, 01 Jul 2025 10:00:59 GMT'
  it.each([
    ['the same strong tag', ['ETag', '"a"'], '"a"', true],
    ['another tag', ['ETag', '"a"'], '"b"', false],
    ['a weak tag', ['ETag', 'W/"a"'], 'W/"a"', false],
    ['the weak form of a strong tag', ['ETag', '"a"'], 'W/"a"', false],
    ['no tag where there is none', [], '"a"', false],
    ['no quotes', ['ETag', 'a'], 'a', false],
    ['a tag given twice', ['ETag', '"a"', 'ETag', '"a"'], '"a"', false],
    ['a date that is strong', ['Last-Modified', modified, 'Date', later], modified, true],
    ['a date that is weak', ['Last-Modified', modified, 'Date', sooner], modified, false],
    ['a later date', ['Last-Modified', modified, 'Date', later], later, false],
    ['a date without one of the response', ['Last-Modified', modified], modified, false],
    ['nonsense that is there twice', ['Last-Modified', 'x', 'Date', later], 'x', false],
  ])('%s', (_, headers, ifRange, serves) => {
    const answer = of(stored(headers), 'Range', 'bytes=0-1', 'If-Range', ifRange)
    expect(typeof answer === 'string' ? answer : answer.status).toBe(serves ? 206 : 'whole')
  })

  it('given twice is no match', () => {
    const answer = of(stored(['ETag', '"a"']), 'Range', 'bytes=0-1', 'If-Range', '"a"', 'If-Range', '"a"')
    expect(answer).toBe('whole')
  })

  it('that fails has a part fetched anew', () => {
    const part = stored(['ETag', '"a"'], { first: 4, last: 8, size: 10 }, '45678')
    expect(of(part, 'Range', 'bytes=4-5', 'If-Range', '"b"')).toBe('fetch')
    expect(reply(of(part, 'Range', 'bytes=4-5', 'If-Range', '"a"')).status).toBe(206)
  })
})

describe('ranges of a part', () => {
  const end = stored(['Content-Range', 'bytes 4-9/10'], { first: 4, last: 9, size: 10 }, '456789')
  const unsized = stored(['Content-Range', 'bytes 4-9/*'], { first: 4, last: 9 }, '456789')

  it.each([
    [end, 'bytes=6-8', '678', 'bytes 6-8/10'],
    [end, 'bytes=6-', '6789', 'bytes 6-9/10'],
    [end, 'bytes=-1', '9', 'bytes 9-9/10'],
    [end, 'bytes=4-9', '456789', 'bytes 4-9/10'],
    [unsized, 'bytes=6-8', '678', 'bytes 6-8/*'],
  ])('gives those within it (%#)', async (source, range, bytes, contentRange) => {
    const answer = reply(of(source, 'Range', range))
    expect(answer.status).toBe(206)
    expect(get(answer.headers, 'content-range')).toBe(contentRange)
    expect(await read(answer.body)).toBe(bytes)
  })

  it('sends several of them as multipart', async () => {
    const answer = reply(of(unsized, 'Range', 'bytes=4-4,9-9'))
    expect(get(answer.headers, 'content-range')).toBeUndefined()
    expect(await read(answer.body)).toContain('Content-Range: bytes 9-9/*\r\n\r\n9\r\n')
  })

  it.each([
    ['bytes=3-5', end],
    ['bytes=0-', end],
    ['bytes=-7', end],
    ['bytes=4-5,0-0', end],
    ['bytes=10-', end],
    ['bytes=9-10', unsized],
    ['bytes=6-', unsized],
    ['bytes=-1', unsized],
    ['items=4-5', end],
  ])('has %s fetched', (range, source) => {
    expect(of(source, 'Range', range)).toBe('fetch')
  })

  it('has all of a part fetched whose bytes are not as many as it says', () => {
    for (const size of [5, 7, Number.NaN]) expect(of({ ...end, size }, 'Range', 'bytes=4-5')).toBe('fetch')
  })

  it('has the whole fetched', () => {
    expect(of(end)).toBe('fetch')
    expect(serveRange('HEAD', [], end, boundary)).toBe('fetch')
  })
})
