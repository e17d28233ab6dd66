import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  type PeerCertificate,
  type SecureContext,
} from 'node:tls'
import debug from 'debug'
import { checkPins } from './check-pins.js'
import {
  type ClientIdentity,
  type ClientPair,
  currentPair,
  goodPair,
  isGood,
  samePair,
} from './client-identity.js'
import { makeContext } from './make-context.js'
import { retireKey } from './on-retire.js'
import type { Target } from './target.js'

const log = debug('sluice:upstream')

/** What `tls.connect` takes for a target, without the protocols to offer. */
export interface SecuredOptions extends ConnectionOptions {
  readonly secureContext: SecureContext
}

/** What was made of a target's settings. */
interface Settings {
  options: SecuredOptions
  /** The last pair of its identity that was looked at, good or not. */
  pair: ClientPair | undefined
}

const made = new WeakMap<Target, Settings>()
/** What is wrong with the pair that counts now, as it was told: once for all targets that show it. */
const told = new WeakMap<ClientIdentity, string>()

/**
 * What connections to a target are made with, read once; of an `identity` once for each pair, as it is now. The secure context that
 * another pair replaces is retired.
 */
export function securedOptions(target: Target): SecuredOptions {
  const identity = target.tls?.identity
  let settings = made.get(target)
  if (settings === undefined) {
    const pair = identity === undefined ? undefined : goodPair(identity)
    settings = { options: prepare(target, pair), pair }
    made.set(target, settings)
  }
  if (identity !== undefined) renew(target, settings, identity)
  return settings.options
}

/** The last secure context of a target, if it has been connected to. */
export function lastContext(target: Target): SecureContext | undefined {
  return made.get(target)?.options.secureContext
}

/** Takes over the pair that counts now. One that can't be used leaves the last one in its place. */
function renew(target: Target, settings: Settings, identity: ClientIdentity): void {
  try {
    const pair = currentPair(identity)
    const before = settings.pair
    if (pair === before) return
    settings.pair = pair
    // A new object for the same pair with each look, or the one that was not good just now.
    if (before !== undefined && samePair(pair, before)) return
    const { secureContext: old } = settings.options
    settings.options = { ...settings.options, secureContext: makeContext(target.tls ?? {}, pair) }
    isGood(identity, pair)
    told.delete(identity)
    if (log.enabled) log('%s: its client certificate is another one', target.id)
    // Whoever asks now may be in the middle of opening a connection.
    queueMicrotask(() => retireOld(target, old))
  } catch (error) {
    const fault = textOf(error)
    if (log.enabled) log('%s: its new client certificate: %s', target.id, fault)
    if (fault === told.get(identity)) return
    told.set(identity, fault)
    const text = `target ${target.id}: its new client certificate can't be used (${fault}); the last one stays`
    process.emitWarning(text, 'SluiceWarning')
  }
}

function retireOld({ id }: Target, key: object): void {
  try {
    retireKey(key)
  } catch (error) {
    process.emitWarning(`target ${id}: ${textOf(error)}`, 'SluiceWarning')
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : 'what was thrown is no Error'
}

function prepare(target: Target, pair: ClientPair | undefined): SecuredOptions {
  const { url, tls = {} } = target
  const { pin, servername, verify = true } = tls
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  // A server name is no address and has no dot at its end (RFC 6066 section 3).
  const name = servername ?? (isIP(host) === 0 ? host.replace(/\.$/, '') : '')
  // By the name that was asked for, or else by where the URL leads; never by `Host`, which the client may have chosen.
  const expected = name === '' ? host : name
  return {
    servername: name,
    secureContext: makeContext(tls, pair),
    rejectUnauthorized: verify,
    checkServerIdentity: (_host, certificate) =>
      identityFault(expected, certificate) ??
      (pin === undefined ? undefined : checkPins(pin, new X509Certificate(certificate.raw))),
  }
}

/** Node 22.23 finds no IPv6 address in a certificate, whichever way it is written; OpenSSL itself does. */
function identityFault(expected: string, certificate: PeerCertificate): Error | undefined {
  if (isIP(expected) === 6 && new X509Certificate(certificate.raw).checkIP(expected) !== undefined)
    return undefined
  return checkServerIdentity(expected, certificate)
}
