import { createPublicKey, type KeyObject, webcrypto } from 'node:crypto'
import { createRequire } from 'node:module'
import { isIP } from 'node:net'

type X509 = typeof import('@peculiar/x509')

const require = createRequire(import.meta.url)

/** The library for what Node can't write, loaded with its first use: that takes 50 ms. Where that fails, the next call tries again. */
export async function x509(): Promise<X509> {
  // It asks for decorator metadata before it loads.
  require('reflect-metadata')
  return require('@peculiar/x509') as X509
}

/** A name, or an address, as a certificate holds it. */
export function generalName(name: string): { type: 'dns' | 'ip'; value: string } {
  return { type: isIP(name) === 0 ? 'dns' : 'ip', value: name }
}

/** A private key of `node:crypto` as the library takes it. */
export async function signingWith(
  key: KeyObject,
): Promise<{ readonly keys: webcrypto.CryptoKeyPair; readonly signingAlgorithm: webcrypto.EcdsaParams }> {
  const { subtle } = webcrypto
  const algorithm = algorithmOf(key)
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    subtle.importKey('spki', spki, algorithm, true, ['verify']),
  ])
  return { keys: { privateKey, publicKey }, signingAlgorithm: algorithm }
}

function algorithmOf(key: KeyObject): { name: string; hash: string; namedCurve?: string } {
  const curves: Readonly<Record<string, [string, string]>> = {
    prime256v1: ['P-256', 'SHA-256'],
    secp384r1: ['P-384', 'SHA-384'],
  }
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  const curve = curves[key.asymmetricKeyDetails?.namedCurve ?? '']
  if (curve === undefined) throw new TypeError('keys of certificates are RSA, P-256 or P-384')
  return { name: 'ECDSA', namedCurve: curve[0], hash: curve[1] }
}
