import { type Context, ProxyError, type Reply, unhandled } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { hsts } from './index.js'

const name = 'Strict-Transport-Security'
const reply = (...headers: string[]): Reply => ({ status: 200, headers, body: null })
const through = (scheme: 'http' | 'https', end: () => Reply): Reply =>
  hsts()(end)({ scheme } as Context) as Reply

describe('hsts around a handler that answers at once', () => {
  it('says so over TLS alone', () => {
    expect(through('https', () => reply('x', 'y')).headers).toEqual(['x', 'y', name, 'max-age=31536000'])
    expect(through('http', () => reply(name, 'max-age=1', 'x', 'y')).headers).toEqual(['x', 'y'])
  })

  it('says so in errors over TLS alone', () => {
    const fail = (): never => {
      throw new ProxyError('http_request_denied', { headers: ['x', 'y'] })
    }
    expect(() => through('https', fail)).toThrow(
      expect.objectContaining({ code: 'http_request_denied', headers: ['x', 'y', name, 'max-age=31536000'] }),
    )
    expect(() => through('http', fail)).toThrow(expect.objectContaining({ headers: ['x', 'y'] }))
  })

  it('leaves what is unhandled, and what is no reply, as it is', () => {
    for (const scheme of ['http', 'https'] as const) {
      expect(through(scheme, () => unhandled)).toBe(unhandled)
      expect(through(scheme, () => undefined as never)).toBeUndefined()
    }
  })
})
