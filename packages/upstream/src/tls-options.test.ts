import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type TestCertificate, testCertificate } from '../../../test/kit/certificate.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { x509SelfSigned } from '../../../test/kit/x509.js'
import {
  type ClientPair,
  connectionKey,
  createUpstream,
  onRetire,
  pinFault,
  type Target,
  type TargetTls,
  tlsOptions,
} from './index.js'

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

describe('an identity', () => {
  const [first, second] = [x509SelfSigned(), x509SelfSigned()]
  const ownerOf = async () => ({ current: (await first) as ClientPair })

  it('is read once for each pair, and connections are kept by what was made of it', async () => {
    const identity = await ownerOf()
    const target = targetOf('https://a.test', { identity })
    const { secureContext } = tlsOptions(target, [])
    expect(tlsOptions(target, ['h2']).secureContext).toBe(secureContext)
    expect(connectionKey(target)).toBe(secureContext)
    identity.current = await second
    const other = tlsOptions(target, [])
    expect(other.secureContext).not.toBe(secureContext)
    expect(tlsOptions(target, []).secureContext).toBe(other.secureContext)
    expect(connectionKey(target)).toBe(other.secureContext)
    expect(other.servername).toBe('a.test')
    expect(connectionKey(targetOf('https://a.test'))).not.toBe(connectionKey(targetOf('https://a.test')))
  })

  it('that has another pair retires what was kept by the old one, a moment later, as the target does in the end', async () => {
    const identity = await ownerOf()
    const upstream = createUpstream({ name: 'tls', targets: [{ url: 'https://a.test', tls: { identity } }] })
    const [target] = upstream.all as [Target]
    const retired: string[] = []
    onRetire(connectionKey(target), () => {
      retired.push('first')
      throw new Error('in a listener')
    })
    identity.current = await second
    onRetire(connectionKey(target), () => retired.push('second'))
    expect(retired).toEqual([])
    await Promise.resolve()
    expect(retired).toEqual(['first'])
    upstream.replace([{ url: 'https://a.test', tls: {} }])
    expect(retired).toEqual(['first', 'second'])
    await upstream.close()
  })

  it('is the same for as long as it says the same, in whatever object', async () => {
    const { chain: cert, key } = await first
    const { chain: otherCert, key: otherKey } = await second
    let pair: ClientPair = { cert, key }
    const identity = {
      get current() {
        return { ...pair, cert: Buffer.from(pair.cert) }
      },
    }
    const target = targetOf('https://a.test', { identity })
    const before = connectionKey(target)
    expect(connectionKey(target)).toBe(before)
    pair = { cert: otherCert, key: otherKey }
    const after = connectionKey(target)
    expect(after).not.toBe(before)
    expect(connectionKey(target)).toBe(after)
  })

  it('is tried once with a pair that is bad', async () => {
    const identity = await ownerOf()
    const target = targetOf('https://a.test', { identity })
    const { secureContext } = tlsOptions(target, [])
    const { key } = await second
    let read = 0
    identity.current = {
      ...identity.current,
      get key() {
        read++
        return key
      },
    }
    for (let i = 0; i < 3; i++) expect(tlsOptions(target, []).secureContext).toBe(secureContext)
    // Its form is looked at each time, whether it is another one once, and OpenSSL once.
    expect(read).toBe(5)
  })
})

it('asks a socket for its pin where Node does not, and refuses one without a certificate', () => {
  const socket = { isSessionReused: () => false, getPeerX509Certificate: () => undefined } as never
  const url = 'https://a.test'
  expect(pinFault(targetOf(url), socket)).toBeUndefined()
  expect(pinFault(targetOf(url, { verify: false }), socket)).toBeUndefined()
  expect(pinFault(targetOf(url, { pin }), socket)).toBeUndefined()
  expect(pinFault(targetOf(url, { pin, verify: false }), socket)).toMatchObject({ code: 'ERR_TLS_CERT_PIN' })
})
