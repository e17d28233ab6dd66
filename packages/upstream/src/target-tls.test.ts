import { createPrivateKey } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { testAuthority } from '../../../test/kit/authority.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { createUpstream, type Target, type TargetInit, type TargetTls, type Upstream } from './index.js'
import { sameTls } from './target-tls.js'

const pin = `sha256/${Buffer.alloc(32, 7).toString('base64')}`
const url = 'https://a.test'

function upstreamOf(targets: readonly TargetInit[], tls?: unknown): Upstream {
  const settings = { name: 'api', targets, ...(tls === undefined ? {} : { tls: tls as TargetTls }) }
  return createUpstream(settings, 'upstreams.api')
}

function faults(make: () => unknown): string[] {
  try {
    make()
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message.split('\n')
  }
  return []
}

class Thrower {
  get current(): never {
    throw new Error('not yet')
  }
}

describe('TLS settings', () => {
  it.each<[unknown, string]>([
    ['yes', ': got a text, takes { servername,'],
    [null, ': got null, takes {'],
    [[], ': got an empty list, takes {'],
    [{ rejectUnauthorized: false }, '.rejectUnauthorized: unknown option'],
    [{ servername: '10.0.0.1' }, '.servername: got "10.0.0.1", takes a host name'],
    [{ servername: '::1' }, '.servername: got "::1"'],
    [{ servername: 'a.test.' }, '.servername: got "a.test."'],
    [{ servername: 'a.test:443' }, '.servername: got'],
    [{ servername: 7 }, '.servername: got 7'],
    [{ ca: [] }, '.ca: got an empty list'],
    [{ ca: ['', 7] }, '.ca[0]: got an empty text'],
    [{ ca: 'secret, but no PEM' }, ": got a certificate or key that can't be used (ca holds no certificate)"],
    [{ cert: 7, key: 'k' }, '.cert: got 7'],
    [{ cert: ['c', 7], key: 'k' }, '.cert: got a list'],
    [{ cert: 'c', key: [] }, '.key: got an empty list'],
    [{ ciphers: 7 }, '.ciphers: got 7, takes a text'],
    [{ secureProtocol: '' }, '.secureProtocol: got an empty text'],
    [{ ciphers: 'none' }, '.ciphers: got "none", takes what OpenSSL knows ('],
    [{ secureProtocol: 'TLSv9_method' }, '.secureProtocol: got "TLSv9_method", takes what OpenSSL knows ('],
    [{ cert: 'c' }, '.key: got nothing, takes the private key of cert'],
    [{ key: 'k' }, '.cert: got nothing, takes the certificate of key'],
    [{ cert: 'secret', key: 'secret' }, ": got a certificate or key that can't be used"],
    [{ passphrase: 'secret' }, '.passphrase: got a text, takes nothing without a key'],
    [{ passphrase: 7, cert: 'c', key: 'k' }, '.passphrase: got 7, takes a text'],
    [
      { identity: 'one' },
      '.identity: got a text, takes { current: { cert, key } }, such as keyPairFiles() gives',
    ],
    [
      { identity: { cert: 'c', key: 'k' } },
      '.identity.current: got nothing, takes { current: { cert, key } }',
    ],
    [
      { identity: { current: { cert: 'c' } } },
      '.identity.current.key: got nothing, takes a text or a Buffer in PEM',
    ],
    [{ identity: { current: { cert: 7, key: 'secret' } } }, '.identity.current.cert: got 7'],
    [
      { identity: { current: { cert: 'c', key: 'k', passphrase: 7 } } },
      '.identity.current.passphrase: got 7',
    ],
    [
      { identity: { current: { cert: 'secret', key: 'secret' } } },
      ".identity: got a certificate or key that can't",
    ],
    [{ identity: new Thrower() }, '.identity.current: got an error (not yet), takes {'],
    [
      { identity: { current: { cert: 'c', key: 'k' } }, cert: 'c', key: 'k' },
      '.identity: got one beside cert and key, takes one alone: it brings them all',
    ],
    [{ verify: 'no' }, '.verify: got a text, takes true or false'],
    [{ pin }, '.pin: got a text, takes a list'],
    [{ pin: [] }, '.pin: got an empty list'],
    [{ pin: [pin, 'sha1/AAAA'] }, '.pin[1]: got "sha1/AAAA", takes \'sha256/\''],
    [{ pin: [pin.slice(0, -1)] }, '.pin[0]: got'],
    [{ pin: [pin.replace(/c=$/, 'd=')] }, '.pin[0]: got'],
    [{ pin: [7] }, '.pin[0]: got 7'],
  ])('refuses %j', (tls, says) => {
    const own = faults(() => upstreamOf([{ url, tls: tls as TargetTls }]))
    expect(own[0]).toContain(`upstreams.api.targets[0].tls${says}`)
    const shared = faults(() => upstreamOf([url], tls))
    expect(shared[0]).toContain(`upstreams.api.tls${says}`)
    expect([...own, ...shared].join()).not.toContain('secret')
  })

  it('tells every fault at once', () => {
    const tls = { servername: '1.1.1.1', verify: 1, pin: ['x', 'y'], nonsense: 1 } as unknown as TargetTls
    expect(faults(() => upstreamOf([{ url, tls }, 'b:1']))).toHaveLength(6)
  })

  it('belong to https alone', () => {
    for (const plain of ['http://a.test', 'unix:/run/a.sock']) {
      expect(faults(() => upstreamOf([{ url: plain, tls: {} }]))).toEqual([
        "upstreams.api.targets[0].tls: got settings for a target without TLS, takes them with an 'https:' URL",
      ])
      expect(faults(() => upstreamOf([plain], {}))).toEqual([
        "upstreams.api.targets: got no 'https:' URL, takes one at least: the upstream has tls settings",
      ])
    }
    expect(upstreamOf([url, 'http://b.test'], {}).all.map(({ tls }) => tls)).toEqual([{}, undefined])
  })

  it("a target's own replace the upstream's as a whole", () => {
    const { all } = upstreamOf([url, { url: 'https://b.test', tls: { servername: 'c.test' } }], {
      pin: [pin],
    })
    expect(all.map(({ tls }) => tls)).toEqual([{ pin: [pin] }, { servername: 'c.test' }])
  })

  it('are a copy that nobody can change, and no listing of a target shows it', () => {
    const tls = { servername: 'secret.test', pin: [pin] }
    const [target] = upstreamOf([{ url, tls }]).all as [Target]
    tls.pin.length = 0
    tls.servername = 'b.test'
    expect(target.tls).toEqual({ servername: 'secret.test', pin: [pin] })
    expect(Object.isFrozen(target.tls)).toBe(true)
    expect(inspect(target) + JSON.stringify(target)).not.toContain('secret')
  })
})

describe('replace', () => {
  const init = (tls: TargetTls): TargetInit[] => [{ url, tls }]

  it('keeps a target whose settings say the same', () => {
    const upstream = upstreamOf(init({ servername: 'b.test', pin: [pin] }))
    const [before] = upstream.all
    upstream.replace(init({ pin: [pin], verify: true, servername: 'b.test' }))
    expect(upstream.all[0]).toBe(before)
  })

  it('makes a new target of other settings, so that no old connection serves it', () => {
    const upstream = upstreamOf(init({ verify: false }))
    const [before] = upstream.all as [Target]
    upstream.mark(before, 'healthy', 'probe')
    const lease = upstream.lease(before)
    const gone: unknown[] = []
    upstream.on('state', ({ target, to }) => gone.push([target, to]))
    upstream.replace(init({ verify: true }))
    const [after] = upstream.all as [Target]
    expect(after).not.toBe(before)
    expect([after.id, after.state, after.inFlight]).toEqual([before.id, 'unknown', 0])
    expect(gone).toEqual([[before, 'removed']])
    lease.release()
    expect(before.inFlight).toBe(0)
  })

  it('compares every setting, bytes by what they are', () => {
    const full: TargetTls = {
      servername: 'a',
      ca: ['x', Buffer.from('y')],
      cert: 'c',
      key: Buffer.from('k'),
      passphrase: 'p',
      identity: { current: { cert: 'c', key: 'k' } },
      ciphers: 'c',
      secureProtocol: 's',
      verify: false,
      pin: [pin],
    }
    expect(sameTls(full, { ...full, ca: [Buffer.from('x'), 'y'], key: 'k' })).toBe(true)
    expect(sameTls({ ca: 'x' }, { ca: ['x'] })).toBe(true)
    expect(sameTls({}, { verify: true })).toBe(true)
    expect(sameTls({}, undefined)).toBe(false)
    for (const name of Object.keys(full)) {
      const { [name as keyof TargetTls]: _, ...less } = full
      expect(sameTls(full, less), name).toBe(false)
    }
    expect(sameTls(full, { ...full, ca: ['x'] })).toBe(false)
    // What says the same today may say something else tomorrow.
    expect(sameTls(full, { ...full, identity: { current: { cert: 'c', key: 'k' } } })).toBe(false)
    expect(sameTls(full, { ...full, pin: [pin, pin] })).toBe(false)
  })
})

const authority = testAuthority()

describe.skipIf(skipUnless(authority, 'certificates: there is no openssl'))('certificates', () => {
  const issued = authority?.issue('DNS:a.test')
  const { cert, key } = issued ?? { cert: Buffer.alloc(0), key: Buffer.alloc(0) }
  const passphrase = 'a secret'
  const locked = (): string =>
    createPrivateKey(key).export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase,
    }) as string

  it('are taken as texts and Buffers, with a key that is locked or not', () => {
    expect(faults(() => upstreamOf([url], { ca: authority?.cert, cert, key }))).toEqual([])
    expect(faults(() => upstreamOf([url], { cert: `${cert}`, key: locked(), passphrase }))).toEqual([])
  })

  it.each([
    ['a passphrase that is wrong', () => ({ cert, key: locked(), passphrase: 'another secret' })],
    ['a passphrase that is missing', () => ({ cert, key: locked() })],
    ['a key of another certificate', () => ({ cert, key: authority?.issue('DNS:b.test').key })],
  ])('refuses %s', (_name, tls) => {
    const [text] = faults(() => upstreamOf([url], tls()))
    expect(text).toContain("upstreams.api.tls: got a certificate or key that can't be used (")
    expect(text).not.toContain('secret')
  })
})
