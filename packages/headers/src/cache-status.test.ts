import fc from 'fast-check'
import { parseList, Token } from 'structured-headers'
import { describe, expect, it } from 'vitest'
import { appendCacheStatus, formatCacheStatus } from './cache-status.js'

describe('formatCacheStatus', () => {
  it('writes what RFC 9211 has for each', () => {
    expect(formatCacheStatus({ name: 'sluice', hit: true, ttl: 30, key: 'GET /a?b="c"' })).toBe(
      String.raw`sluice; hit; ttl=30; key="GET /a?b=\"c\""`,
    )
    const miss = { fwd: 'stale', fwdStatus: 304, stored: true, collapsed: true } as const
    expect(formatCacheStatus({ name: 'a b', ...miss, ttl: -3.7, detail: 'no-store' })).toBe(
      '"a b"; fwd=stale; fwd-status=304; stored; collapsed; ttl=-3; detail=no-store',
    )
    expect(formatCacheStatus({ name: '1', hit: false, detail: 'a, b' })).toBe('"1"; detail="a, b"')
  })

  it('is read by others as it was meant, whatever is in it', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(text, text, fc.integer({ min: -1e9, max: 1e9 }), (name, key, ttl) => {
        const [[member, parameters] = []] = parseList(
          formatCacheStatus({ name, key, ttl, hit: true, detail: name }),
        )
        const plain = (value: unknown) => (value instanceof Token ? value.toString() : value)
        expect(parameters?.get('ttl')).toBe(ttl)
        expect(plain(parameters?.get('detail'))).toBe(plain(member))
        if (/^[ -~]*$/.test(key)) expect(parameters?.get('key')).toBe(key)
        if (/^[ -~]*$/.test(name)) expect(plain(member)).toBe(name)
      }),
    )
  })

  it('comes after what caches nearer to the origin said', () => {
    const list = ['Cache-Status', 'origin; hit', 'Date', 'x']
    appendCacheStatus(list, { name: 'sluice', hit: true })
    expect(list).toEqual(['Cache-Status', 'origin; hit', 'Date', 'x', 'Cache-Status', 'sluice; hit'])
  })
})
