import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { inspect } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  lockedKey,
  type X509Issuer,
  type X509Pair,
  x509Root,
  x509SelfSigned,
} from '../../../test/kit/x509.js'
import { type Identity, type KeyPair, readIdentity } from './index.js'

const now = Date.now()
const day = 86_400_000

let root: X509Issuer
let middle: X509Issuer
let leaf: X509Pair
let other: X509Pair
let rsa: X509Pair

beforeAll(async () => {
  root = await x509Root()
  middle = await root.intermediate()
  leaf = await middle.issue({ names: ['a.test', '*.b.test', '127.0.0.1', '::1'] })
  other = await middle.issue({ names: ['other.test'] })
  rsa = await middle.issue({ names: ['a.test'], keyType: 'rsa' })
})

const read = (pair: unknown, at = now): Identity => readIdentity(pair as KeyPair, 'certificates[0]', at)
const pairOf = (pair: X509Pair): KeyPair => ({ cert: pair.chain, key: pair.key })

/** The only line of what a wrong pair gives, held against its key's lines. */
function faultOf(pair: unknown, at = now): string {
  try {
    read(pair, at)
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    const { message, stack } = error as Error
    expect(message).not.toContain('\n')
    const secrets = [leaf, other, rsa].flatMap(({ key }) =>
      key.split('\n').filter((line) => !line.startsWith('-----')),
    )
    for (const secret of [...secrets, 'pass word'].filter((each) => each.length > 8))
      expect(stack).not.toContain(secret)
    return message
  }
  return 'no fault'
}

describe('readIdentity()', () => {
  it('takes no longer for what is no PEM at all', () => {
    const program = `${'/'.repeat(200_000)}\n.`
    expect(faultOf({ ...pairOf(leaf), cert: program })).toContain('certificates[0].cert: got no certificate,')
    expect(faultOf({ ...pairOf(leaf), key: ` ./key.pem\n` })).toContain('but what looks like a path')
  })

  it('tells what the certificate is', () => {
    const { info } = read(pairOf(leaf))
    expect(info).toEqual({
      names: ['a.test', '*.b.test', '127.0.0.1', '0:0:0:0:0:0:0:1'],
      notBefore: expect.any(Number),
      notAfter: expect.any(Number),
      keyType: 'ecdsa',
      fingerprint: expect.stringMatching(/^(?:[\dA-F]{2}:){31}[\dA-F]{2}$/),
      where: 'certificates[0]',
    })
    expect(info.notBefore).toBeLessThan(now)
    expect(info.notAfter).toBeGreaterThan(now)
    expect(read(pairOf(rsa)).info.keyType).toBe('rsa')
  })

  it('gives what node:tls takes, and shows no key in a listing', () => {
    const identity = read(pairOf(leaf))
    const { cert, key } = identity.material
    expect(cert).toBe(leaf.chain)
    expect(key).toEqual({ pem: leaf.key })
    createSecureContext({ cert, key: [{ ...key }] })
    expect(inspect(identity, { depth: 9, showHidden: true }) + JSON.stringify(identity)).not.toContain(
      'PRIVATE',
    )
  })

  it.each<[string, () => KeyPair]>([
    ['Buffers', () => ({ cert: Buffer.from(leaf.chain), key: Buffer.from(leaf.key) })],
    [
      'lines ended by CRLF',
      () => ({ cert: leaf.chain.replaceAll('\n', '\r\n'), key: leaf.key.replaceAll('\n', '\r\n') }),
    ],
    [
      'other text around',
      () => ({ cert: `Bag Attributes\n  x: -----\n${leaf.chain}bye`, key: `\ufeff# mine\n${leaf.key}\0` }),
    ],
    ['indented lines', () => ({ cert: leaf.chain.replace(/^/gm, '  '), key: leaf.key.replace(/^/gm, '\t') })],
    ['all in one file', () => ({ cert: leaf.key + leaf.chain, key: leaf.key + leaf.chain })],
    ['several keys', () => ({ cert: leaf.chain, key: other.key + leaf.key + rsa.key })],
    [
      'parameters before the key',
      () => ({
        cert: leaf.chain,
        key: `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${leaf.key}`,
      }),
    ],
    ['the certificate alone', () => ({ cert: leaf.cert, key: leaf.key })],
    ['the root behind', () => ({ cert: leaf.chain + root.cert, key: leaf.key })],
    [
      'a locked key',
      () => ({ cert: leaf.chain, key: lockedKey(leaf.key, 'pass word'), passphrase: 'pass word' }),
    ],
    [
      'a key locked in the old way',
      () => {
        const form = { type: 'sec1', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'pass word' } as const
        return {
          cert: leaf.chain,
          key: createPrivateKey(leaf.key).export(form) as string,
          passphrase: 'pass word',
        }
      },
    ],
    ['a passphrase that is not needed', () => ({ ...pairOf(leaf), passphrase: 'x' })],
  ])('takes %s', (_, pair) => {
    const { cert, key } = read(pair()).material
    createSecureContext({ cert, key: [{ ...key }] })
    expect(cert.startsWith(leaf.cert)).toBe(true)
  })

  it('takes a chain that forks, where a certificate was issued twice', async () => {
    const oldRoot = await x509Root({ commonName: 'Old Root' })
    const crossed = await oldRoot.intermediate({ commonName: 'Test Root', keys: root.keys })
    const again = await oldRoot.intermediate({ keys: middle.keys })
    expect(faultOf({ cert: leaf.chain + crossed.cert + again.cert, key: leaf.key })).toBe('no fault')
  })

  it('tells which of its chain ends before it', async () => {
    const oldRoot = await x509Root({ commonName: 'Old Root' })
    const [sooner, later] = [now + day, now + 1.5 * day]
    const crossed = await oldRoot.intermediate({ commonName: 'Test Root', keys: root.keys, notAfter: sooner })
    const again = await oldRoot.intermediate({ keys: middle.keys, notAfter: later })
    const { info } = read({ cert: leaf.chain + again.cert + crossed.cert, key: leaf.key })
    expect(info.notAfter).toBeGreaterThan(later)
    expect(info.chainEnd).toEqual({
      what: 'certificate 4 of 4 (CN=Test Root)',
      notBefore: expect.any(Number),
      notAfter: Math.floor(sooner / 1_000) * 1_000,
      fingerprint: expect.stringMatching(/^[\dA-F:]{95}$/),
    })
  })

  it('reads what authorities have in common once, and holds it once', () => {
    const known = new Map()
    const [first, second] = [leaf, other].map((each) => readIdentity(pairOf(each), 'x', now, known))
    expect([...known.keys()]).toEqual([middle.cert])
    expect(second?.material.cert).toBe(other.chain)
    expect(first?.material.cert).toBe(leaf.chain)
  })

  it('takes the common name where there are no others', async () => {
    const named = async (options: object) => read(pairOf(await x509SelfSigned(options))).info.names
    expect(await named({ commonName: 'Localhost' })).toEqual(['localhost'])
    expect(await named({ commonName: 'My Server' })).toEqual([])
    expect(
      await named({ commonName: 'a.test', names: ['b.test', 'B.TEST', 'f*.test', '*', 'b\u00fccher.test'] }),
    ).toEqual(expect.arrayContaining(['b.test']))
  })

  it.each<[string, () => unknown, string | RegExp]>([
    [
      'nothing',
      () => ({ key: leaf.key }),
      'certificates[0].cert: got nothing, takes a certificate (PEM), with its chain behind it',
    ],
    ['a number', () => ({ cert: 7, key: leaf.key }), /\.cert: got a number, takes a cert/],
    ['an empty text', () => ({ cert: ' \n', key: leaf.key }), /\.cert: got an empty text, takes a cert/],
    ['other text', () => ({ cert: 'secret', key: leaf.key }), /\.cert: got no certificate, takes a cert/],
    [
      'DER',
      () => ({ cert: leaf.der, key: leaf.key }),
      /\.cert: got no certificate in PEM, but what looks like DER, takes/,
    ],
    [
      'half a file',
      () => ({ cert: leaf.cert.slice(0, -30), key: leaf.key }),
      /\.cert: got a PEM block without an end, takes/,
    ],
    ['a key in its place', () => ({ cert: leaf.key, key: leaf.key }), /\.cert: got no certificate, takes/],
    [
      'a block of garbage',
      () => ({ cert: leaf.cert.replace(/^MI.{20}/m, 'MIIB'), key: leaf.key }),
      "certificates[0].cert: got certificate 1, which can't be read, takes certificates (PEM) that are whole",
    ],
    [
      'garbage in the chain',
      () => ({ cert: leaf.cert + middle.cert.replace(/^MI.{20}/m, 'MIIB'), key: leaf.key }),
      /got certificate 2, which can't/,
    ],
    [
      'no key',
      () => ({ cert: leaf.cert }),
      'certificates[0].key: got nothing, takes the private key of the certificate (PEM)',
    ],
    [
      'an empty key',
      () => ({ cert: leaf.cert, key: Buffer.alloc(0) }),
      /\.key: got an empty text, takes the private key/,
    ],
    [
      'a certificate for a key',
      () => ({ cert: leaf.cert, key: leaf.cert }),
      /\.key: got no private key, takes the private key/,
    ],
    [
      'half a key',
      () => ({ cert: leaf.cert, key: leaf.key.slice(0, 90) }),
      /\.key: got a PEM block without an end/,
    ],
    [
      'a broken key',
      () => ({ cert: leaf.cert, key: leaf.key.replace(/^M.{20}/m, 'MIIB') }),
      "certificates[0].key: got a private key that can't be read (PRIVATE KEY), takes PKCS #8, PKCS #1 or SEC 1 (PEM)",
    ],
    [
      "another's key",
      () => ({ cert: leaf.chain, key: other.key }),
      "certificates[0].key: got a private key that doesn't fit certificate 1 of 2 (CN=a.test) of certificates[0].cert, takes the one that it was made for",
    ],
    [
      'keys of others',
      () => ({ cert: leaf.cert, key: other.key + rsa.key }),
      /got 2 private keys that don't fit a certificate \(CN=a\.test\)/,
    ],
    [
      'a locked key without a passphrase',
      () => ({ cert: leaf.cert, key: lockedKey(leaf.key, 'pass word') }),
      'certificates[0].key: got a private key that is encrypted, takes a passphrase with it',
    ],
    [
      'the wrong passphrase',
      () => ({ cert: leaf.cert, key: lockedKey(leaf.key, 'pass word'), passphrase: 'pass word?' }),
      "certificates[0].key: got a passphrase that doesn't open the private key, takes the one that it was encrypted by",
    ],
    [
      'a passphrase of another kind',
      () => ({ ...pairOf(leaf), passphrase: 7 }),
      /got a passphrase that is no text/,
    ],
    [
      'a chain that begins with the issuer',
      () => ({ cert: middle.cert + leaf.cert, key: leaf.key }),
      'certificates[0].cert: got the certificate of the private key as certificate 2 of 2 (CN=a.test), takes it first, its issuer next',
    ],
    [
      'a chain out of order',
      () => ({ cert: leaf.cert + root.cert + middle.cert, key: leaf.key }),
      'certificates[0].cert: got certificate 2 of 3 (CN=Test Root) before the certificate that it issued, takes each certificate behind the one that it issued',
    ],
    [
      'a stranger in the chain',
      () => ({ cert: leaf.chain + other.cert, key: leaf.key }),
      /got certificate 3 of 3 \(CN=other\.test\), which issued none of those before it, takes/,
    ],
    [
      'itself twice',
      () => ({ cert: leaf.cert + leaf.chain, key: leaf.key }),
      /got certificate 2 of 3 \(CN=a\.test\), which issued none/,
    ],
  ])('refuses %s', (_, pair, says) => {
    expect(faultOf(pair())).toEqual(typeof says === 'string' ? says : expect.stringMatching(says))
  })

  it('refuses an issuer that has the right name and another key', async () => {
    const namesake = await root.intermediate()
    expect(faultOf({ cert: leaf.cert + namesake.cert, key: leaf.key })).toMatch(
      /certificate 2 of 2 \(CN=Test Intermediate\)/,
    )
  })

  it('refuses what is not valid now, at any place of the chain', async () => {
    const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}.000Z`
    const expired = await middle.issue({ names: ['a.test'], notAfter: now - day })
    expect(faultOf(pairOf(expired))).toBe(
      `certificates[0].cert: got certificate 1 of 2 (CN=a.test), which expired at ${iso(now - day)}, takes one that is valid now`,
    )
    const early = await x509SelfSigned({ names: ['a.test'], notBefore: now + day })
    expect(faultOf(pairOf(early))).toBe(
      `certificates[0].cert: got a certificate (CN=a.test), which is not valid before ${iso(now + day)} (it is ${new Date(now).toISOString()} here), takes one that is valid now`,
    )
    const old = await root.intermediate({ notAfter: now - day })
    expect(faultOf(pairOf(await old.issue({ names: ['a.test'] })))).toMatch(
      /certificate 2 of 2 \(CN=Test Intermediate\), which expired/,
    )
    expect(faultOf(pairOf(expired), now - 2 * day)).toMatch(
      /certificate 1 of 2 \(CN=a\.test\), which is not valid before/,
    )
  })

  it('refuses an RSA key under 2048 bits, and signatures that clients refuse', async () => {
    const short = await middle.issue({ names: ['a.test'], keyType: 'rsa-1024' })
    expect(faultOf(pairOf(short))).toBe(
      'certificates[0].cert: got an RSA key of 1024 bits, takes 2048 bits or more',
    )
    const sha1 = await middle.issue({ names: ['a.test'], signature: 'SHA-1' })
    expect(faultOf(pairOf(sha1))).toBe(
      'certificates[0].cert: got certificate 1 of 2 (CN=a.test), which is signed with SHA-1 or MD5, takes SHA-256 or better',
    )
  })

  it("names the files that a pair's parts come from, and puts no foreign text into a line of its own", async () => {
    const { key } = generateKeyPairOf()
    const evil = await x509SelfSigned({ commonName: 'x\n2026 all is well' })
    const place = { cert: '/tls/cert.pem', key: '/tls/key.pem' }
    expect(() => readIdentity({ cert: evil.cert, key }, place, now)).toThrow(
      /^\/tls\/key\.pem: got a private key that doesn't fit a certificate \(CN=x[^\n]*2026 all is well\) of \/tls\/cert\.pem, takes/,
    )
    expect(readIdentity(pairOf(leaf), place, now).info.where).toBe('/tls/cert.pem')
  })
})

function generateKeyPairOf(): { key: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
}
