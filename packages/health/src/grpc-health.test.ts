import fc from 'fast-check'
import { expect, it } from 'vitest'
import { healthRequest, healthStatus } from './grpc-health.js'

/** A message in its frame. */
function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  return Buffer.concat([frame, message])
}

it('writes a request as any other library does', () => {
  expect([...healthRequest('')]).toEqual([0, 0, 0, 0, 0])
  expect([...healthRequest('ab')]).toEqual([0, 0, 0, 0, 4, 0x0a, 2, 0x61, 0x62])
  const long = healthRequest('x'.repeat(300))
  expect([...long.subarray(0, 8)]).toEqual([0, 0, 0, 1, 0x2f, 0x0a, 0xac, 2])
})

it('counts the last status of several, as protobuf has it', () => {
  expect(healthStatus(framed(Buffer.from([8, 1, 8, 2])))).toBe('NOT_SERVING')
  expect(healthStatus(framed(Buffer.from([8, 2, 8, 0x81, 0])))).toBe('SERVING')
})

it.each([
  ['nothing', Buffer.alloc(0), 'no message'],
  ['a head alone', Buffer.alloc(4), 'no message'],
  ['a compressed message', Buffer.from([1, 0, 0, 0, 0]), 'compressed'],
  ['less than it says', Buffer.from([0, 0, 0, 0, 2, 8]), 'not one whole message'],
  [
    'two messages',
    Buffer.concat([framed(Buffer.from([8, 1])), framed(Buffer.from([8, 1]))]),
    'not one whole',
  ],
  ['a group, which nobody writes any more', framed(Buffer.from([0x0b])), 'no protobuf'],
])('refuses %s', (_name, bytes, says) => {
  expect(() => healthStatus(bytes)).toThrow(says)
})

it('gives a status or an Error for any bytes, and ends', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, whole) => {
      try {
        expect(healthStatus(whole ? framed(bytes) : Buffer.from(bytes))).toBeTypeOf('string')
      } catch (error) {
        if (!(error as Error).message.startsWith('the answer of the health service')) throw error
      }
    }),
    { numRuns: 2_000 },
  )
})
