import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { der } from '../../../test/kit/ocsp-responder.js'
import { x509Root } from '../../../test/kit/x509.js'
import { mustStaple } from './must-staple.js'

const oid = Buffer.from('06082b06010505070118', 'hex')
const extension = (features: readonly number[], critical = false): Buffer => {
  const list = der(
    0x30,
    ...features.map((each) =>
      der(0x02, each < 128 ? Buffer.from([each]) : Buffer.from([each >> 8, each & 255])),
    ),
  )
  return der(0x30, oid, ...(critical ? [Buffer.from('0101ff', 'hex')] : []), der(0x04, list))
}
const padded = (bytes: Buffer): Buffer => Buffer.concat([Buffer.alloc(50), bytes, Buffer.alloc(50)])

describe('mustStaple', () => {
  it('is told by a certificate itself', async () => {
    const root = await x509Root()
    expect(mustStaple((await root.issue({ names: ['a.test'], mustStaple: true })).der)).toBe(true)
    expect(mustStaple((await root.issue({ names: ['a.test'] })).der)).toBe(false)
  })

  it.each<[boolean, number[], boolean]>([
    [true, [5], true],
    [true, [17, 5], false],
    [true, [5, 17], true],
    [false, [17], false],
    [false, [17], true],
    [false, [], false],
    [false, [0x0505], false],
  ])('is %s with the features %j, critical: %s', (must, features, critical) => {
    expect(mustStaple(padded(extension(features, critical)))).toBe(must)
  })

  it('reads a view into a larger buffer, and nothing beside it', () => {
    // Of its own: a small Buffer is a view into what others have written, too.
    const { buffer } = Uint8Array.from(padded(extension([5])))
    expect(mustStaple(new Uint8Array(buffer, 0, 40))).toBe(false)
    expect(mustStaple(new Uint8Array(buffer, 40))).toBe(true)
  })

  it('takes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 12 }), (before, after) => {
        expect(mustStaple(Buffer.concat([before, oid, after]))).toBeTypeOf('boolean')
        for (let end = 0; end <= 17; end++)
          expect(mustStaple(extension([17, 5], true).subarray(0, end))).toBe(false)
      }),
    )
  })
})
