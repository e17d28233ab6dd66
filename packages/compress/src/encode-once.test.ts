import * as zlib from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Coding, codings } from './coding.js'
import { onceAtMost } from './encode-once.js'
import { encodeOnce } from './index.js'

const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (bytes: Uint8Array) => Buffer }
const decode: Record<Coding, (bytes: Uint8Array) => Buffer> = {
  gzip: zlib.gunzipSync,
  deflate: zlib.inflateSync,
  br: zlib.brotliDecompressSync,
  zstd: zstdDecompressSync as (bytes: Uint8Array) => Buffer,
}

describe.each(codings)('encodeOnce in %s', (coding) => {
  const highest = { gzip: 9, deflate: 9, br: 11, zstd: 19 }[coding]

  it('gives what decodes to the same bytes, for any bytes and level', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: onceAtMost, size: 'max' })),
        fc.integer({ min: 1, max: highest }),
        (bytes, level) => {
          const coded = encodeOnce(bytes, coding, { level })
          expect(Buffer.compare(decode[coding](coded), bytes)).toBe(0)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('takes a view into larger memory for what it is', () => {
    const view = new Uint8Array(Buffer.from('before text after').buffer.slice(0)).subarray(0, 0)
    expect(decode[coding](encodeOnce(view, coding, { level: 1 })).length).toBe(0)
    const text = Buffer.from('before text after').subarray(7, 11)
    expect(String(decode[coding](encodeOnce(text, coding, { level: 1 })))).toBe('text')
  })

  it('fails with an error of its own', () => {
    const failed = { code: 'proxy_internal_error', message: expect.stringMatching(/^the \w+ coder failed: /) }
    expect(() => encodeOnce(42 as never, coding, { level: 1 })).toThrow(expect.objectContaining(failed))
  })
})
