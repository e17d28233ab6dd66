import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'

/** No chain that browsers take has more. */
const mostCertificates = 10
/** Clocks differ; a certificate that begins a little later than now is right. */
const tolerance = 3_600_000
const begin = '-----BEGIN CERTIFICATE-----'
const end = '-----END CERTIFICATE-----'

/**
 * The certificates of a PEM chain, the first for the server itself (RFC 8555 section 9.1), or why it is none: with anything but
 * certificates in it, such as a key, it is refused.
 */
export function readChain(pem: string): X509Certificate[] | string {
  const blocks = pem.split(begin).slice(1)
  if (blocks.length !== pem.split('-----BEGIN').length - 1)
    return 'it holds something other than certificates'
  if (blocks.length === 0) return 'it holds no certificate'
  if (blocks.length > mostCertificates) return `it holds ${blocks.length} certificates`
  try {
    return blocks.map((each) => new X509Certificate(`${begin}${each.slice(0, each.indexOf(end))}${end}\n`))
  } catch {
    return "it holds a certificate that can't be read"
  }
}

/** What a chain is to be right for. */
export interface ChainPurpose {
  readonly names: readonly string[]
  /** The private key that the certificate must fit. */
  readonly key?: KeyObject | undefined
  readonly now: number
}

/** What is wrong with a chain, or `undefined`: it must fit the key, hold the names, be valid now, each certified by the next. */
export function chainFault(
  chain: readonly X509Certificate[],
  { names, key, now }: ChainPurpose,
): string | undefined {
  const [leaf] = chain
  if (leaf === undefined) return 'it holds no certificate'
  if (key !== undefined && !createPublicKey(key).equals(leaf.publicKey))
    return 'the certificate is for another key'
  const missing = names.filter((name) => !covers(leaf, name))
  if (missing.length > 0) return `the certificate is not for ${missing.join(', ')}`
  for (const [i, each] of chain.entries()) {
    if (Date.parse(each.validTo) <= now) return `certificate ${i + 1} has expired on ${each.validTo}`
    if (Date.parse(each.validFrom) > now + tolerance)
      return `certificate ${i + 1} is not valid before ${each.validFrom}`
    const issuer = chain[i + 1]
    if (issuer !== undefined && !certifies(issuer, each))
      return `certificate ${i + 1} isn't signed by the one after it`
  }
  return undefined
}

/** Whether a certificate in the chain was issued by an authority of that common name: how people tell chains apart. */
export function issuedBy(chain: readonly X509Certificate[], commonName: string): boolean {
  return chain.some(({ issuer }) => issuer.split('\n').includes(`CN=${commonName}`))
}

function covers(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined
  // Of a wildcard: any name that it alone covers.
  const host = name.replace(/^\*\./, 'any-name-at-all.')
  return certificate.checkHost(host, { subject: 'never' }) !== undefined
}

function certifies(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  } catch {
    // Keys of another kind than the signature.
    return false
  }
}
