import fc from 'fast-check'
import { expect, it } from 'vitest'
import { answered, CacheRig, settled } from '../../../test/kit/cache-rig.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { createCache } from './create-cache.js'

trapUnhandled()

const words = [
  ...[
    'max-age=5',
    'max-age=x',
    'no-cache="a',
    'private="set-cookie"',
    's-maxage',
    '"',
    ',',
    ';;',
    '=',
    '\\',
    '*',
    ' ',
  ],
  ...[
    'bytes=0-1',
    'bytes 0-1/2',
    'bytes 0-9/*',
    'bytes=-0',
    '0',
    '-1',
    '99999999999999999999',
    '1, 1',
    '"a"',
    'W/"a"',
    'é',
    '',
  ],
  ...[
    'Thu, 26 Nov 2026 00:00:00 GMT',
    'x',
    'X-A',
    'must-understand',
    'only-if-cached',
    'stale-while-revalidate=9',
    'public',
  ],
]
const value = fc.array(fc.constantFrom(...words), { maxLength: 3 }).map((parts) => parts.join(', '))
const field = (names: string[]) => fc.tuple(fc.constantFrom(...names), value)
const fields = (...names: string[]) => fc.array(field(names), { maxLength: 6 }).map((list) => list.flat())
const request = fc.record({
  method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST', 'M'),
  headers: fields(
    'Range',
    'If-Range',
    'If-None-Match',
    'If-Match',
    'If-Modified-Since',
    'Cache-Control',
    'Pragma',
    'X-A',
    'Cookie',
    'Authorization',
  ),
})
const reply = fc.record({
  status: fc.oneof(fc.integer({ min: 200, max: 599 }), fc.constantFrom(200, 206, 304, 416)),
  headers: fields(
    ...[
      'Cache-Control',
      'CDN-Cache-Control',
      'Age',
      'Date',
      'Expires',
      'ETag',
      'Last-Modified',
      'Vary',
      'Content-Range',
    ],
    ...[
      'Content-Length',
      'Content-Type',
      'Set-Cookie',
      'Surrogate-Key',
      'Location',
      'Content-Location',
      'Trailer',
      'Connection',
    ],
  ),
  body: fc.constantFrom(null, '', 'x', 'xy', 'x'.repeat(10)),
})

it('nothing that a client or a target says breaks it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(request, reply, fc.nat(9000)), { maxLength: 12 }), async (steps) => {
      const at = new CacheRig(createCache, {
        maxEntry: 8,
        negative: { 404: 1000 },
        privateCookies: ['x'],
        setCookie: 'strip',
      })
      for (const [{ headers, method }, came, ms] of steps) {
        at.origin = () => ({ ...came, headers: came.headers.slice() })
        const asked = await at.ask('/', {
          method,
          headers,
          body: method === 'GET' || method === 'HEAD' ? null : 'x',
        })
        expect(asked.headers.length % 2).toBe(0)
        expect(asked.headers.join()).not.toMatch(/NaN|undefined|Infinity/)
        // One whose fields tell another length than it has may break off, never end as if it were whole.
        const length = asked.headers.findIndex(
          (text, i) => i % 2 === 0 && text.toLowerCase() === 'content-length',
        )
        const read = await answered(asked).catch(() => undefined)
        const own = asked.headers.join() === [...came.headers, 'Cache-Status', asked.headers.at(-1)].join()
        if (
          read !== undefined &&
          method === 'GET' &&
          length !== -1 &&
          !own &&
          ![204, 304].includes(asked.status)
        )
          expect(read.text.length).toBe(Number(asked.headers[length + 1]))
        at.now += ms
        await settled()
      }
      at.close()
    }),
    { numRuns: Number(process.env['RUNS'] ?? 200) },
  )
})
