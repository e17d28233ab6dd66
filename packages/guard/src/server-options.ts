import type { ServerHttp2Session } from 'node:http2'
import { parse } from '@sluice/options'
import {
  type ServerGuardOptions,
  type ServerGuardSettings,
  serverGuardOptions,
} from './server-guard-options.js'

/** Options for `createServer` of `node:http`, `https` and `http2`. Each of these takes what it knows. */
export interface NodeServerOptions {
  readonly headersTimeout: number
  readonly requestTimeout: number
  readonly connectionsCheckingInterval: number
  readonly keepAliveTimeout: number
  /** Of TCP. */
  readonly keepAlive: true
  readonly keepAliveInitialDelay: number
  readonly maxHeaderSize: number
  readonly requireHostHeader: true
  readonly insecureHTTPParser: false
  readonly handshakeTimeout: number
  readonly unknownProtocolTimeout: number
  readonly settings: {
    readonly maxConcurrentStreams: number
    readonly maxHeaderListSize: number
    readonly initialWindowSize: number
  }
  readonly maxHeaderListPairs: number
  readonly maxSendHeaderBlockLength: number
  readonly maxSessionInvalidFrames: number
  readonly maxSessionRejectedStreams: number
  readonly maxSessionMemory: number
  readonly maxSettings: number
  /** Of Node 22 and later; earlier ones have nghttp2's own. */
  readonly streamResetBurst: number
  readonly streamResetRate: number
}

/** How often Node looks for heads that are late, at most, in ms. */
const lookAtMost = 5_000
/**
 * After so long without a byte the system asks whether there is still a client, in ms, and gives up ten seconds later: libuv has it asked ten times, a second apart. One whose network is gone
 * says nothing: behind an answer that may have nothing to say for hours, such as an event stream, it would hold its connection and a target's for ever.
 */
const askedAfter = 60_000
/**
 * Bytes of a header list of HTTP/2 that Node still hands over, its own default: a stream with more is reset without an answer, and
 * `validate` has one. Each field counts 32 bytes more than it has.
 */
const listSizeAtLeast = 65_535
/**
 * Fields of a head of HTTP/2 that Node still hands over: what `validate` lets through by default, each of its cookies in a field of its own as
 * browsers send them. By Node's default of 128 a browser with that many cookies would have each of its streams reset.
 */
const fieldsAtMost = 320
/**
 * Bytes of a head that Node sends over HTTP/2, 12 more for each field than it has: all that a target's may have (64 KB in 1,000 fields) and what layers add.
 * By Node's default of 64 KB a client of HTTP/2 would get 502 where one of HTTP/1.1 has its answer.
 */
const sentAtMost = 128 * 1024
/**
 * Megabytes that Node lets a connection of HTTP/2 hold for each stream that it may have: what a proxy reads of a target at once, and may have waiting
 * for the client. By Node's default, 10 MB for all, a client with some 100 large downloads could begin nothing else, and would be cut off for trying.
 */
const ofStream = 0.128
const base = 10
const memoryAtMost = 4_096
/**
 * How many times as many resets nghttp2 takes as {@link harden} does. It counts those of streams that have had their answer too, which players and gRPC
 * send all day, and ends the connection without a count or a word: it is there for what no listener hears of.
 */
const secondLine = 20
/** Bodies that may come at full speed over one connection of HTTP/2. Node gives its window back as bytes come, so a body that isn't read doesn't stop the others. */
const bodiesAtOnce = 16
/** Frames of HTTP/2 that are none, or streams that were refused: a client that goes on after so many is none. */
const invalidAtMost = 100

/**
 * The limits of a server that have to be there when it is made: `createServer({ ...serverOptions() })`. The others come with
 * `harden(server)`.
 * @throws TypeError that names the option below `path`
 */
export function serverOptions(options: ServerGuardOptions = {}, path = 'server'): NodeServerOptions {
  return nodeOptions(parse(serverGuardOptions, options, path))
}

/** {@link serverOptions} of settings that have been read. */
export function nodeOptions(guard: ServerGuardSettings): NodeServerOptions {
  const { handshake, head, keepAlive, maxHeaderSize, request, resets, streams, window } = guard
  return {
    // Node refuses a limit for heads beyond that for whole requests.
    headersTimeout: request > 0 ? Math.min(head, request) : head,
    requestTimeout: request,
    connectionsCheckingInterval: checkingInterval(head, request),
    keepAliveTimeout: keepAlive,
    keepAlive: true,
    keepAliveInitialDelay: askedAfter,
    maxHeaderSize,
    requireHostHeader: true,
    insecureHTTPParser: false,
    handshakeTimeout: handshake,
    unknownProtocolTimeout: handshake,
    settings: {
      maxConcurrentStreams: streams,
      maxHeaderListSize: Math.max(listSizeAtLeast, 2 * maxHeaderSize),
      initialWindowSize: window,
    },
    maxHeaderListPairs: fieldsAtMost,
    maxSendHeaderBlockLength: sentAtMost,
    maxSessionInvalidFrames: invalidAtMost,
    maxSessionRejectedStreams: invalidAtMost,
    maxSessionMemory: Math.min(memoryAtMost, base + Math.ceil(streams * ofStream)),
    maxSettings: 32,
    streamResetBurst: secondLine * resets.burst,
    streamResetRate: secondLine * resets.rate,
  }
}

/**
 * Opens the window of a whole connection, where a stream has `window`: SETTINGS can't say it (RFC 9113 section 6.9.2).
 * @param session whose SETTINGS have said the one of its streams; nothing is done where another listener has ended it
 */
export function openWindow(session: ServerHttp2Session, window: number): void {
  if (!session.destroyed) session.setLocalWindowSize(Math.min(bodiesAtOnce * window, 2 ** 31 - 1))
}

/** A fourth of the shortest limit: nobody gets a good deal more than that. */
function checkingInterval(head: number, request: number): number {
  const limits = [head, request].filter((ms) => ms > 0)
  return Math.max(10, Math.min(lookAtMost, ...limits.map((ms) => Math.ceil(ms / 4))))
}
