import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import { AsnConvert } from '@peculiar/asn1-schema'
import {
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  id_ce_nameConstraints,
  NameConstraints,
} from '@peculiar/asn1-x509'
import type { PemPair } from './pem-files.js'
import { permittedNames } from './permitted-names.js'
import { x509Library } from './x509-library.js'

const day = 86_400_000

/** How long certificates last, in ms. Some clients refuse those of more than 398 days. */
const lifeOfCertificate = 90 * day
const lifeOfAuthority = 3_650 * day

const p256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/**
 * An authority that can certify servers of these names, and by its constraints nothing else: whoever gets hold of its key can pretend to be
 * a server of the user's own machine, and not the user's bank.
 */
export async function makeDevAuthority(names: readonly string[], now: number): Promise<PemPair> {
  const x509 = await x509Library()
  const keys = await newKeys()
  const serialNumber = newSerialNumber()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber,
    // Its own name: browsers keep those that were trusted before.
    name: `CN=Sluice development authority ${serialNumber.slice(0, 8)}`,
    notBefore: new Date(now - day),
    notAfter: new Date(now + lifeOfAuthority),
    signingAlgorithm: p256,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.Extension(id_ce_nameConstraints, true, constraintsOf(names)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: `${certificate.toString('pem')}\n`, key: await pemOf(keys.privateKey) }
}

/** A server's certificate for these names. */
export async function issueDevCertificate(
  authority: PemPair,
  names: readonly string[],
  now: number,
): Promise<PemPair> {
  const x509 = await x509Library()
  const keys = await newKeys()
  const issuer = new x509.X509Certificate(authority.cert)
  const pkcs8 = createPrivateKey(authority.key).export({ type: 'pkcs8', format: 'der' })
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    subject: `CN=${names[0]}`,
    issuer: issuer.subject,
    notBefore: new Date(now - day),
    notAfter: new Date(now + lifeOfCertificate),
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, p256, false, ['sign']),
    signingAlgorithm: p256,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: `${certificate.toString('pem')}\n`, key: await pemOf(keys.privateKey) }
}

/** Which names an authority is permitted, as `permittedNames` has them. */
export async function permittedBy(authority: string): Promise<string[]> {
  const x509 = await x509Library()
  const found = new x509.X509Certificate(authority).getExtension(id_ce_nameConstraints)
  if (found === null) return []
  const { permittedSubtrees } = AsnConvert.parse(found.value, NameConstraints)
  return [...(permittedSubtrees ?? [])].flatMap(({ base }) => base.dNSName ?? base.iPAddress ?? [])
}

function constraintsOf(names: readonly string[]): ArrayBuffer {
  const permitted = permittedNames(names).map((name) => {
    const base = name.includes('/') ? { iPAddress: name } : { dNSName: name }
    return new GeneralSubtree({ base: new GeneralName(base) })
  })
  return AsnConvert.serialize(new NameConstraints({ permittedSubtrees: new GeneralSubtrees(permitted) }))
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(p256, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const { PemConverter } = await x509Library()
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`
}

/** Positive, and of so many bits of chance that no two are alike (RFC 5280 section 4.1.2.2). */
function newSerialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40
  return bytes.toString('hex')
}
