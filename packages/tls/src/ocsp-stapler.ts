import { createHash } from 'node:crypto'
import type { Server } from 'node:tls'
import { type Duration, integer, parse, positiveDuration, that, v } from '@sluice/options'
import { LRUCache } from 'lru-cache'
import { type After, later } from './after.js'
import { answerOcspRequests } from './answer-ocsp-requests.js'
import { askResponder, prepareToAsk } from './ask-responder.js'
import { mustStaple } from './must-staple.js'
import { type OcspFetch, ocspFetch } from './ocsp-fetch.js'
import { type OcspSeams, OcspStaple } from './ocsp-staple.js'
import { type OcspEvent, tellOcsp, warnOfOcsp } from './tell-ocsp.js'
import { Turns } from './turns.js'

/** Questions that are under way at a time: a server with a thousand certificates has a thousand to ask when it starts. */
const atOnce = 8

/** Options of {@link ocspStapler}. */
export interface OcspStaplerOptions {
  /** How long a responder may take for its whole answer. Default 10s. */
  timeout?: Duration
  /** How long handshakes wait for the first staple of a certificate that must be stapled, from when it was asked for; no others wait. Default 2s. */
  wait?: Duration
  /** Certificates whose staples are held; beyond that the one that was needed the longest ago is let go of. Default 1000. */
  certificates?: number
  /** Takes a question to a responder in place of `node:http`: through a proxy, say. Its answer is checked all the same. */
  fetch?: OcspFetch
  /** Hears of `'revoked'` and `'missing'`, each once until there is a good answer again. Default: a warning of the process. */
  onFault?: (event: OcspEvent) => void
  /** Milliseconds since 1970. Default `Date.now`. */
  clock?: () => number
  /** From 0 to below 1. Default `Math.random`. */
  random?: () => number
}

/** Gets what servers staple, and keeps it fresh. Disposed, it staples nothing and asks nobody. */
export interface OcspStapler extends Disposable {
  /**
   * What to staple to a certificate now. Waits for nothing, except where there is nothing yet and the certificate must be stapled: then as
   * long as `wait`. Never rejects.
   * @param certificate in DER
   * @param issuer in DER
   */
  staple(certificate: Uint8Array, issuer: Uint8Array): Promise<Buffer | undefined>
  /** Asks for a certificate's staple before any client does, and waits for the answer as long as `timeout`. Never rejects. */
  preload(certificate: Uint8Array, issuer: Uint8Array): Promise<Buffer | undefined>
  /**
   * Answers a server's `OCSPRequest`, which Node raises in full handshakes of clients that ask for a staple. Gives what undoes it.
   * @throws TypeError where somebody answers it already
   */
  attach(server: Server): () => void
}

const isFunction = (value: unknown): boolean => typeof value === 'function'
const schema = v.strictObject({
  timeout: v.optional(positiveDuration(), 10_000),
  wait: v.optional(positiveDuration(), 2_000),
  certificates: v.optional(integer(1), 1_000),
  fetch: v.optional(that<OcspFetch>(isFunction, 'a function'), () => ocspFetch),
  onFault: v.optional(that<(event: OcspEvent) => void>(isFunction, 'a function'), () => warnOfOcsp),
  clock: v.optional(that<() => number>(isFunction, 'a function'), () => Date.now),
  random: v.optional(that<() => number>(isFunction, 'a function'), () => Math.random),
})

interface Held {
  readonly staple: OcspStaple
  readonly must: boolean
  /** It must be stapled, wasn't, and that was told. */
  missing: boolean
}

/**
 * Staples of OCSP (RFC 6960; RFC 6066 section 8): the authority's word that a certificate isn't revoked, sent along by the server, so that no client has to ask for it. One answer
 * serves all handshakes until it is renewed in the background, well before its end; where none comes, the last one serves until its end.
 *
 * A certificate that names no responder isn't stapled, and one that is revoked isn't either.
 * @param path where the options stand, for errors
 * @param after timers, for tests
 * @throws TypeError that names the option
 */
export function ocspStapler(
  options: OcspStaplerOptions = {},
  path = 'ocspStapler',
  after: After = later,
): OcspStapler {
  const { timeout, wait, certificates, fetch, onFault, clock, random } = parse(schema, options, path)
  prepareToAsk()
  const seams: OcspSeams = { clock, random, after }
  const asking = { fetch, timeout, turns: new Turns(atOnce), seams }
  const all = new LRUCache<string, Held>({ max: certificates, dispose: ({ staple }) => staple.close() })
  let closed = false

  const heldOf = (certificate: Uint8Array, issuer: Uint8Array): Held => {
    const key = createHash('sha256').update(certificate).update(issuer).digest('base64')
    const found = all.get(key)
    if (found !== undefined) return found
    const staple = new OcspStaple({
      ask: (signal) => askResponder(certificate, issuer, signal, asking),
      wait,
      seams,
      told: (status, reason) => {
        if (status === 'good') held.missing = false
        tellOcsp(certificate, status, reason, onFault)
      },
    })
    const held: Held = { staple, must: mustStaple(certificate), missing: false }
    all.set(key, held)
    return held
  }

  const staple = async (certificate: Uint8Array, issuer: Uint8Array): Promise<Buffer | undefined> => {
    if (closed) return undefined
    const held = heldOf(certificate, issuer)
    const found = held.staple.take()
    if (found !== undefined || !held.must) return found
    await held.staple.waited
    const late = held.staple.take()
    if (late !== undefined || held.missing || held.staple.revoked || closed) return late
    held.missing = true
    tellOcsp(certificate, 'missing', `it must be stapled (RFC 7633): ${held.staple.why}`, onFault)
    return undefined
  }

  return {
    staple,
    async preload(certificate, issuer) {
      if (closed) return undefined
      const held = heldOf(certificate, issuer)
      const found = held.staple.take()
      if (found !== undefined) return found
      await held.staple.settled
      return held.staple.take()
    },
    attach: (server) => answerOcspRequests(server, staple),
    [Symbol.dispose]() {
      closed = true
      all.clear()
    },
  }
}
