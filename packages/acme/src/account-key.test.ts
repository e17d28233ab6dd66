import { createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { flattenedVerify } from 'jose'
import { expect, it } from 'vitest'
import { dnsValue, keyAuthorization, publicJwk, signatureAlgorithm, signed } from './account-key.js'

const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey
const rsa = (modulusLength: number): KeyObject => generateKeyPairSync('rsa', { modulusLength }).privateKey
const ed25519 = generateKeyPairSync('ed25519').privateKey

it.each<[string, KeyObject]>([
  ['ES256', ec('P-256')],
  ['ES384', ec('P-384')],
  ['ES512', ec('P-521')],
  ['RS256', rsa(2_048)],
  ['EdDSA', ed25519],
])('signs by %s', async (alg, key) => {
  const url = 'https://ca.test/1'
  const jwk = publicJwk(key)
  const message = await signed(key, { url, nonce: 'n', jwk }, { a: 1 })
  const { payload, protectedHeader } = await flattenedVerify(message, createPublicKey(key))
  expect(protectedHeader).toEqual({ alg, url, nonce: 'n', jwk })
  expect(Buffer.from(payload).toString()).toBe('{"a":1}')
  expect(jwk).not.toHaveProperty('d')
  const empty = await signed(key, { url, nonce: 'n', kid: 'https://ca.test/a' }, undefined)
  expect(empty.payload).toBe('')
})

it.each<[string, KeyObject]>([
  ['a short RSA key', rsa(1_024)],
  ['another curve', ec('secp256k1')],
  ['a public key', createPublicKey(ed25519)],
  ['a secret key', createSecretKey(Buffer.alloc(32))],
  ['X25519', generateKeyPairSync('x25519').privateKey],
])('has no signature for %s', async (_, key) => {
  expect(signatureAlgorithm(key)).toBeUndefined()
  await expect(signed(key, { url: 'https://ca.test/' }, {})).rejects.toThrow(TypeError)
})

it('answers a token by the thumbprint of the public key', async () => {
  const text = await keyAuthorization(ed25519, 'token')
  expect(text).toMatch(/^token\.[\w-]{43}$/)
  expect(dnsValue(text)).toMatch(/^[\w-]{43}$/)
  // RFC 8555 section 8.4: of the SHA-256 of `a`, as everybody knows it.
  expect(dnsValue('a')).toBe('ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs')
})
