import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import type { Extension, X509Certificate } from '@peculiar/x509'

const x509 = await import('@peculiar/x509')

/** Kinds of key; `'rsa'` has 2048 bits, `'ecdsa'` is P-256. */
export type X509KeyType = 'ecdsa' | 'p384' | 'rsa' | 'rsa-1024' | 'ed25519'

export interface X509Options {
  /** Names and addresses: `'a.test'`, `'*.a.test'`, `'127.0.0.1'`. Default none; with `names: []` there is no such extension. */
  readonly names?: readonly string[]
  /** Default the first name, or `'test'`. `''` for an empty subject. */
  readonly commonName?: string
  readonly keyType?: X509KeyType
  /** A pair of keys to use again. Default a new one. */
  readonly keys?: webcrypto.CryptoKeyPair
  /** Default an hour ago. */
  readonly notBefore?: Date | number
  /** Default in two days. */
  readonly notAfter?: Date | number
  /** What the issuer's signature hashes by. Default SHA-256. */
  readonly signature?: 'SHA-1' | 'SHA-256' | 'SHA-384'
  /** Status request, RFC 7633. */
  readonly mustStaple?: boolean
  /** URL of an OCSP responder (RFC 5280 section 4.2.2.1). */
  readonly ocsp?: string
  /** URL of the issuer's certificate. */
  readonly caIssuers?: string
  /** URL of a revocation list. */
  readonly crl?: string
  /** Object identifiers, in place of those of servers and clients (an authority's: none). */
  readonly extendedUsages?: readonly string[]
  readonly extensions?: readonly Extension[]
}

/** A certificate and its key, all PEM. */
export interface X509Pair {
  /** The certificate alone. */
  readonly cert: string
  /** It, and those that issued it but for the root. */
  readonly chain: string
  readonly key: string
  readonly der: Buffer
  /** In hexadecimal. */
  readonly serialNumber: string
  readonly keys: webcrypto.CryptoKeyPair
}

/** An authority, root or intermediate. */
export interface X509Issuer extends X509Pair {
  issue(options?: X509Options): Promise<X509Pair>
  intermediate(options?: X509Options): Promise<X509Issuer>
}

export const ocspSigning = '1.3.6.1.5.5.7.3.9'

const algorithms: Record<X509KeyType, object> = {
  ecdsa: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  rsa: rsa(2048),
  'rsa-1024': rsa(1024),
  ed25519: { name: 'Ed25519' },
}

function rsa(modulusLength: number): object {
  const publicExponent = new Uint8Array([1, 0, 1])
  return { name: 'RSASSA-PKCS1-v1_5', modulusLength, publicExponent, hash: 'SHA-256' }
}

/** An authority that nobody trusts unless told to. Faster than `testAuthority`, and needs no openssl. */
export async function x509Root(options: X509Options = {}): Promise<X509Issuer> {
  return issuer(await make({ commonName: 'Test Root', ...options }, true), '')
}

/** A certificate that signs itself. */
export async function x509SelfSigned(options: X509Options = {}): Promise<X509Pair> {
  const { certificate, keys } = await make(options, false)
  return pairOf(certificate, keys, '')
}

/** A key of the tests, locked by a passphrase. */
export function lockedKey(key: string, passphrase: string): string {
  const form = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase } as const
  return createPrivateKey(key).export(form) as string
}

interface Made {
  readonly certificate: X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
}

async function issuer(made: Made, chain: string, root = true): Promise<X509Issuer> {
  const own = await pairOf(made.certificate, made.keys, chain)
  const below = root ? '' : own.chain
  return {
    ...own,
    async issue(options = {}) {
      const { certificate, keys } = await make(options, false, made)
      return pairOf(certificate, keys, below)
    },
    async intermediate(options = {}) {
      return issuer(await make({ commonName: 'Test Intermediate', ...options }, true, made), below, false)
    },
  }
}

async function make(options: X509Options, authority: boolean, by?: Made): Promise<Made> {
  const { keyType = 'ecdsa', names = [], commonName = names[0] ?? 'test' } = options
  const keys = options.keys ?? (await newKeys(keyType))
  const signing = by ?? { keys }
  const hash = options.signature === undefined ? {} : { hash: options.signature }
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(8).toString('hex').replace(/^./, '1'),
    subject: commonName === '' ? '' : [{ CN: [commonName] }],
    issuer: by === undefined ? [{ CN: [commonName] }] : by.certificate.subjectName.toJSON(),
    notBefore: new Date(options.notBefore ?? Date.now() - 3_600_000),
    notAfter: new Date(options.notAfter ?? Date.now() + 48 * 3_600_000),
    publicKey: keys.publicKey,
    signingKey: signing.keys.privateKey,
    signingAlgorithm: { ...signing.keys.privateKey.algorithm, ...hash },
    extensions: extensionsOf(options, authority),
  })
  return { certificate, keys }
}

function extensionsOf(options: X509Options, authority: boolean): Extension[] {
  const { names = [], mustStaple, ocsp, caIssuers, crl, extensions = [] } = options
  const { keyCertSign, cRLSign, digitalSignature, keyEncipherment } = x509.KeyUsageFlags
  const usage = authority ? keyCertSign | cRLSign : digitalSignature | keyEncipherment
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage
  const { extendedUsages = authority ? [] : [serverAuth, clientAuth] } = options
  const made: Extension[] = [new x509.KeyUsagesExtension(usage, true)]
  if (authority) made.push(new x509.BasicConstraintsExtension(true, undefined, true))
  if (extendedUsages.length > 0) made.push(new x509.ExtendedKeyUsageExtension([...extendedUsages]))
  if (names.length > 0) made.push(new x509.SubjectAlternativeNameExtension(names.map(generalName)))
  // TLS feature 5, status_request: SEQUENCE { INTEGER 5 }.
  if (mustStaple === true)
    made.push(new x509.Extension('1.3.6.1.5.5.7.1.24', false, Buffer.from('3003020105', 'hex')))
  if (ocsp !== undefined || caIssuers !== undefined)
    made.push(
      new x509.AuthorityInfoAccessExtension({
        ...(ocsp === undefined ? {} : { ocsp }),
        ...(caIssuers === undefined ? {} : { caIssuers }),
      }),
    )
  if (crl !== undefined) made.push(new x509.CRLDistributionPointsExtension([crl]))
  return [...made, ...extensions]
}

function generalName(value: string): { type: 'ip' | 'dns'; value: string } {
  return { type: isIP(value) === 0 ? 'dns' : 'ip', value }
}

async function newKeys(keyType: X509KeyType): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithms[keyType] as webcrypto.RsaHashedKeyGenParams, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair
}

async function pairOf(
  certificate: X509Certificate,
  keys: webcrypto.CryptoKeyPair,
  issuers: string,
): Promise<X509Pair> {
  const cert = `${certificate.toString('pem')}\n`
  const der = Buffer.from(certificate.rawData)
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  const key = `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`
  return { cert, chain: cert + issuers, key, der, serialNumber: certificate.serialNumber, keys }
}
