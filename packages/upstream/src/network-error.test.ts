import { getSystemErrorMap } from 'node:util'
import { ProxyError, type ProxyErrorCode, proxyErrors } from '@sluice/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isNetworkError, isOwnFault } from './index.js'

const coded = (code: string, more: object = {}): Error => Object.assign(new Error('x'), { code, ...more })

it.each([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'HPE_INVALID_CONSTANT',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
])('%s is of the network, also beneath others', (code) => {
  expect(isNetworkError(coded(code))).toBe(true)
  expect(isNetworkError(new TypeError('fetch failed', { cause: coded(code) }))).toBe(true)
  expect(isNetworkError(new AggregateError([coded(code), coded('EHOSTUNREACH')]))).toBe(true)
})

it.each([
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_URL',
  'ERR_HTTP2_INVALID_HEADER_VALUE',
  'ERR_OSSL_PEM_NO_START_LINE',
  'UND_ERR_INVALID_ARG',
  'ENOENT',
  'EISDIR',
  'EMFILE',
  'X',
  '',
])('%s is not: it says nothing of whom was called', (code) => {
  expect(isNetworkError(coded(code))).toBe(false)
  expect(isNetworkError(new TypeError('fetch failed', { cause: coded(code) }))).toBe(false)
})

it('takes a Unix socket that is not there for what it is, and a file for what that is', () => {
  expect(isNetworkError(coded('ENOENT', { syscall: 'connect' }))).toBe(true)
  expect(isNetworkError(coded('ENOENT', { syscall: 'open' }))).toBe(false)
})

it.each(Object.keys(proxyErrors) as ProxyErrorCode[])(
  'of its own errors takes the upstream’s: %s',
  (code) => {
    const error = new ProxyError(code)
    expect(isNetworkError(error)).toBe(error.source === 'upstream')
    expect(isNetworkError(new Error('wrapped', { cause: error }))).toBe(error.source === 'upstream')
  },
)

it('takes a timeout, and nothing that is no error or goes round', () => {
  expect(isNetworkError(new DOMException('late', 'TimeoutError'))).toBe(true)
  const round = new Error('round')
  round.cause = round
  for (const odd of [round, undefined, null, 'ECONNRESET', { code: 'ECONNRESET' }, new AggregateError([])])
    expect(isNetworkError(odd)).toBe(false)
})

it('knows codes of the system by the names that it has', () => {
  const known = new Set([...getSystemErrorMap().values()].map(([name]) => name))
  for (const code of ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETDOWN', 'ENOTCONN', 'EPROTO', 'EAI_NODATA'])
    expect(known).toContain(code)
})

it.each(['ERR_STREAM_DESTROYED', 'ERR_HTTP2_INVALID_SESSION', 'ERR_SOMETHING_NEW'])(
  '%s is neither',
  (code) => {
    expect([isNetworkError(coded(code)), isOwnFault(coded(code))]).toEqual([false, false])
  },
)

it.each([
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_URL',
  'UND_ERR_INVALID_ARG',
  'ERR_OUT_OF_RANGE',
  'ERR_HTTP2_INVALID_HEADER_VALUE',
  'ERR_HTTP_HEADERS_SENT',
  'UND_ERR_CLOSED',
  'ENOENT',
  'EMFILE',
])('%s is a fault of one’s own, also beneath others', (code) => {
  expect(isOwnFault(coded(code))).toBe(true)
  expect(isOwnFault(new TypeError('fetch failed', { cause: coded(code) }))).toBe(true)
})

it.each(['ECONNRESET', 'ERR_HTTP2_STREAM_ERROR', 'UND_ERR_SOCKET', 'HPE_INVALID_CONSTANT', 'NO_GOOD', ''])(
  '%s is none',
  (code) => {
    expect(isOwnFault(coded(code))).toBe(false)
    expect(isOwnFault(new TypeError('fetch failed', { cause: coded(code) }))).toBe(false)
  },
)

it('is a fault of one’s own to give up, and what the proxy or a client has done', () => {
  expect(isOwnFault(new DOMException('off', 'AbortError'))).toBe(true)
  expect(isOwnFault(new DOMException('late', 'TimeoutError'))).toBe(false)
  expect(isOwnFault(coded('ENOENT', { syscall: 'connect' }))).toBe(false)
  for (const code of Object.keys(proxyErrors) as ProxyErrorCode[]) {
    const error = new ProxyError(code)
    expect(isOwnFault(error)).toBe(error.source !== 'upstream')
  }
  const full = new ProxyError('connection_refused', { cause: coded('EMFILE') })
  expect([isOwnFault(full), isNetworkError(full)]).toEqual([true, false])
  for (const odd of [undefined, null, 'x', new Error('x')]) expect(isOwnFault(odd)).toBe(false)
})

it('is never both', () => {
  const codes = fc.constantFrom(
    'ECONNRESET',
    'ERR_INVALID_ARG_TYPE',
    'EMFILE',
    'ENOENT',
    'UND_ERR_SOCKET',
    'X',
  )
  const error = fc.array(
    fc.tuple(codes, fc.constantFrom('Error', 'AbortError', 'TimeoutError'), fc.boolean()),
  )
  fc.assert(
    fc.property(error, (levels) => {
      let made: Error | undefined
      for (const [code, name, connect] of levels) {
        const more = { name, ...(connect ? { syscall: 'connect' } : {}) }
        made = Object.assign(new Error('x', made === undefined ? {} : { cause: made }), { code, ...more })
      }
      expect(isOwnFault(made) && isNetworkError(made)).toBe(false)
    }),
  )
})
