import type { Context, Reply } from '@sluice/core'
import { get, isAuthority } from '@sluice/headers'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { redirectToHttps } from './index.js'

/** Where a request without TLS is sent; `undefined` where it is refused. */
function sentTo(authority: string, path: string, port?: number): string | undefined {
  const layer = redirectToHttps(port === undefined ? {} : { port })
  const handler = layer(() => {
    throw new Error('it went on')
  })
  const ctx = { scheme: 'http', authority, req: { url: path }, out: { method: 'GET', path, headers: [] } }
  try {
    return get((handler(ctx as unknown as Context) as Reply).headers, 'location')
  } catch (error) {
    expect((error as { code: string }).code).toBe('http_request_error')
    return undefined
  }
}

const authority = fc
  .string({ unit: fc.constantFrom(..."aZ09.-_~%[]:@/\\?#,;='()!$&*+".split('')), maxLength: 16 })
  .filter(isAuthority)
const path = fc
  .string({ unit: fc.constantFrom(...'/\\.:@?#%2fa;&=é'.split('')), maxLength: 20 })
  .map((text) => `/${text}`)

it('sends nobody to another host, whatever host and path are', () => {
  fc.assert(
    fc.property(authority, path, (host, target) => {
      const location = sentTo(host, target)
      const asked = URL.canParse(`http://${host}/`) ? new URL(`http://${host}/`) : undefined
      if (location === undefined) return
      const url = new URL(location)
      expect([url.protocol, url.hostname, url.port]).toEqual(['https:', asked?.hostname, ''])
      expect([url.username, url.password]).toEqual(['', ''])
      // Byte for byte, which URL's own spelling isn't.
      expect(location.endsWith(target)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

it('replaces the port and nothing else of the host', () => {
  fc.assert(
    fc.property(authority, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
      const location = sentTo(host, '/', port)
      const bare = host.replace(/:\d*$/, '').toLowerCase()
      if (location !== undefined) expect(location).toBe(`https://${bare}${port === 443 ? '' : `:${port}`}/`)
    }),
    { numRuns: 2_000 },
  )
})
