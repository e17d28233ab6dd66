import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Part, SharedParts } from './shared-parts.js'

function all(first: Part): Part[] {
  const parts: Part[] = []
  for (let part: Part | undefined = first; part !== undefined; part = part.next) parts.push(part)
  return parts
}

const bytesOf = ({ bytes, start, end }: Part): Uint8Array => bytes.subarray(0, end - start)

describe('SharedParts', () => {
  it('has the bytes in order, whatever their parts, and nothing that was read changes', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 20_000 }))
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 200 }), (sizes) => {
        const parts = new SharedParts()
        let place = parts.first
        let at = 0
        const had: [Uint8Array, string][] = []
        const read: Uint8Array[] = []
        const sent: Uint8Array[] = []
        sizes.forEach((size, i) => {
          const chunk = Buffer.alloc(size, i % 256)
          sent.push(chunk)
          parts.add(chunk)
          // One that reads along.
          while (place.end <= at && place.next !== undefined) place = place.next
          const got = place.bytes.subarray(at - place.start, place.end - place.start)
          at = place.end
          read.push(got)
          had.push([got, Buffer.from(got).toString('latin1')])
        })
        const whole = Buffer.concat(sent)
        expect(Buffer.concat(read).equals(whole)).toBe(true)
        expect(Buffer.concat(all(parts.first).map(bytesOf)).equals(whole)).toBe(true)
        expect(parts.size).toBe(whole.length)
        for (const [got, then] of had) expect(Buffer.from(got).toString('latin1')).toBe(then)
      }),
      { numRuns: 100 },
    )
  })

  it('keeps a body that comes byte by byte in few parts, and one that does not as it came', () => {
    const parts = new SharedParts()
    for (let i = 0; i < 100_000; i++) parts.add(Uint8Array.of(i % 256))
    expect(all(parts.first).length).toBeLessThan(100)
    expect(all(parts.first).reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThan(120_000)

    const large = new SharedParts()
    const chunk = Buffer.alloc(2_000)
    for (let i = 0; i < 100; i++) large.add(chunk)
    expect(all(large.first).every(({ bytes }, i) => i === 0 || bytes === chunk)).toBe(true)
  })

  it('wastes nothing on small parts among large ones', () => {
    const parts = new SharedParts()
    let sum = 0
    for (let i = 0; i < 500; i++)
      for (const size of [1, 20_000]) {
        parts.add(Buffer.alloc(size))
        sum += size
      }
    expect(all(parts.first).reduce((total, { bytes }) => total + bytes.length, 0)).toBe(sum)
  })

  it('drops whole parts, each of which lets go of the next, but never the last', () => {
    const parts = new SharedParts()
    for (const text of ['ab', 'cd', 'ef']) parts.add(Buffer.from(text))
    const [empty, first, second] = all(parts.first) as [Part, Part, Part]
    parts.dropBefore(3)
    expect([parts.first === second, parts.size, empty.next, first.next]).toEqual([
      true,
      4,
      undefined,
      undefined,
    ])
    parts.dropBefore(6)
    expect(parts.size).toBe(2)
    parts.add(Buffer.from('g'))
    parts.dropBefore(6)
    expect(Buffer.from(parts.first.bytes).toString()).toBe('g')
  })

  it('joins only what is kept: small parts that are dropped at once are not copied', () => {
    const parts = new SharedParts()
    for (let i = 1; i <= 1_000; i++) {
      const chunk = Uint8Array.of(i % 256)
      parts.add(chunk)
      parts.dropBefore(i)
      expect(parts.first.bytes).toBe(chunk)
    }
  })
})
