import { X509Certificate } from 'node:crypto'
import { expect, it } from 'vitest'
import { skipUnless, type TestCertificate, testCertificate } from '../../../test/kit/index.js'
import { createUpstream, pinFault, type Target, type TargetTls, tlsOptions } from './index.js'

const pin = [`sha256/${Buffer.alloc(32).toString('base64')}`]

function targetOf(url: string, tls?: TargetTls): Target {
  const init = tls === undefined ? url : { url, tls }
  return createUpstream({ name: 'tls', targets: [init] }).all[0] as Target
}

it.each([
  ['https://a.test', undefined, 'a.test'],
  ['https://A.test:8443/base', undefined, 'a.test'],
  ['https://a.test.', undefined, 'a.test'],
  ['https://bücher.test', undefined, 'xn--bcher-kva.test'],
  ['https://127.0.0.1', undefined, ''],
  ['https://0x7f.1', undefined, ''],
  ['https://[::1]:8443', undefined, ''],
  ['https://127.0.0.1', 'b.test', 'b.test'],
  ['https://a.test', '', ''],
])('%s with the server name %j asks for %j', (url, servername, expected) => {
  const target = targetOf(url, servername === undefined ? undefined : { servername })
  expect(tlsOptions(target, []).servername).toBe(expected)
})

it('looks in the certificate for the name that it has asked for, else for where the URL leads, whatever it is told', () => {
  const identity = (target: Target, subjectaltname: string): string | undefined =>
    tlsOptions(target, []).checkServerIdentity?.('c.test', { subject: {}, subjectaltname } as never)?.message
  expect(identity(targetOf('https://a.test'), 'DNS:a.test')).toBeUndefined()
  expect(identity(targetOf('https://a.test'), 'DNS:c.test')).toContain('a.test')
  expect(identity(targetOf('https://a.test', { servername: '' }), 'DNS:a.test')).toBeUndefined()
  expect(identity(targetOf('https://a.test', { servername: 'b.test' }), 'DNS:b.test')).toBeUndefined()
  expect(identity(targetOf('https://a.test', { servername: 'b.test' }), 'DNS:a.test')).toContain('b.test')
  expect(identity(targetOf('https://10.0.0.1'), 'IP Address:10.0.0.2')).toContain('10.0.0.1')
})

const made = testCertificate()

it.skipIf(skipUnless(made, 'openssl is missing'))(
  'finds an IPv6 address in a certificate, however it is written',
  () => {
    const { raw, subjectAltName } = new X509Certificate((made as TestCertificate).cert)
    const certificate = { subject: {}, raw, subjectaltname: subjectAltName } as never
    const identity = (url: string): string | undefined =>
      tlsOptions(targetOf(url), []).checkServerIdentity?.('c.test', certificate)?.message
    expect(identity('https://[::1]')).toBeUndefined()
    expect(identity('https://[0:0:0:0:0:0:0:1]')).toBeUndefined()
    expect(identity('https://[::2]')).toContain('::2')
  },
)

it('makes the secure context once for each target, and verifies unless told not to', () => {
  const target = targetOf('https://a.test')
  const [one, two] = [tlsOptions(target, ['h2', 'http/1.1']), tlsOptions(target, ['http/1.1'])]
  expect(one.secureContext).toBe(two.secureContext)
  expect([one.ALPNProtocols, two.ALPNProtocols]).toEqual([['h2', 'http/1.1'], ['http/1.1']])
  expect(one.rejectUnauthorized).toBe(true)
  const other = tlsOptions(targetOf('https://a.test', { verify: false }), [])
  expect(other.secureContext).not.toBe(one.secureContext)
  expect(other.rejectUnauthorized).toBe(false)
})

it('asks a socket for its pin where Node does not, and refuses one without a certificate', () => {
  const socket = { isSessionReused: () => false, getPeerX509Certificate: () => undefined } as never
  const url = 'https://a.test'
  expect(pinFault(targetOf(url), socket)).toBeUndefined()
  expect(pinFault(targetOf(url, { verify: false }), socket)).toBeUndefined()
  expect(pinFault(targetOf(url, { pin }), socket)).toBeUndefined()
  expect(pinFault(targetOf(url, { pin, verify: false }), socket)).toMatchObject({ code: 'ERR_TLS_CERT_PIN' })
})
