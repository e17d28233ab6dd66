import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { der, type OcspAnswerOptions, ocspAnswerOf } from '../../../test/kit/ocsp-responder.js'
import { ocspSigning, type X509Issuer, type X509Pair, x509Root } from '../../../test/kit/x509.js'
import { type OcspExchange, ocspExchange } from './ocsp-exchange.js'

const now = Date.now()
const minute = 60_000
const ocsp = 'http://ocsp.test/'

let root: X509Issuer
let stranger: X509Issuer
let leaf: X509Pair
let neighbour: X509Pair
let exchange: OcspExchange
const exchangeOf = (pair: X509Pair, issuer: X509Pair): OcspExchange => {
  const found = ocspExchange(pair.der, issuer.der)
  if (typeof found === 'string') throw new Error(found)
  return found
}
const delegated = (options: object = {}): Promise<X509Pair> =>
  root.issue({ commonName: 'responder', extendedUsages: [ocspSigning], ...options })

beforeAll(async () => {
  root = await x509Root()
  stranger = await x509Root()
  leaf = await root.issue({ names: ['a.test'], ocsp })
  neighbour = await root.issue({ names: ['b.test'], ocsp })
  exchange = exchangeOf(leaf, root)
})

describe('ocspExchange', () => {
  it('asks whom the certificate names, over http and https alone', async () => {
    expect(exchange.url.href).toBe(ocsp)
    expect(exchangeOf(await root.issue({ ocsp: 'https://o.test/x' }), root).url.href).toBe('https://o.test/x')
    for (const odd of ['ldap://o.test/', 'http//o', 'http://', 'file:///etc'])
      expect(ocspExchange((await root.issue({ ocsp: odd })).der, root.der)).toContain('names no responder')
    expect(ocspExchange((await root.issue({ caIssuers: ocsp })).der, root.der)).toContain(
      'names no responder',
    )
    expect(ocspExchange((await root.issue()).der, root.der)).toContain('names no responder')
  })

  it('asks nothing where the next certificate is not the issuer, or something is none', async () => {
    expect(ocspExchange(leaf.der, neighbour.der)).toContain('is not its issuer')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        expect(ocspExchange(bytes, root.der)).toBeTypeOf('string')
        expect(ocspExchange(leaf.der, bytes)).toBeTypeOf('string')
      }),
    )
  })
})

describe('an answer', () => {
  const read = (options: OcspAnswerOptions = {}): ReturnType<OcspExchange['read']> =>
    exchange.read(ocspAnswerOf(exchange.question, root, options), now)

  it('is good, by its times', () => {
    const thisUpdate = Math.floor(now / 1000) * 1000 - minute
    expect(read({ thisUpdate, nextUpdate: thisUpdate + 2 * minute })).toEqual({
      status: 'good',
      thisUpdate,
      nextUpdate: thisUpdate + 2 * minute,
    })
    expect(read({ named: 'key' }).status).toBe('good')
  })

  it('counts for a day where it does not say how long', () => {
    const { thisUpdate, nextUpdate } = read({ nextUpdate: null })
    expect(nextUpdate - thisUpdate).toBe(24 * 60 * minute)
  })

  it('may say that the certificate is revoked, since when and why', () => {
    const { status, revoked } = read({ status: 'revoked' })
    expect(status).toBe('revoked')
    expect(revoked).toMatch(/^\d{4}-.*Z, keyCompromise$/)
  })

  it('may be of one whom the issuer has named for it', async () => {
    const by = await delegated()
    expect(read({ by, along: [by.der] }).status).toBe('good')
    expect(read({ by, along: [neighbour.der, by.der], named: 'key' }).status).toBe('good')
    const rsa = await delegated({ keyType: 'rsa' })
    expect(read({ by: rsa, along: [rsa.der] }).status).toBe('good')
  })

  it.each<[string, () => OcspAnswerOptions | Promise<OcspAnswerOptions>]>([
    ['the responder says malformedRequest', () => ({ code: 1 })],
    ['the responder says tryLater', () => ({ code: 3 })],
    ['the responder says unauthorized', () => ({ code: 6 })],
    ['the responder says status 99', () => ({ code: 99 })],
    ['the responder does not know the certificate', () => ({ status: 'unknown' })],
    ['it is about another certificate', () => ({ about: exchangeOf(neighbour, root).question })],
    ['its signature is wrong', () => ({ signedBy: stranger })],
    ['its signer is neither the issuer nor along with it', () => ({ by: neighbour })],
    ['its signer is neither the issuer nor along with it', async () => ({ by: await delegated() })],
    ['its signature is wrong', async () => ({ by: { ...root, key: neighbour.key } })],
    ['lacks id-kp-OCSPSigning', () => ({ by: neighbour, along: [neighbour.der] })],
    [
      'its signer has another issuer',
      async () => {
        const by = await stranger.issue({ commonName: 'responder', extendedUsages: [ocspSigning] })
        return { by, along: [by.der] }
      },
    ],
    [
      // By the issuer's issuer, or below one that the issuer has named: it must be the issuer itself.
      'its signer has another issuer',
      async () => {
        const below = await root.intermediate({ extendedUsages: [ocspSigning] })
        const by = await below.issue({ extendedUsages: [ocspSigning] })
        return { by, along: [by.der, below.der] }
      },
    ],
    [
      "its signer's certificate does not count now",
      async () => {
        const by = await delegated({ notBefore: now - 60 * minute, notAfter: now - minute })
        return { by, along: [by.der] }
      },
    ],
    [
      "its signer's certificate does not count now",
      async () => {
        const by = await delegated({ notBefore: now + 60 * minute })
        return { by, along: [by.der] }
      },
    ],
    [
      'the signature’s algorithm 1.2.840.113549.1.1.5 is none that is taken',
      async () => {
        const by = await delegated({ keyType: 'rsa' })
        return { by, along: [by.der], sha1: true }
      },
    ],
    ['it is of the future', () => ({ thisUpdate: now + 10 * minute })],
    ['it counts no longer', () => ({ nextUpdate: now - 1_000 })],
    ['it counts no longer', () => ({ nextUpdate: null, thisUpdate: now - 25 * 60 * minute })],
  ])('is none where %s', async (why, options) => {
    const wrong = await options()
    expect(() => read(wrong)).toThrow(why.replace('’', "'"))
  })

  it('is taken where the clocks are a little apart', () => {
    expect(read({ thisUpdate: now + 4 * minute }).status).toBe('good')
  })

  it('is garbage in other words, whatever it is', () => {
    const deep = (depth: number): Buffer => Buffer.alloc(depth * 2, Buffer.from([0x30, 0x80]))
    const garbage = [
      Buffer.alloc(0),
      Buffer.from('<html>'),
      deep(30_000),
      der(0x30, der(0x0a, Buffer.from([0]))),
    ]
    for (const bytes of garbage) expect(() => exchange.read(bytes, now)).toThrow(/^it is /)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => exchange.read(bytes, now)).toThrow(/^(?:it is|the responder says) /)
      }),
    )
  })

  it('is never good with a bit changed, cut, or with bytes added', async () => {
    const by = await delegated()
    const whole = ocspAnswerOf(exchange.question, root, { by, along: [by.der] })
    const good = exchange.read(whole, now)
    const reading = (bytes: Buffer): unknown => {
      try {
        return exchange.read(bytes, now)
      } catch (error) {
        if (!(error instanceof Error) || error.message === '') throw error
        return 'refused'
      }
    }
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(7), (at, bit) => {
        const changed = Buffer.from(whole)
        changed[at] = (changed[at] as number) ^ (1 << bit)
        // What isn't signed may change, and then says the same.
        expect([good, 'refused']).toContainEqual(reading(changed))
        expect(reading(whole.subarray(0, at))).toBe('refused')
        expect(reading(Buffer.concat([whole, whole.subarray(0, at + 1)]))).toBe('refused')
      }),
      { numRuns: 500 },
    )
  })
})
