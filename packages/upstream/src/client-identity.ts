import { isPem, kindOf, sameBytes } from './secret-value.js'

/** A certificate and its private key (PEM), the rest of the chain behind the certificate. */
export interface ClientPair {
  readonly cert: string | Buffer
  readonly key: string | Buffer
  /** For a private key that is encrypted. */
  readonly passphrase?: string
}

/** A certificate of the proxy's own that is replaced while it is in use: `keyPairFiles()` of `@sluice/tls`, or one's own. */
export interface ClientIdentity {
  /** The pair that counts now: the same object until there is another. */
  readonly current: ClientPair
}

const takes = 'takes { current: { cert, key } }, such as keyPairFiles() gives'

/** Reads the identity of a user's TLS settings. A fault is added to `faults`; none of them shows a key. */
export function readIdentity(settings: Record<string, unknown>, path: string, faults: string[]): void {
  const { identity } = settings
  if (identity === undefined) return
  const beside = ['cert', 'key', 'pfx', 'passphrase'].filter((name) => settings[name] !== undefined)
  if (beside.length > 0)
    faults.push(`${path}: got one beside ${beside.join(' and ')}, takes one alone: it brings them all`)
  if (typeof identity !== 'object' || identity === null) {
    faults.push(`${path}: got ${kindOf(identity)}, ${takes}`)
    return
  }
  try {
    goodPair(identity as ClientIdentity)
  } catch (error) {
    faults.push(`${path}.${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The last pair of each that could be used: a bad one that follows must neither stop a target nor keep another from joining. */
const good = new WeakMap<ClientIdentity, ClientPair>()

/** Notes that a pair can be used. */
export function isGood(identity: ClientIdentity, pair: ClientPair): void {
  good.set(identity, pair)
}

/**
 * The last pair that could be used; before the first the one that counts now.
 * @throws TypeError as {@link currentPair} does
 */
export function goodPair(identity: ClientIdentity): ClientPair {
  return good.get(identity) ?? currentPair(identity)
}

/**
 * The pair that counts now.
 * @throws TypeError for what is none, whatever its owner's code does
 */
export function currentPair(identity: ClientIdentity): ClientPair {
  let pair: unknown
  try {
    pair = identity.current
  } catch (error) {
    throw new TypeError(
      `current: got an error (${error instanceof Error ? error.message : 'no Error'}), ${takes}`,
    )
  }
  if (typeof pair !== 'object' || pair === null) throw new TypeError(`current: got ${kindOf(pair)}, ${takes}`)
  const { cert, key, passphrase } = pair as Record<string, unknown>
  if (!isPem(cert)) throw new TypeError(`current.cert: got ${kindOf(cert)}, takes a text or a Buffer in PEM`)
  if (!isPem(key)) throw new TypeError(`current.key: got ${kindOf(key)}, takes a text or a Buffer in PEM`)
  if (passphrase !== undefined && typeof passphrase !== 'string')
    throw new TypeError(`current.passphrase: got ${kindOf(passphrase)}, takes a text`)
  return pair as ClientPair
}

/** Whether both say the same. */
export function samePair(a: ClientPair, b: ClientPair): boolean {
  return a.passphrase === b.passphrase && sameBytes(a.cert, b.cert) && sameBytes(a.key, b.key)
}
