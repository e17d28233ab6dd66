import { webcrypto, X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import '../../../test/kit/x509.js'
import { alternativeNames, xfccElement } from './index.js'

// Behind the kit, which brings what the library asks for.
const x509 = await import('@peculiar/x509')

const keys = (await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
  'sign',
  'verify',
])) as webcrypto.CryptoKeyPair

/** A certificate that says these things, to the letter. */
async function certificate(
  commonName: string,
  names: { type: 'dns' | 'url' | 'email' | 'ip'; value: string }[] = [],
): Promise<X509Certificate> {
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: commonName === '' ? '' : ([{ CN: [{ utf8String: commonName }] }] as never),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    keys,
    extensions: names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)],
  })
  return new X509Certificate(made.toString('pem'))
}

/** Reads an element as Envoy's documentation has it: parts by `;`, values in quotes with `\"` for a quote. */
function read(element: string): [string, string][] {
  const parts: [string, string][] = []
  for (const [, key = '', quoted, plain = ''] of element.matchAll(
    /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^;,"]*))(?:;|$)/g,
  ))
    parts.push([key, quoted ?? plain])
  return parts
}

describe('xfccElement', () => {
  it('says what is asked for, in the order of Envoy, with names on their own', async () => {
    const names = [
      { type: 'dns' as const, value: 'a.example' },
      { type: 'url' as const, value: 'spiffe://a/b' },
      { type: 'dns' as const, value: '*.b.example' },
      { type: 'email' as const, value: 'x@a.example' },
      { type: 'ip' as const, value: '127.0.0.1' },
    ]
    const leaf = await certificate('leaf', names)
    const issuer = await certificate('issuer')
    const hash = leaf.fingerprint256.replaceAll(':', '').toLowerCase()
    expect(xfccElement(leaf, [issuer], [])).toBe(`Hash=${hash}`)
    expect(xfccElement(leaf, [issuer], ['DNS', 'URI', 'Subject'])).toBe(
      `Hash=${hash};Subject="CN=leaf";URI=spiffe://a/b;DNS=a.example;DNS=*.b.example`,
    )
    const { Cert: cert = '', Chain: chain = '' } = Object.fromEntries(
      read(xfccElement(leaf, [issuer], ['Cert', 'Chain'])),
    )
    expect(decodeURIComponent(cert)).toBe(leaf.toString())
    expect(decodeURIComponent(chain)).toBe(leaf.toString() + issuer.toString())
    expect(cert + chain).toMatch(/^[\w.~%-]+$/)
  })

  it('gives a certificate without a subject an empty one', async () => {
    expect(xfccElement(await certificate(''), [], ['Subject'])).toMatch(/;Subject=""$/)
  })

  it.each([
    ['a"b', 'CN=a\\22b'],
    ['a\\', 'CN=a\\5C'],
    ['a\\";URI=spiffe://admin;Subject="', 'CN=a\\5C\\22\\;URI=spiffe://admin\\;Subject=\\22'],
    ['é', 'CN=\\C3\\A9'],
    ['a,b+c<d>', 'CN=a\\,b\\+c\\<d\\>'],
    ['a\nb', 'CN=a\\0Ab'],
  ])('keeps the subject %j within its quotes', async (name, subject) => {
    expect(xfccElement(await certificate(name), [], ['Subject'])).toContain(`;Subject="${subject}"`)
  })

  it.each([
    ['spiffe://a/b?c=d', '"spiffe://a/b?c=d"'],
    ['spiffe://a;b,c', '"spiffe://a;b,c"'],
    ['x://a"b\\c d', 'x://a%22b%5Cc%20d'],
  ])('writes the URI %j as %s', async (value, written) => {
    expect(xfccElement(await certificate('a', [{ type: 'url', value }]), [], ['URI'])).toMatch(
      new RegExp(`;URI=${written.replaceAll(/[?\\]/g, '\\$&')}$`),
    )
  })

  it('holds what was asked for and nothing else, whatever the certificate says', async () => {
    const text = fc.string({
      unit: fc.constantFrom(...'ab,;="\\ \n+é#DNS'.split('')),
      minLength: 1,
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(
        text,
        text.filter((uri) => /^[\x20-\x7e]+$/.test(uri)),
        async (name, uri) => {
          const element = xfccElement(
            await certificate(name, [{ type: 'url', value: uri }]),
            [],
            ['Subject', 'URI', 'DNS'],
          )
          expect(element).toMatch(/^[\x20-\x7e]+$/)
          expect(read(element).map(([key]) => key)).toEqual(['Hash', 'Subject', 'URI'])
          // A reader that minds no escapes finds the same ends.
          expect(element.split('"')).toHaveLength(/URI="/.test(element) ? 5 : 3)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('alternativeNames', () => {
  it('reads what Node writes, also where one looks like several (CVE-2021-44532)', async () => {
    const names = [
      { type: 'dns' as const, value: 'good.example, DNS:evil.example' },
      { type: 'url' as const, value: 'http://a/"b"' },
      { type: 'ip' as const, value: '::1' },
      { type: 'dns' as const, value: 'a.example' },
    ]
    const { subjectAltName } = await certificate('a', names)
    expect(alternativeNames(subjectAltName)).toEqual([
      { kind: 'DNS', value: 'good.example, DNS:evil.example' },
      { kind: 'URI', value: 'http://a/"b"' },
      { kind: 'IP Address', value: '0:0:0:0:0:0:0:1' },
      { kind: 'DNS', value: 'a.example' },
    ])
  })

  it.each([
    [undefined, []],
    ['', []],
    ['DNS:a, rubbish', [{ kind: 'DNS', value: 'a' }]],
    ['DNS:"a', []],
    ['DNS:"\\x"', []],
  ])('makes of %j what can be read', (text, names) => {
    expect(alternativeNames(text)).toEqual(names)
  })
})
