import { ProxyError } from '@sluice/core'
import { expect, it } from 'vitest'
import { type Progress, transportError } from './transport-error.js'

it.each<[string, Progress, string]>([
  ['ECONNREFUSED', 'connecting', 'connection_refused'],
  ['ENOENT', 'connecting', 'connection_refused'],
  ['ECONNRESET', 'connecting', 'connection_refused'],
  ['UND_ERR_CONNECT_TIMEOUT', 'connecting', 'connection_timeout'],
  ['ETIMEDOUT', 'connecting', 'connection_timeout'],
  ['ENOTFOUND', 'connecting', 'dns_error'],
  ['EHOSTUNREACH', 'connecting', 'destination_ip_unroutable'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'connecting', 'tls_certificate_error'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'connecting', 'tls_certificate_error'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'connecting', 'tls_protocol_error'],
  ['ECONNRESET', 'sent', 'connection_terminated'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'sent', 'tls_protocol_error'],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'sent', 'tls_protocol_error'],
  ['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'sent', 'connection_terminated'],
  ['UND_ERR_SOCKET', 'sent', 'connection_terminated'],
  ['HPE_INVALID_CONSTANT', 'sent', 'http_protocol_error'],
  ['UND_ERR_HEADERS_OVERFLOW', 'sent', 'http_response_header_section_size'],
  ['UND_ERR_HEADERS_TIMEOUT', 'sent', 'http_response_timeout'],
  ['ECONNRESET', 'answered', 'http_response_incomplete'],
  ['HPE_INVALID_CHUNK_SIZE', 'answered', 'http_response_incomplete'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'answered', 'http_response_incomplete'],
  ['UND_ERR_INVALID_ARG', 'connecting', 'http_request_error'],
  ['EMFILE', 'connecting', 'proxy_overloaded'],
  ['ENFILE', 'connecting', 'proxy_overloaded'],
  ['ENOBUFS', 'connecting', 'proxy_overloaded'],
  ['ENOMEM', 'connecting', 'proxy_overloaded'],
  // What is known of a request that is on its way is that its connection was lost.
  ['ENOBUFS', 'sent', 'connection_terminated'],
  // Also of an address that this machine has no route to, and of ports that are used up towards one target alone.
  ['EADDRNOTAVAIL', 'connecting', 'destination_ip_unroutable'],
])('%s while %s is %s', (code, progress, expected) => {
  const cause = Object.assign(new Error('text'), { code })
  const error = transportError(cause, progress, 'http://target')
  expect([error.code, error.cause, error.target]).toEqual([expected, cause, 'http://target'])
})

it('tells of a kept connection that was ended or reset, and of nothing else, that it was kept', () => {
  const reused = (cause: unknown): unknown => {
    const { code, reused: kept, target } = transportError(cause, 'sent', 't', true)
    return [code, kept, target]
  }
  const reset = Object.assign(new Error('text'), { code: 'ECONNRESET' })
  expect(reused(reset)).toEqual(['connection_terminated', true, 't'])
  expect(reused(new ProxyError('connection_terminated'))).toEqual(['connection_terminated', true, 't'])
  // Nobody ends a connection so: the host is gone.
  const silent = Object.assign(new Error('text'), { code: 'ETIMEDOUT' })
  expect(reused(silent)).toEqual(['connection_terminated', undefined, 't'])
  const nonsense = Object.assign(new Error('text'), { code: 'HPE_INVALID_CONSTANT' })
  expect(reused(nonsense)).toEqual(['http_protocol_error', undefined, 't'])
  expect(reused(new ProxyError('http_response_timeout'))).toEqual([
    'http_response_timeout',
    undefined,
    undefined,
  ])
  expect(transportError(reset, 'sent', 't').reused).toBe(undefined)
})

it('leaves our own errors as they are, and names every address that was tried', () => {
  const own = new ProxyError('client_left')
  expect(transportError(own, 'sent', 't')).toBe(own)
  const tried = ['::1', '127.0.0.1'].map((address) =>
    Object.assign(new Error(`connect ECONNREFUSED ${address}:1`), { code: 'ECONNREFUSED' }),
  )
  const error = transportError(new AggregateError(tried, ''), 'connecting', 't')
  expect(error.code).toBe('connection_refused')
  expect(error.message).toContain('::1')
  expect(error.message).toContain('127.0.0.1')
})
