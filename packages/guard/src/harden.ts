import type { Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { parse, shortOr, that, v } from '@sluice/options'
import { clientFault } from './client-fault.js'
import type { PacedWork } from './paced-work.js'
import { Refusals } from './refusals.js'
import { refuseSocket, wasRefused } from './refuse-socket.js'
import {
  type ServerGuardOptions,
  type ServerGuardSettings,
  serverGuardOptions,
} from './server-guard-options.js'
import { nodeOptions } from './server-options.js'
import { realTime, type Seams, ServerWatch } from './server-watch.js'
import { type SlowOptions, slowOptions } from './slow-options.js'

/** A server of `node:http`, `https` or `http2`, as far as it is used here. */
export type HardenableServer = Pick<Server, 'on' | 'off' | 'prependListener'>

/** Options of {@link harden}. */
export interface HardenOptions extends ServerGuardOptions {
  /** How slow clients may be. Default on; false: off. */
  slow?: false | SlowOptions
}

const off = that<false>((value) => value === false, 'false')

/** Validates {@link HardenOptions} and fills in the defaults. */
export const hardenOptions = v.strictObject({
  ...serverGuardOptions.entries,
  slow: v.optional(shortOr(off, 'false', slowOptions), {}),
})

/** A server that is hardened, until it is disposed. */
export interface Hardened extends Disposable {
  /** How many connections and streams were refused since, by the name of the rule. */
  readonly refused: Readonly<Record<string, number>>
}

const hardened = new WeakMap<object, Hardened>()

/** Whether a server is hardened now. */
export function isHardened(server: object): boolean {
  return hardened.has(server)
}

/**
 * Gives a server what only a server can have: limits for heads, connections, HTTP/2 and slow clients, and answers to what its parser
 * refuses. It takes any server of `node:http`, `https` and `http2`; connections count that come from now on. A server that is hardened
 * already stays as it is. What Node takes only when a server is made, give it by `serverOptions()`.
 * @returns what was refused; disposed, the server is as it was
 * @throws TypeError that names the option below `path`, or if it is no server
 */
export function harden(
  server: HardenableServer,
  options: HardenOptions = {},
  path = 'harden',
  seams: Seams = realTime,
): Hardened {
  const { slow, ...settings } = parse(hardenOptions, options, path)
  if (typeof server?.on !== 'function' || !('listen' in server))
    throw new TypeError(`${path}: takes a server of node:http, https or http2`)
  const known = hardened.get(server)
  if (known !== undefined) return known
  const refusals = new Refusals()
  const watch = new ServerWatch(
    settings,
    slow === false ? undefined : slow,
    isSecure(server),
    refusals,
    seams,
  )
  const undo = [
    setLimits(server, settings),
    listen(server, 'prependListener', {
      connection: watch.onConnection,
      secureConnection: watch.onSecured,
    }),
    listen(server, 'on', {
      connection: watch.afterConnection,
      session: watch.onSession,
      drop: watch.onDrop,
      clientError: answerErrors(refusals, watch.work, settings.maxHeaderSize),
    }),
    () => watch.end(),
    () => hardened.delete(server),
  ]
  const made: Hardened = {
    refused: refusals.counts,
    [Symbol.dispose]: () => {
      for (const each of undo.splice(0)) each()
    },
  }
  hardened.set(server, made)
  return made
}

/** Whether its connections begin with TLS: those servers have contexts to change. */
function isSecure(server: object): boolean {
  return 'setSecureContext' in server
}

/** What Node looks at for each connection anew. @returns what gives the server its own back */
function setLimits(server: HardenableServer, settings: ServerGuardSettings): () => void {
  const given = server as unknown as Record<string, unknown>
  const { headersTimeout, keepAliveTimeout, requestTimeout } = nodeOptions(settings)
  const limits: Record<string, unknown> = {
    ...('headersTimeout' in server ? { headersTimeout, requestTimeout } : {}),
    // One of HTTP/2 has none for its clients of HTTP/1.1, but looks for it.
    keepAliveTimeout,
    // Beyond a number Node leaves fields out without a word, and whoever judges requests would not see them.
    ...('maxHeadersCount' in server ? { maxHeadersCount: 0 } : {}),
    ...(settings.connections > 0 ? { maxConnections: settings.connections } : {}),
  }
  const before = Object.keys(limits).map((name) => [name, given[name]] as const)
  Object.assign(given, limits)
  return () => {
    for (const [name, value] of before) given[name] = value
  }
}

function listen(
  server: HardenableServer,
  add: 'on' | 'prependListener',
  listeners: Record<string, (...args: never[]) => void>,
): () => void {
  const all = Object.entries(listeners) as [string, (...args: unknown[]) => void][]
  for (const [event, listener] of all) server[add](event, listener)
  return () => {
    for (const [event, listener] of all) server.off(event, listener)
  }
}

function answerErrors(
  refusals: Refusals,
  work: PacedWork,
  maxHeaderSize: number,
): (error: Error, socket: Duplex) => void {
  const answer = (error: Error, socket: Duplex): void => {
    if (wasRefused(socket)) return
    const { reason, status } = clientFault(error, maxHeaderSize)
    refusals.tell(reason, status, (socket as { remoteAddress?: string }).remoteAddress, error)
    refuseSocket(socket, status)
  }
  return (error, socket) => {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_HTTP_REQUEST_TIMEOUT') return answer(error, socket)
    // Node tells of all that are late in one go.
    work.add(() => {
      if (socket.destroyed) return
      // It has said nothing: no request is late, and nobody waits for an answer.
      if ((socket as Socket).bytesRead === 0) socket.destroy()
      else answer(error, socket)
    })
  }
}
