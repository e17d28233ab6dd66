import { describe, expect, it } from 'vitest'
import { chooseIdentity } from './choose-identity.js'
import { Identity } from './identity.js'

const identity = (keyType: string, signs: string): Identity =>
  new Identity({ names: [], keyType, notBefore: 0, notAfter: 1, fingerprint: '', where: '' }, signs, [], {
    pem: '',
  })

describe('chooseIdentity()', () => {
  const ecdsa = identity('ecdsa', 'ECDSA+SHA256')
  const p384 = identity('ecdsa', 'ECDSA+SHA384')
  const rsa = identity('rsa', 'RSA')
  const edwards = identity('ed25519', 'Ed25519')

  it.each<[string, Identity[], string[], string | null, Identity]>([
    [
      'the first signature that is shared',
      [rsa, ecdsa],
      ['ECDSA+SHA256', 'RSA-PSS+SHA256'],
      'TLSv1.3',
      ecdsa,
    ],
    ['in the order that they are shared', [ecdsa, rsa], ['RSA-PSS+SHA256', 'ECDSA+SHA256'], 'TLSv1.3', rsa],
    ['none that is not', [ecdsa, rsa], ['Ed448+UNDEF', 'RSA+SHA256'], 'TLSv1.3', rsa],
    ['the curve of its key', [p384, rsa], ['ECDSA+SHA256', 'RSA-PSS+SHA256'], 'TLSv1.3', rsa],
    ['other kinds', [rsa, edwards], ['Ed25519+UNDEF', 'RSA-PSS+SHA256'], 'TLSv1.3', edwards],
    ['RSA in TLS 1.2, where ciphers count', [ecdsa, rsa], ['ECDSA+SHA256', 'RSA+SHA256'], 'TLSv1.2', rsa],
    ['ECDSA in TLS 1.2 for who has nothing else', [rsa, ecdsa], ['ECDSA+SHA256'], 'TLSv1.2', ecdsa],
    ['the first of all for who says nothing', [ecdsa, rsa], [], null, ecdsa],
  ])('goes by %s', (_, set, shared, protocol, chosen) => {
    expect(chooseIdentity(set, shared, protocol)).toBe(chosen)
  })
})
