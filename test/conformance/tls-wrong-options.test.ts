import { createProxy, type ProxyOptions } from 'sluice'
import { beforeAll, describe, expect, it } from 'vitest'
import { leakCheck } from '../kit/leak-check.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { type X509Pair, x509SelfSigned } from '../kit/x509.js'

trapUnhandled()

const upstreams = { x: 'http://127.0.0.1:9' }
let pair: X509Pair
let other: X509Pair

beforeAll(async () => {
  pair = await x509SelfSigned({ names: ['a.test'] })
  other = await x509SelfSigned({ names: ['b.test'] })
})

const good = () => ({ cert: pair.cert, key: pair.key })

/** What is told, in its order. */
function toldOf(options: object): string[] {
  try {
    createProxy({ upstreams, ...options } as ProxyOptions)
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as TypeError).message.split('\n')
  }
  throw new Error('nothing was told')
}

describe('a wrong option of TLS', () => {
  it.each<[string, () => object]>([
    ['tls: got no certificate, takes cert and key, certificates, or acme', () => ({ tls: {} })],
    ['tls: got a text, takes { cert, key }', () => ({ tls: 'yes', via: 'a b' })],
    ['tls: got null, takes { cert, key }', () => ({ tls: null })],
    ['tls: got an object, takes { cert, key }', () => ({ tls: [] })],
    [
      'tls.certificates: got a text, takes { certFile, keyFile }, { cert, key }, a provider, or a list of them',
      () => ({ tls: { certificates: '/etc/tls/tls.crt' } }),
    ],
    ["tls.hsts: got '1y', takes true, false, or { maxAge, ", () => ({ tls: { ...good(), hsts: '1y' } })],
    ['tls.tickets: got a boolean, takes false, or { secret }', () => ({ tls: { ...good(), tickets: true } })],
    [
      'tls.tickets: got a text, takes false, or { secret }',
      () => ({ tls: { ...good(), tickets: 'a secret of 32 bytes, or of more' } }),
    ],
    [
      'tls.acme: got a number, takes { domains, agreeToTerms } and more',
      () => ({ tls: { ...good(), acme: 7 } }),
    ],
    ['tls.key: got nothing', () => ({ tls: { cert: pair.cert } })],
    ['tls.cert: got nothing', () => ({ tls: { key: pair.key } })],
    ['tls.cert: got a number, takes PEM', () => ({ tls: { cert: 1, key: 2 } })],
    ['tls.certificates: got an empty list', () => ({ tls: { certificates: [] } })],
    ['tls.certificates: got them beside cert and key', () => ({ tls: { ...good(), certificates: good() } })],
    ['tls.certificates[1]', () => ({ tls: { certificates: [good(), { cert: pair.cert, key: other.key }] } })],
    [
      'tls.certificateOptions.fallback',
      () => ({ tls: { ...good(), certificateOptions: { fallback: 'last' } } }),
    ],
    ["tls.preset: got 'old'", () => ({ tls: { ...good(), preset: 'old' } })],
    ["tls.http2: got 'yes'", () => ({ tls: { ...good(), http2: 'yes' } })],
    ["tls.client: got 'maybe'", () => ({ tls: { ...good(), client: 'maybe' } })],
    ['tls.ca: got nothing', () => ({ tls: { ...good(), client: 'required' } })],
    ['tls.tickets.secret', () => ({ tls: { ...good(), tickets: { secret: 'short' } } })],
    ['tls.tickets', () => ({ tls: { ...good(), tickets: true } })],
    ['tls.ocsp.wait', () => ({ tls: { ...good(), ocsp: { wait: 'long' } } })],
    ['tls.hsts.preload', () => ({ tls: { ...good(), hsts: { preload: true } } })],
    ['tls.redirect: got 65536', () => ({ tls: { ...good(), redirect: 65_536 } })],
    ['tls.redirect.to: got 0', () => ({ tls: { ...good(), redirect: { port: 80, to: 0 } } })],
    ['tls.redirect.port: got nothing', () => ({ tls: { ...good(), redirect: {} } })],
    ['tls.acme.domains', () => ({ tls: { acme: { agreeToTerms: true } } })],
    ['tls.acme.agreeToTerms', () => ({ tls: { acme: { domains: ['a.test'] } } })],
    ['tls.proxyProtocol.trust[0]', () => ({ tls: { ...good(), proxyProtocol: { trust: ['everybody'] } } })],
    ['tls.proxyProtocol.trust', () => ({ tls: { ...good(), proxyProtocol: {} } })],
    ['tls.stapling: unknown option', () => ({ tls: { ...good(), stapling: true } })],
    ['proxyProtocol.trust[0]', () => ({ proxyProtocol: { trust: ['everybody'] } })],
    ['proxyProtocol.trust: got nothing', () => ({ proxyProtocol: {} })],
    [
      'tls.proxyProtocol: got it beside proxyProtocol',
      () => ({ proxyProtocol: { trust: [] }, tls: { ...good(), proxyProtocol: { trust: [] } } }),
    ],
    ['clientCertificate.pass.xfcc', () => ({ clientCertificate: { pass: { xfcc: 'Cert' } } })],
    ['routes[0].clientCertificate', () => ({ routes: [{ upstream: 'x', clientCertificate: 'optional' }] })],
  ])('is told by its path: %s', (told, options) => {
    const lines = toldOf(options())
    expect(lines.some((line) => line.startsWith(told))).toBe(true)
    expect(lines.join('\n')).not.toMatch(/BEGIN|short/)
  })

  it('hides no other one: what is of the wrong kind, what does not go together, and what a piece finds wrong', () => {
    const lines = toldOf({
      tls: {
        cert: pair.cert,
        key: other.key,
        certificates: [],
        http2: 'yes',
        tickets: 'always',
        preset: 'old',
        hsts: { preload: true },
        proxyProtocol: { trust: ['everybody'] },
      },
      clientCertificate: { required: 'yes' },
    })
    expect(lines.map((line) => line.slice(0, line.indexOf(':'))).sort()).toEqual([
      'clientCertificate.required',
      'tls.certificates',
      'tls.hsts.preload',
      'tls.http2',
      'tls.preset',
      'tls.proxyProtocol.trust[0]',
      'tls.tickets',
    ])
    expect(toldOf({ tls: { acme: {}, preset: 'old' } })).toEqual([
      expect.stringMatching(/^tls\.acme\.agreeToTerms: /),
      expect.stringMatching(/^tls\.preset: /),
    ])
  })

  it('is told with all others at once, and leaves nothing behind', async () => {
    const leaks = leakCheck()
    const lines = toldOf({
      via: 'a b',
      tls: {
        cert: pair.cert,
        key: other.key,
        preset: 'old',
        hsts: { preload: true },
        ocsp: { wait: 'long' },
      },
    })
    for (const path of ['via', 'tls.preset', 'tls.hsts.preload', 'tls.ocsp.wait', 'tls'])
      expect(lines.some((line) => line.startsWith(`${path}: `) || line.startsWith(`${path}.`))).toBe(true)
    expect(lines.length).toBeGreaterThan(4)
    await leaks.settled()
  })
})
