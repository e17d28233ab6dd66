import { describe, expect, it } from 'vitest'
import { acme } from './acme.js'
import { type AcmeOptions, resolveAcme } from './acme-options.js'

const good = { domains: ['a.test'], agreeToTerms: true } as const
const faults = (options: object): string => {
  try {
    acme(options as AcmeOptions, 'tls.acme')
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message
  }
  return 'none'
}

describe('options of acme', () => {
  it.each<[object, RegExp]>([
    [{ agreeToTerms: true }, /^tls\.acme\.domains: got none, takes names such as/],
    [{ ...good, agreeToTerms: false }, /^tls\.acme\.agreeToTerms: got false, takes true: that you agree/],
    [{ domains: ['a.test'] }, /^tls\.acme\.agreeToTerms: got nothing, takes true/],
    [{ ...good, domains: 'a.test' }, /^tls\.acme\.domains: /],
    [
      { ...good, domains: ['http://a.test'] },
      /^tls\.acme\.domains\[0\]: got 'http:\/\/a\.test', takes a name such as/,
    ],
    [{ ...good, domains: ['127.0.0.1'] }, /and no address/],
    [{ ...good, domains: [[]] }, /^tls\.acme\.domains\[0\]: got \[\], takes at least one name/],
    [
      { ...good, domains: [['a.test', 'b.test'], 'B.test.'] },
      /^tls\.acme\.domains\[1\]: got 'b\.test', takes each name once: tls\.acme\.domains\[0\] has it/,
    ],
    [
      { ...good, domains: ['*.a.test'] },
      /^tls\.acme\.domains\[0\]: got '\*\.a\.test', takes names without \*, unless there is tls\.acme\.dns/,
    ],
    [{ ...good, email: 'nobody' }, /^tls\.acme\.email: /],
    [{ ...good, directory: 'http://ca.test/dir' }, /^tls\.acme\.directory: .* takes an https: URL/],
    [{ ...good, directory: 'https://u:p@ca.test/dir' }, /^tls\.acme\.directory: /],
    [{ ...good, ca: 'no PEM' }, /^tls\.acme\.ca: .* takes certificates in PEM/],
    [
      { ...good, ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
      /^tls\.acme\.ca: .* takes certificates in PEM/,
    ],
    [{ ...good, storage: '' }, /^tls\.acme\.storage: got '', takes a folder, or a storage/],
    [{ ...good, storage: { get() {} } }, /^tls\.acme\.storage: /],
    [{ ...good, challenges: [] }, /^tls\.acme\.challenges: got none/],
    [
      { ...good, challenges: ['dns-01'] },
      /^tls\.acme\.challenges\[0\]: got 'dns-01', takes 'tls-alpn-01', 'http-01'/,
    ],
    [{ ...good, challenges: ['http-01', 'http-01'] }, /takes each challenge once/],
    [{ ...good, dns: { set() {} } }, /^tls\.acme\.dns\.remove: got nothing, takes a function/],
    [
      { ...good, dns: { set() {}, remove() {}, wait: '2h' } },
      /^tls\.acme\.dns\.wait: got '2h', takes a duration such as '30s', at most 1h/,
    ],
    [{ ...good, dns: { set() {}, remove() {}, timeout: 0 } }, /^tls\.acme\.dns\.timeout: /],
    [{ ...good, keyType: 'dsa' }, /^tls\.acme\.keyType: got 'dsa', takes 'ecdsa', 'rsa', 'both'/],
    [{ ...good, renewBefore: 'soon' }, /^tls\.acme\.renewBefore: /],
    [{ ...good, renewBefore: 0 }, /^tls\.acme\.renewBefore: /],
    [
      { ...good, onDemand: {} },
      /^tls\.acme\.onDemand\.allow: got nothing, takes a function .*: without it anybody could order any/,
    ],
    [
      { ...good, onDemand: { allow: () => true, limit: { orders: 0 } } },
      /^tls\.acme\.onDemand\.limit\.orders: /,
    ],
    [{ ...good, domain: ['a.test'] }, /^tls\.acme\.domain: unknown option, did you mean domains\?/],
    [{ ...good, profile: 'a b' }, /^tls\.acme\.profile: /],
  ])('%j are refused, by their path', (options, message) => expect(faults(options)).toMatch(message))

  it('tells all faults at once', () => {
    const text = faults({ ...good, domains: ['*.a.test', '*.a.test'], challenges: ['http-01', 'http-01'] })
    expect(text.split('\n')).toHaveLength(4)
  })

  it('never shows a key', () => {
    const text = faults({ ...good, eab: { kid: 'kid', hmacKey: 'not base64url: my secret' } })
    expect(text).toMatch(/^tls\.acme\.eab\.hmacKey: got a text, takes the key/)
    expect(text).not.toContain('secret')
  })

  it('of an account that is bound are what its client takes', () => {
    expect(faults({ ...good, eab: { kid: 'kid', hmacKey: `${'a'.repeat(16)}====` } })).toMatch(/eab\.hmacKey/)
  })

  it('are read as certificates have names', () => {
    const dns = { set() {}, remove() {} }
    const { challenges, domains, renewBefore } = resolveAcme(
      { ...good, domains: ['Bücher.test.', ['*.A.test', 'a.test']], dns, renewBefore: '720h' },
      '',
    )
    expect(domains).toEqual([['xn--bcher-kva.test'], ['*.a.test', 'a.test']])
    expect(challenges).toEqual([])
    expect(renewBefore).toBe(2_592_000_000)
  })
})
