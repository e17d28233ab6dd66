import type { SecureContext, TLSSocket } from 'node:tls'
import { chooseIdentity } from './choose-identity.js'
import type { Identity } from './identity.js'
import type { IdentitySet } from './identity-sets.js'
import { answerNamed } from './named-certificate.js'
import { unusableContext } from './unusable-certificates.js'

/** The option `SNICallback` of a TLS server. */
export type SniCallback = (
  servername: string,
  done: (error: Error | null, context?: SecureContext) => void,
) => void

/** A client asked for a name that there is no certificate for. `tlsClientError` of the server has it. */
export class UnrecognizedNameError extends Error {
  override readonly name = 'UnrecognizedNameError'
  readonly code = 'ERR_UNRECOGNIZED_NAME'

  constructor() {
    super('there is no certificate for the name that the client asked for')
  }
}

/** What `SNICallback` is answered from. */
export interface SniSource {
  /** It never rejects. */
  find(servername: string): IdentitySet | undefined | Promise<IdentitySet | undefined>
  /** What the server's own context has, if it was made of the store's fallback. */
  fallback(): IdentitySet | undefined
  /** With this certificate alone. */
  context(identity: Identity): SecureContext | undefined
}

/** What Node calls `SNICallback` with as `this`; of what is newer or inside it, what is used here. */
type CallingSocket = Partial<Pick<TLSSocket, 'getSharedSigalgs' | 'getProtocol' | 'getX509Certificate'>> & {
  setKeyCert?(context: SecureContext): void
  readonly _parent?: { readonly destroyed?: boolean; write?(bytes: Buffer): void }
}

/** A fatal alert (RFC 8446 section 6): nothing is encrypted before the server's first message. */
const unrecognizedName = Buffer.from([21, 3, 3, 0, 2, 2, 112])

/**
 * Answers a server's `SNICallback` from a source.
 *
 * Node takes one certificate from the context that it is given, the one that was set last, however many are in it. Up to Node 22 it puts that
 * one beside those of the server's own context, of which those for other kinds of key stay: a client that prefers RSA would get the
 * fallback's RSA certificate for a name that has an ECDSA one alone. So
 * - where the server's own context has all the certificates, and TLS is 1.2, it is left as it is;
 * - `setKeyCert` adds the others first, and takes away what another name has; the context given at last is the one that suits the client
 *   best. Node 24 and later serve that one alone.
 */
export function sniCallbackOf(source: SniSource): SniCallback {
  return function answer(this: unknown, servername, done) {
    const socket = (this ?? {}) as CallingSocket
    const found = source.find(servername)
    if (found instanceof Promise) void found.then((set) => give(source, socket, set, done))
    else give(source, socket, found, done)
  }
}

function give(
  source: SniSource,
  socket: CallingSocket,
  set: IdentitySet | undefined,
  done: Parameters<SniCallback>[1],
): void {
  const fallback = source.fallback() ?? []
  if (set !== undefined && set === fallback && isLeftToOpenssl(socket, set))
    return answerNamed(false, () => done(null))
  const chosen = set === undefined ? undefined : choose(socket, set)
  // One that OpenSSL doesn't take, after all that was checked, has been told of.
  const context = chosen && (source.context(chosen) ?? firstOf(source, fallback))
  if (set === undefined || context === undefined) {
    sendAlert(socket)
    return done(new UnrecognizedNameError())
  }
  for (const { info } of fallback) {
    const isLeft = !set.some((one) => one.info.keyType === info.keyType)
    if (isLeft) setKeyCert(socket, unusableContext(info.keyType))
  }
  for (const other of set) if (other !== chosen) setKeyCert(socket, source.context(other))
  // Up to Node 22 OpenSSL chooses among all of the name's certificates in TLS 1.2.
  const isSure = set.length === 1 || socket.getProtocol?.() === 'TLSv1.3'
  answerNamed(isSure, () => done(null, context))
}

function choose(socket: CallingSocket, set: IdentitySet): Identity | undefined {
  if (set.length === 1) return set[0]
  return chooseIdentity(set, socket.getSharedSigalgs?.() ?? [], socket.getProtocol?.() ?? null)
}

function firstOf(source: SniSource, set: IdentitySet): SecureContext | undefined {
  return set[0] && source.context(set[0])
}

/** Whether the socket has all of these certificates, by one of them, and only OpenSSL knows which suits: `chooseIdentity`. */
function isLeftToOpenssl(socket: CallingSocket, set: IdentitySet): boolean {
  if (set.length === 1 || socket.getProtocol?.() === 'TLSv1.3') return false
  const own = socket.getX509Certificate?.()?.fingerprint256
  return own !== undefined && set.some(({ info }) => info.fingerprint === own)
}

/** It throws for a certificate without a key, after it has taken away what was there, and on a socket that has gone. */
function setKeyCert(socket: CallingSocket, context: SecureContext | undefined): void {
  try {
    if (context !== undefined) socket.setKeyCert?.(context)
  } catch {}
}

/**
 * An error alone makes Node close the connection without a word, and a client then takes the server for broken. The socket below
 * takes bytes that aren't encrypted.
 */
function sendAlert({ _parent: below }: CallingSocket): void {
  if (below?.destroyed === false) below.write?.(unrecognizedName)
}
