import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { fault } from '@sluice/options'
import { alternativeNames } from './alternative-names.js'
import type { CertificateInfo, ChainEnd } from './certificate-info.js'
import type { KeyPair } from './key-pair.js'
import { type MustStaple, mustStaple } from './must-staple.js'
import { certificateBlocks, type PemBlock, pemBlocks } from './pem.js'
import { readCertificateName } from './server-name.js'

/** Where the parts of a pair come from, for errors: options' paths, or files. */
export interface PairPlace {
  readonly cert: string
  readonly key: string
}

/** A certificate as `node:tls` takes it: PEM, the certificate with its chain, and its key. */
export interface CertificateMaterial {
  readonly cert: string
  readonly key: { readonly pem: string; readonly passphrase?: string }
}

/** A pair that has been read and checked. The key shows in no listing of it. */
export class Identity {
  /** PEM, its own certificate first. Those behind it are shared with other identities. */
  readonly #chain: readonly string[]
  readonly #key: CertificateMaterial['key']

  /**
   * @param signs how its signatures begin, as `getSharedSigalgs` names them
   * @param mustStaple what its staple is asked for by, if it must have one and its issuer is in the chain
   */
  constructor(
    readonly info: CertificateInfo,
    readonly signs: string,
    chain: readonly string[],
    key: CertificateMaterial['key'],
    readonly mustStaple?: MustStaple,
  ) {
    this.#chain = chain
    this.#key = key
  }

  get material(): CertificateMaterial {
    return { cert: this.#chain.join(''), key: this.#key }
  }
}

/** Certificates of authorities that have been read, by their PEM: ten thousand chains have a handful of them. */
export type KnownIssuers = Map<string, ChainPart>

/** What providers answer is not to add up. */
const mostKnown = 100

interface ChainPart {
  readonly text: string
  readonly certificate: X509Certificate
}

/** Signatures by SHA-1 or MD5, as DER has their names: clients refuse them, and later versions of OpenSSL don't even load them. */
const weakSignatures = ['06092a864886f70d010104', '06092a864886f70d010105', '06072a8648ce3d0401'].map((hex) =>
  Buffer.from(hex, 'hex'),
)

/**
 * Reads a pair and checks all that can be known of it before a client comes: that the key fits the certificate and is long enough, that
 * each certificate behind it has issued one before it, and that all are valid now.
 * @param where the path of the pair's option, of which `cert` and `key` are parts, or where each of the two comes from
 * @param now milliseconds since 1970
 * @param known gives what was read for other pairs, and takes what is read for this one
 * @throws TypeError that names the part that is wrong, and how; it never shows a key
 */
export function readIdentity(
  pair: KeyPair,
  where: string | PairPlace,
  now: number,
  known: KnownIssuers = new Map(),
): Identity {
  const place = typeof where === 'string' ? { cert: `${where}.cert`, key: `${where}.key` } : where
  const chain = readChain(pair.cert, place.cert, known)
  const own = chain[0] as ChainPart
  const key = readKey(pair, chain, place)
  checkStrength(chain, place.cert)
  checkOrder(chain, place.cert)
  chain.forEach((part, i) => {
    checkDates(part.certificate, label(chain, i), place.cert, now)
  })
  return new Identity(
    infoOf(chain, typeof where === 'string' ? where : where.cert),
    signatureOf(own.certificate.publicKey),
    chain.map(({ text }) => text),
    key,
    stapleOf(chain),
  )
}

function readChain(given: unknown, path: string, known: KnownIssuers): ChainPart[] {
  const takes = 'a certificate (PEM), with its chain behind it'
  const blocks = certificateBlocks(readPem(given, path, takes))
  if (blocks.length === 0) throw new TypeError(fault(path, withoutBlock(given, 'certificate'), takes))
  return blocks.map(({ text }, i) => {
    const seen = known.get(text)
    if (seen !== undefined) return seen
    const part = { text, certificate: parsed(text, i, path) }
    if (i === 0) return part
    if (known.size >= mostKnown) known.clear()
    known.set(text, part)
    return part
  })
}

function parsed(text: string, i: number, path: string): X509Certificate {
  try {
    return new X509Certificate(text)
  } catch {
    throw new TypeError(
      fault(path, `certificate ${i + 1}, which can't be read`, 'certificates (PEM) that are whole'),
    )
  }
}

function readKey(pair: KeyPair, chain: readonly ChainPart[], place: PairPlace): CertificateMaterial['key'] {
  const takes = 'the private key of the certificate (PEM)'
  const blocks = pemBlocks(readPem(pair.key, place.key, takes)).filter((block) =>
    block.label.endsWith('PRIVATE KEY'),
  )
  if (blocks.length === 0) throw new TypeError(fault(place.key, withoutBlock(pair.key, 'private key'), takes))
  const { passphrase } = pair
  if (passphrase !== undefined && typeof passphrase !== 'string')
    throw new TypeError(fault(place.key, 'a passphrase that is no text', 'a passphrase that is one'))
  const opened = blocks.map((block) => ({ block, key: openKey(block, passphrase, place.key) }))
  const own = (chain[0] as ChainPart).certificate
  const fits = opened.find(({ key }) => own.checkPrivateKey(key))
  if (fits === undefined) throw new TypeError(misfit(opened, chain, place))
  const pem = fits.block.text
  return isLocked(fits.block) ? { pem, passphrase: passphrase as string } : { pem }
}

function openKey(block: PemBlock, passphrase: string | undefined, path: string): KeyObject {
  const locked = isLocked(block)
  if (locked && passphrase === undefined)
    throw new TypeError(fault(path, 'a private key that is encrypted', 'a passphrase with it'))
  try {
    return createPrivateKey(locked ? { key: block.text, passphrase: passphrase as string } : block.text)
  } catch {
    const got = locked
      ? "a passphrase that doesn't open the private key"
      : `a private key that can't be read (${block.label})`
    throw new TypeError(
      fault(path, got, locked ? 'the one that it was encrypted by' : 'PKCS #8, PKCS #1 or SEC 1 (PEM)'),
    )
  }
}

function misfit(
  opened: readonly { readonly key: KeyObject }[],
  chain: readonly ChainPart[],
  { cert, key }: PairPlace,
): string {
  const at = chain.findIndex(({ certificate }) =>
    opened.some((each) => certificate.checkPrivateKey(each.key)),
  )
  if (at > 0)
    return fault(
      cert,
      `the certificate of the private key as ${label(chain, at)}`,
      'it first, its issuer next',
    )
  const got =
    opened.length === 1 ? "a private key that doesn't fit" : `${opened.length} private keys that don't fit`
  return fault(key, `${got} ${label(chain, 0)} of ${cert}`, 'the one that it was made for')
}

function isLocked({ label, text }: PemBlock): boolean {
  return label.startsWith('ENCRYPTED') || /^Proc-Type: 4,ENCRYPTED$/m.test(text)
}

function checkStrength(chain: readonly ChainPart[], path: string): void {
  const { publicKey } = (chain[0] as ChainPart).certificate
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 2048
  if (bits < 2048) throw new TypeError(fault(path, `an RSA key of ${bits} bits`, '2048 bits or more'))
  const weak = chain.findIndex(({ certificate }) => {
    // Nobody looks at what a root says of itself.
    return (
      !certificate.checkIssued(certificate) && weakSignatures.some((name) => certificate.raw.includes(name))
    )
  })
  if (weak === -1) return
  const got = `${label(chain, weak)}, which is signed with SHA-1 or MD5`
  throw new TypeError(fault(path, got, 'SHA-256 or better'))
}

/** Each one has issued one before it, not always the last before it: where authorities sign each other, chains fork. */
function checkOrder(chain: readonly ChainPart[], path: string): void {
  for (let i = 1; i < chain.length; i++) {
    const { certificate } = chain[i] as ChainPart
    if (chain.slice(0, i).some((before) => issued(certificate, before.certificate))) continue
    const later = chain.slice(i + 1).some((after) => issued(certificate, after.certificate))
    const why = later
      ? `${label(chain, i)} before the certificate that it issued`
      : `${label(chain, i)}, which issued none of those before it`
    throw new TypeError(fault(path, why, 'each certificate behind the one that it issued'))
  }
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function checkDates(certificate: X509Certificate, name: string, path: string, now: number): void {
  const [notBefore, notAfter] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  const takes = 'one that is valid now'
  if (now > notAfter)
    throw new TypeError(fault(path, `${name}, which expired at ${new Date(notAfter).toISOString()}`, takes))
  if (now < notBefore) {
    const from = `${name}, which is not valid before ${new Date(notBefore).toISOString()}`
    throw new TypeError(fault(path, `${from} (it is ${new Date(now).toISOString()} here)`, takes))
  }
}

function infoOf(chain: readonly ChainPart[], where: string): CertificateInfo {
  const { certificate } = chain[0] as ChainPart
  const { publicKey, fingerprint256, validFrom, validTo } = certificate
  const chainEnd = chainEndOf(chain)
  const type = publicKey.asymmetricKeyType ?? 'unknown'
  return Object.freeze({
    names: Object.freeze(namesOf(certificate)),
    notBefore: Date.parse(validFrom),
    notAfter: Date.parse(validTo),
    keyType: type === 'ec' ? 'ecdsa' : type,
    fingerprint: fingerprint256,
    where,
    ...(chainEnd === undefined ? {} : { chainEnd }),
  })
}

function chainEndOf(chain: readonly ChainPart[]): ChainEnd | undefined {
  const ends = chain.map(({ certificate }) => Date.parse(certificate.validTo))
  const notAfter = Math.min(...ends)
  const i = ends.indexOf(notAfter)
  if (i === 0) return undefined
  const { validFrom, fingerprint256: fingerprint } = (chain[i] as ChainPart).certificate
  return Object.freeze({ what: label(chain, i), notBefore: Date.parse(validFrom), notAfter, fingerprint })
}

function stapleOf(chain: readonly ChainPart[]): MustStaple | undefined {
  const [own, ...rest] = chain.map(({ certificate }) => certificate) as [
    X509Certificate,
    ...X509Certificate[],
  ]
  if (!mustStaple(own.raw)) return undefined
  // As Node finds whom it names in OCSPRequest.
  const issuer = rest.find((each) => own.checkIssued(each))
  return issuer && Object.freeze({ certificate: own.raw, issuer: issuer.raw })
}

/** In TLS 1.3 a curve has its hash (RFC 8446 section 4.2.3), and in TLS 1.2 nearly all clients take it. */
const hashes: Record<string, string> = { prime256v1: 'SHA256', secp384r1: 'SHA384', secp521r1: 'SHA512' }

function signatureOf({ asymmetricKeyType: type = 'rsa', asymmetricKeyDetails: details }: KeyObject): string {
  if (type === 'ec') return `ECDSA+${hashes[details?.namedCurve ?? ''] ?? ''}`
  if (type === 'ed25519' || type === 'ed448') return `Ed${type.slice(2)}`
  return type.startsWith('rsa') ? type.toUpperCase() : `id-${type}`
}

/** Its alternative names; the common name where there are none, as old tools make it. Of others no client could ask for one. */
function namesOf({ subjectAltName, subject }: X509Certificate): string[] {
  const common = /^CN=(.+)$/m.exec(subject ?? '')
  const names =
    subjectAltName === undefined
      ? [common?.[1] ?? '']
      : alternativeNames(subjectAltName)
          .filter(({ kind }) => kind === 'DNS' || kind === 'IP Address')
          .map(({ value }) => value)
  return [...new Set(names.map(readCertificateName).filter((name) => name !== undefined))]
}

/** Which of the chain's certificates it is, and what it is called: by others, so it is made short and plain. */
function label(chain: readonly ChainPart[], i: number): string {
  const { subject, subjectAltName } = (chain[i] as ChainPart).certificate
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would break the line
  const name = (subject || subjectAltName || 'without a name').replace(/[\0-\x1f\x7f]+/g, ', ').slice(0, 80)
  return chain.length === 1 ? `a certificate (${name})` : `certificate ${i + 1} of ${chain.length} (${name})`
}

function readPem(given: unknown, path: string, takes: string): string {
  if (typeof given === 'string') return given
  if (Buffer.isBuffer(given)) return given.toString('latin1')
  const got = given === undefined || given === null ? 'nothing' : `a ${typeof given}`
  throw new TypeError(fault(path, got, takes))
}

function withoutBlock(given: unknown, what: string): string {
  const text = String(given)
  if (text.trim() === '') return 'an empty text'
  if (text.includes('-----BEGIN ') && pemBlocks(text).length === 0) return 'a PEM block without an end'
  if (Buffer.isBuffer(given) && given[0] === 0x30) return `no ${what} in PEM, but what looks like DER`
  const isLine = !text.trim().includes('\n')
  return isLine && /[/\\.]/.test(text) ? `no ${what}, but what looks like a path` : `no ${what}`
}
