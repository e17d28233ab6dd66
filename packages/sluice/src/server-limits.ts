import type { Http2Server } from 'node:http2'
import type { Server } from 'node:net'
import { harden, type ServerGuardOptions, type SlowOptions, serverOptions } from '@sluice/guard'

/** How long clients of a server of ours may take, in ms. */
export interface ServerLimits {
  /** For a whole request. */
  readonly requestTimeout: number
  /** For the head of a request of HTTP/1.1, and for the first byte of a connection. */
  readonly headersTimeout: number
  /** While nothing goes over a connection of HTTP/2; looked at so often, so that it may take twice as long. */
  readonly quiet: number
  /** From our end of an HTTP/2 connection to the client's. */
  readonly linger: number
  /** How often Node looks for heads that are late. */
  readonly connectionsCheckingInterval?: number
  /** Of TCP: a client that is gone without a word is noticed. */
  readonly keepAlive: true
  readonly keepAliveInitialDelay: number
  /** What else a server of HTTP/2 is made with. */
  readonly http2?: object
}

/** What `createProxy({ guard })` has for servers of our own. */
export interface ListenGuard {
  /** Default on; false: `slow` is off too. */
  readonly server?: false | ServerGuardOptions
  /** Default on. */
  readonly slow?: false | SlowOptions
}

const { keepAlive, keepAliveInitialDelay } = serverOptions()

/**
 * Without a guard. Uploads may take longer than Node's 5 minutes for a whole request: their idle time is limited, not their length.
 * Heads have Node's minute, which has to be said: with no limit for requests Node has none for heads either, and a client that says
 * nothing stays for ever. Of HTTP/2 it never limits anything.
 */
export const serverLimits: ServerLimits = {
  requestTimeout: 0,
  headersTimeout: 60_000,
  quiet: 60_000,
  linger: 5000,
  keepAlive,
  keepAliveInitialDelay,
}

/** What a server of ours is made with. */
export function limitsOf({ server }: ListenGuard): ServerLimits {
  if (server === false) return serverLimits
  const { settings, ...options } = serverOptions(server, 'guard.server')
  return { ...serverLimits, ...options, http2: { ...options, settings } }
}

/** Hardens a server of ours, unless that is off. */
export function hardenBy(server: Server | Http2Server, { server: options, slow }: ListenGuard): void {
  if (options === false) return
  harden(server, { ...options, ...(slow === undefined ? undefined : { slow }) }, 'guard.server')
}
