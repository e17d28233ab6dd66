import { describe, expect, it } from 'vitest'
import { checkOne, fuzz } from './lib/fuzz.mjs'

describe('mutated replies', () => {
  it('are read or refused, the same whole and in pieces, and leave nothing behind', () => {
    const { failure, runs, whole, refused } = fuzz({ count: 50_000, seed: 1 })
    expect(failure).toBeUndefined()
    expect(runs).toBe(50_000)
    // Else they would be too wild to get far, or too tame.
    expect(whole).toBeGreaterThan(runs / 10)
    expect(Object.keys(refused).sort()).toEqual([
      'connection_terminated',
      'http_protocol_error',
      'http_response_header_section_size',
      'http_response_incomplete',
    ])
  })

  it('are the same for the same seed, however many share the work', () => {
    const all = fuzz({ count: 2_000, seed: 2, samples: 1 })
    const parts = [0, 1, 2].map((first) => fuzz({ count: 2_000, seed: 2, first, step: 3, samples: 1 }))
    expect(parts.reduce((sum, { runs }) => sum + runs, 0)).toBe(all.runs)
    expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(all.bytes)
    expect(parts.reduce((sum, { whole }) => sum + whole, 0)).toBe(all.whole)
    expect(fuzz({ count: 2_000, seed: 3, samples: 1 }).bytes).not.toBe(all.bytes)
  })

  it('one alone is cut at every byte', () => {
    const input = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc')
    expect(checkOne(input, { method: 'GET', upgrade: false })).toMatchObject({
      wrong: undefined,
      whole: true,
    })
    expect(checkOne(Buffer.from('HTTP/1.1 2'), { method: 'GET', upgrade: false })).toMatchObject({
      wrong: undefined,
      code: 'connection_terminated',
    })
  })
})
