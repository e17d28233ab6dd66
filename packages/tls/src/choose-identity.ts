import type { Identity } from './identity.js'
import type { IdentitySet } from './identity-sets.js'

/**
 * The one of several certificates that suits a client best: the first of the signatures that it shares with this server, in
 * OpenSSL's order, that one of them can make. In TLS 1.2 the client's ciphers count, too, which nobody tells: there it is RSA, if the client takes it,
 * since a cipher for RSA is what such clients all have.
 *
 * @param shared what `getSharedSigalgs` gives: `'ECDSA+SHA256'`, `'RSA-PSS+SHA256'`, `'Ed25519+UNDEF'`
 */
export function chooseIdentity(
  set: IdentitySet,
  shared: readonly string[],
  protocol: string | null,
): Identity {
  const usable = shared
    .map((each) => set.find(({ signs }) => each.startsWith(signs)))
    .filter((each) => each !== undefined)
  const rsa = protocol === 'TLSv1.3' ? undefined : usable.find(({ info }) => info.keyType === 'rsa')
  return rsa ?? usable[0] ?? (set[0] as Identity)
}
