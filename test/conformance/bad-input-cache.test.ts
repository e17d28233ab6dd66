import type { KeyOptions } from '@sluice/cache'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cachedSite } from '../kit/cached-site.js'
import { twoFronts } from '../kit/fronts.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()
// Each is reported once in a process.
const reported: string[] = []
const note = (warning: Error): void => void reported.push(warning.message)
beforeAll(() => void process.on('warning', note))
afterAll(() => void process.off('warning', note))

describe.each(twoFronts)('what the cache is given behind $name', (kind) => {
  it.each<[string, () => unknown, RegExp]>([
    [
      'throws',
      () => {
        throw new Error('of mine')
      },
      /of mine/,
    ],
    ['gives nothing', () => undefined, /device gave undefined, takes a string/],
    ['gives a promise', async () => 'tablet', /device gave object, takes a string/],
  ])('a device function that %s is a 500 and reported, and nobody is asked', async (_, device, message) => {
    let asked = 0
    const handler = (_req: unknown, res: { end(text: string): void }) => {
      asked++
      res.end('page')
    }
    const site = await cachedSite(own, kind, handler, { key: { device } as KeyOptions })
    expect((await site.ask('/')).status).toBe(500)
    expect(asked).toBe(0)
    expect(reported.some((text) => message.test(text))).toBe(true)
  })

  it.each<[string, string[], string]>([
    ['a lifetime that is no number', ['Cache-Control', 'max-age=soon', 'ETag', '"1"'], 'fwd=stale'],
    ['a second lifetime', ['Cache-Control', 'max-age=5, max-age=60', 'ETag', '"1"'], 'hit; ttl=5'],
    ['an Expires that is no date', ['Expires', '0', 'ETag', '"1"'], 'fwd=stale'],
    ['an Age that is no number', ['Cache-Control', 'max-age=60', 'Age', 'old'], 'hit; ttl=60'],
    [
      'more tags than a purge can know',
      ['Cache-Control', 'max-age=60', 'Cache-Tag', tags(1001)],
      'tags-many',
    ],
    ['a Vary of everything beside names', ['Cache-Control', 'max-age=60', 'Vary', 'a, *'], 'vary-all'],
    [
      'a CDN-Cache-Control that nobody can read',
      ['Cache-Control', 'max-age=60', 'CDN-Cache-Control', '{'],
      'hit; ttl=60',
    ],
  ])('%s errs on the safe side', async (_, fields, status) => {
    const site = await cachedSite(own, kind, (_req, res) => {
      for (let i = 0; i < fields.length; i += 2) res.setHeader(fields[i] as string, fields[i + 1] as string)
      res.end('page')
    })
    await site.ask('/')
    const { headers } = await site.ask('/')
    expect(value(headers, 'cache-status')).toContain(status)
  })
})

function tags(count: number): string {
  return Array.from({ length: count }, (_, i) => `t${i}`).join(',')
}
