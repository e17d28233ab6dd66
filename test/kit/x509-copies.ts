import { createECDH, createPrivateKey, sign } from 'node:crypto'
import type { X509Issuer } from './x509.js'

/** The certificate of a name, with those that issued it, and its key: PEM. */
export interface X509Copy {
  readonly name: string
  readonly chain: string
  readonly key: string
}

const digits = 6

/**
 * Makes certificates of `host000000.example.com` and on, each of its own key and for `www.` of the name too, in a third of the time
 * that `issue` takes: one is issued, and in its copies names, number, key and signature are overwritten, all of which have one length.
 * @param issuer one whose key is RSA of 2048 bits
 */
export async function* x509Copies(issuer: X509Issuer, count: number): AsyncGenerator<X509Copy> {
  const nameOf = (nth: number): string => `host${String(nth).padStart(digits, '0')}.example.com`
  const name = nameOf(0)
  const pattern = await issuer.issue({ names: [name, `www.${name}`] })
  const issuers = pattern.chain.slice(pattern.cert.length)
  const signingKey = createPrivateKey(issuer.key)
  const patternKey = createPrivateKey(pattern.key)
  const pkcs8 = patternKey.export({ format: 'der', type: 'pkcs8' })
  const { d = '', x = '', y = '' } = patternKey.export({ format: 'jwk' })
  const point = Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  const places = {
    names: placesOf(pattern.der, name),
    number: placesOf(pattern.der, Buffer.from(pattern.serialNumber, 'hex')),
    point: placesOf(pattern.der, point),
    secretOfKey: placesOf(pkcs8, Buffer.from(d, 'base64url')),
    pointOfKey: placesOf(pkcs8, point),
  }
  for (let nth = 0; nth < count; nth++) {
    const der = Buffer.from(pattern.der)
    const keyDer = Buffer.from(pkcs8)
    // No key objects: while ten thousand were made and exported Node 20 has once stopped for ever.
    const pair = createECDH('prime256v1')
    // But for the first byte, which says that it is all there.
    const own = pair.generateKeys().subarray(1)
    const secret = Buffer.alloc(32)
    pair.getPrivateKey().copy(secret, 32 - pair.getPrivateKey().length)
    const number = Buffer.from(pattern.serialNumber, 'hex')
    number.writeUInt32BE(nth, number.length - 4)
    for (const at of places.names) der.write(nameOf(nth), at)
    for (const at of places.number) number.copy(der, at)
    for (const at of places.point) own.copy(der, at)
    for (const at of places.secretOfKey) secret.copy(keyDer, at)
    for (const at of places.pointOfKey) own.copy(keyDer, at)
    // RFC 5280 section 4.1: a sequence of what is signed, the algorithm, and the signature; each sequence has 4 bytes ahead.
    const signed = der.subarray(4, 8 + der.readUInt16BE(6))
    const signature = sign('sha256', signed, signingKey)
    signature.copy(der, der.length - signature.length)
    yield {
      name: nameOf(nth),
      chain: pem('CERTIFICATE', der) + issuers,
      key: pem('PRIVATE KEY', keyDer),
    }
  }
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`
}

function placesOf(der: Buffer, part: string | Buffer): readonly number[] {
  const places: number[] = []
  for (let at = der.indexOf(part); at !== -1; at = der.indexOf(part, at + 1)) places.push(at)
  if (places.length === 0) throw new Error('the pattern has no such part')
  return places
}
