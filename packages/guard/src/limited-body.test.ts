import { Readable } from 'node:stream'
import { type ProxyError, toBody } from '@sluice/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bodyLimit } from './body-limit.js'
import { LimitedBody } from './limited-body.js'

/** Parts as a body that tells no length. */
async function* stream(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}

it('a body is whole if it is within the limit, else it fails before a byte beyond it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { maxLength: 9 }),
      fc.integer({ min: 1, max: 60 }),
      async (parts, most) => {
        const all = Buffer.concat(parts)
        const readable = Readable.from(stream(parts), { objectMode: false })
        const source = toBody(readable)
        const body = new LimitedBody(source as NonNullable<typeof source>, most)
        const came: Uint8Array[] = []
        const error = await new Promise<Error | undefined>((resolve) => {
          body.pipe({
            write: (chunk) => came.push(chunk) > 0,
            end: () => resolve(undefined),
            abort: resolve,
            onDrain: () => {},
          })
        })
        const got = Buffer.concat(came)
        expect(got.equals(all.subarray(0, got.length))).toBe(true)
        if (all.length <= most) expect([error, got.length]).toEqual([undefined, all.length])
        else {
          expect((error as ProxyError).code).toBe('http_request_body_size')
          expect((error as ProxyError).reason).toBe('body-size')
          // Nobody is left who would read the rest.
          await new Promise((resolve) =>
            readable.destroyed ? resolve(undefined) : readable.once('close', resolve),
          )
          expect(got.length).toBeLessThanOrEqual(most)
        }
      },
    ),
  )
})

it.each<[unknown, RegExp]>([
  ['1 mb', /^bodyLimit: got '1 mb', takes bytes or a text such as/],
  [-1, /^bodyLimit: got -1/],
  [undefined, /^bodyLimit: got (nothing|undefined)/],
])('%j is no limit', (limit, says) => {
  expect(() => bodyLimit(limit as number)).toThrow(says)
  expect(() => bodyLimit(limit as number, 'guard.bodyLimit')).toThrow(/^guard\.bodyLimit: /)
})
