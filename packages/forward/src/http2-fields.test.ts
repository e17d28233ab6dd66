import type { Outbound } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { http2RequestFields, http2TrailerFields } from './http2-fields.js'
import { http2Transport } from './index.js'

const origin = { scheme: 'https', host: 'target.test:8443' } as const

function fields(headers: string[], more: Partial<Outbound> = {}, upgrade?: string): Record<string, unknown> {
  const out = { method: 'GET', path: '/p?q', body: null, headers, ...more }
  return Object.fromEntries(Object.entries(http2RequestFields(out, origin, upgrade)))
}

const pseudo = { ':method': 'GET', ':scheme': 'https', ':authority': 'target.test:8443', ':path': '/p?q' }

describe('the fields of a request', () => {
  it('begin with the pseudo fields, and Host becomes :authority', () => {
    expect(Object.keys(fields(['X-A', '1'])).slice(0, 4)).toEqual(Object.keys(pseudo))
    expect(fields([])).toEqual(pseudo)
    expect(fields(['HOST', 'a.test'], { method: 'POST' })).toEqual({
      ...pseudo,
      ':method': 'POST',
      ':authority': 'a.test',
    })
  })

  it('are in lower case, and repeated ones stay repeated, in order', () => {
    expect(fields(['X-One', 'a', 'Accept', 'x', 'x-one', 'b', 'X-ONE', ''])).toEqual({
      ...pseudo,
      'x-one': ['a', 'b', ''],
      accept: 'x',
    })
  })

  it('have Cookie as one line', () => {
    expect(fields(['Cookie', 'a=1', 'cookie', 'b=2,3; c=4'])).toEqual({
      ...pseudo,
      cookie: 'a=1; b=2,3; c=4',
    })
  })

  it('join what node:http2 sends once alone', () => {
    expect(fields(['Content-Encoding', 'gzip', 'Content-Encoding', 'br'])).toEqual({
      ...pseudo,
      'content-encoding': 'gzip, br',
    })
  })

  it('have none of a connection', () => {
    const connection = [
      'Connection',
      'Keep-Alive',
      'Proxy-Connection',
      'Transfer-Encoding',
      'Upgrade',
      'HTTP2-Settings',
    ]
    expect(fields(connection.flatMap((name) => [name, 'x']))).toEqual(pseudo)
  })

  it.each([
    ['trailers', 'trailers'],
    ['gzip;q=0.5, Trailers', 'trailers'],
    ['gzip', undefined],
    ['xtrailers', undefined],
  ])('TE: %s becomes %s', (given, expected) => {
    expect(fields(['TE', given])['te']).toBe(expected)
  })

  it.each<[string[], Partial<Outbound>]>([
    [['X-A', 'a\r\nX-B: b'], {}],
    [['X-A', 'a\0x-b\0b'], {}],
    [['X A', 'a'], {}],
    [['X-A\0', 'a'], {}],
    [[':path', '/other'], {}],
    [['X-A', 'ā'], {}],
    [['Host', 'a\n'], {}],
    [[], { path: '/a b' }],
    [[], { path: '/a\r\n' }],
    [[], { method: 'GET /' }],
  ])('refuse what would be another request: %j %j', (headers, more) => {
    expect(() => fields(headers, more)).toThrow(expect.objectContaining({ code: 'http_request_error' }))
  })

  it('of an upgrade are those of an extended CONNECT', () => {
    const given = ['Sec-WebSocket-Key', 'k', 'Sec-WebSocket-Version', '13', 'Sec-WebSocket-Protocol', 'chat']
    expect(fields(given, {}, 'websocket')).toEqual({
      ...pseudo,
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat',
    })
  })
})

describe('trailers', () => {
  it('leave out what has no business there and what can not be sent', () => {
    const given = [
      'X-Sum',
      '1',
      'x-sum',
      '2',
      'Content-Length',
      '5',
      'Connection',
      'close',
      'X-Bad',
      'a\nb',
      'X Y',
      '1',
    ]
    expect(http2TrailerFields(given)).toEqual({ 'x-sum': ['1', '2'] })
  })
})

describe('http2Transport', () => {
  it.each<[object, string]>([
    [{ mode: 'h2c' }, 'http2Transport.mode'],
    [{ sessions: -1 }, 'http2Transport.sessions'],
    [{ streams: 1.5 }, 'http2Transport.streams'],
    [{ idle: '1 minute' }, 'http2Transport.idle'],
    [{ ping: -1 }, 'http2Transport.ping'],
    [{ connections: -1 }, 'http2Transport.connections'],
    [{ pipelining: 1 }, 'http2Transport.pipelining'],
  ])('refuses %j', (options, path) => {
    expect(() => http2Transport(options)).toThrow(TypeError)
    expect(() => http2Transport(options)).toThrow(path)
  })
})
