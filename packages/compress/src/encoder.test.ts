import * as zlib from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { until } from '../../../test/kit/until.js'
import { codings } from './coding.js'
import { createEncoder, encodeSync, flushOf } from './encoder.js'

/** The window that the header of coded bytes names, as a power of two (RFC 1950 section 2.2; RFC 7932 section 9.1). */
const windowOf = {
  deflate: (bytes: Uint8Array) => ((bytes[0] as number) >> 4) + 8,
  br: (bytes: Uint8Array) => {
    const first = bytes[0] as number
    if ((first & 1) === 0) return 16
    return (first & 0b1110) === 0 ? undefined : ((first >> 1) & 7) + 17
  },
}

it('codings are those that this Node has, the favourite first', () => {
  const zstd = 'createZstdCompress' in zlib ? ['zstd'] : []
  expect(codings).toEqual([...zstd, 'br', 'gzip', 'deflate'])
})

describe.each(codings)('a coder of %s', (coding) => {
  it('made to flush gives what each write brings', async () => {
    const codec = createEncoder(coding, { level: 4 }, true)
    let got = 0
    codec.on('data', (chunk: Buffer) => (got += chunk.length))
    for (let i = 0; i < 3; i++) {
      const before = got
      codec.write(`event ${i}`)
      await until(() => got > before, 'the event')
    }
    codec.destroy()
  })

  it('gives what it holds when it is flushed as `flushOf` says', async () => {
    const codec = createEncoder(coding, { level: 4 })
    let got = 0
    codec.on('data', (chunk: Buffer) => (got += chunk.length))
    codec.write('x'.repeat(1000))
    await new Promise<void>((resolve) => codec.flush(flushOf[coding], resolve))
    expect(got).toBeGreaterThan(10)
    codec.destroy()
  })
})

it('windows are no larger than bytes that are known to come, and bounded where they are many or unknown', () => {
  const coded = (size: number | undefined, level = 4) =>
    encodeSync('br', Buffer.alloc(100_000, 'text'), { level, size })
  expect(windowOf.deflate(encodeSync('deflate', Buffer.from('text'), { level: 6, size: 10_000 }))).toBe(14)
  expect(windowOf.deflate(encodeSync('deflate', Buffer.from('text'), { level: 6, size: 1e9 }))).toBe(15)
  expect(windowOf.deflate(encodeSync('deflate', Buffer.from('text'), { level: 6 }))).toBe(15)
  expect(windowOf.br(coded(undefined))).toBe(18)
  expect(windowOf.br(coded(1e9))).toBe(18)
  expect(windowOf.br(coded(60_000))).toBe(16)
  // With a larger one these levels take up to 32 MB.
  expect([7, 8, 9].map((level) => windowOf.br(coded(undefined, level)))).toEqual([16, 16, 16])
})
