import type { Server } from 'node:tls'
import { type Duration, integer, parse, positiveDuration, secret as secretly, v } from '@sluice/options'
import { attachTicketKeys } from './attach-ticket-keys.js'
import { PassingSecrets } from './passing-secrets.js'
import { TicketKeyRing, type TicketKeySettings } from './ticket-key-ring.js'

/** Options of {@link ticketKeys}. */
export interface TicketKeysOptions {
  /**
   * What keys are derived from, 32 bytes or more: every process and machine that has it opens the tickets of all. Of several the first
   * seals, and all open: a new one comes first, the old one goes when its tickets have run out. Default random ones of this process, each
   * forgotten when its tickets have run out.
   * Whoever knows it reads recorded sessions of TLS 1.2, so guard it as a private key, and change it at times.
   */
  secret?: string | Buffer | readonly (string | Buffer)[]
  /** How long a key seals. Default 12h. */
  rotate?: Duration
  /** How many keys before the sealing one still open. Default 2. */
  keep?: number
  /** Milliseconds since 1970, the same for all who share a secret. Default `Date.now`. */
  clock?: () => number
}

/** Keys for the tickets of TLS sessions. */
export interface TicketKeys {
  /**
   * Keys of their own for a policy, whatever text stands for it: a ticket that was sealed under another one is not opened, and its
   * client makes a whole handshake.
   */
  bindTo(policy: string): TicketKeys
  /**
   * Seals and opens the tickets of a server of Node's, until disposed; its own random keys do that then. To be called again after
   * `server.setSecureContext`, since a new context has none of this.
   * @throws TypeError for a server without TLS
   */
  attach(server: Server): Disposable
}

const shortest = 32
const isSecret = (value: unknown): boolean =>
  (typeof value === 'string' || Buffer.isBuffer(value)) && Buffer.byteLength(value) >= shortest

const schema = v.strictObject({
  secret: v.optional(
    secretly<string | Buffer | readonly (string | Buffer)[]>(
      (value) => isSecret(value) || (Array.isArray(value) && value.length > 0 && value.every(isSecret)),
      `a secret of ${shortest} bytes or more, or a list of them`,
    ),
  ),
  rotate: v.optional(positiveDuration(), '12h'),
  keep: v.optional(integer(0, 100), 2),
  clock: v.optional(
    v.custom<() => number>((value) => typeof value === 'function', 'a function that returns milliseconds'),
    () => Date.now,
  ),
})

/**
 * Keys for session tickets (RFC 5077, RFC 8446 section 4.6.1) that change by themselves, and that processes and machines share with
 * no traffic: they are derived from the secret and the number of the period since 1970. The next period's key opens already, for
 * machines whose clocks are ahead. A ticket costs a look-up of 16 bytes, and 16 random ones to seal it.
 * @param path where the options stand in what the user wrote
 * @throws TypeError for a wrong option; no error shows a secret
 */
export function ticketKeys(options: TicketKeysOptions = {}, path = 'ticketKeys'): TicketKeys {
  const { secret, rotate, keep, clock } = parse(schema, options, path)
  const secrets =
    secret === undefined
      ? new PassingSecrets()
      : (Array.isArray(secret) ? secret : [secret]).map((each) => Buffer.from(each))
  return bound({ secrets, rotate, keep, clock }, '')
}

function bound(settings: TicketKeySettings, policy: string): TicketKeys {
  const ring = new TicketKeyRing(settings, policy)
  return {
    bindTo: (text) => bound(settings, text),
    attach: (server) => attachTicketKeys(server, ring),
  }
}
