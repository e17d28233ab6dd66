import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { HeaderList } from '@sluice/headers'
import type { BodyInit } from './body.js'
import type { ProxyError } from './proxy-error.js'

/** The request as it will go out. Layers edit this one; the inbound request is never edited. */
export interface Outbound {
  method: string
  /** The request-target's bytes as they came, in origin form. */
  path: string
  /** Without hop-by-hop fields: they were removed at ingress. */
  headers: HeaderList
  body: BodyInit
  /** Fields after the body; read after its end. */
  trailers?: () => HeaderList | undefined
}

/** How an exchange or an attempt ended. */
export interface Outcome {
  readonly kind: 'done' | 'client-left' | 'error'
  readonly error?: ProxyError
  /** Body bytes that went to the client. */
  readonly bytes: number
  /**
   * Of the exchange: the status that the client was told. Nothing where no head has gone out, since the client has left or the
   * connection was cut, and where the app's next handler answers.
   */
  readonly status?: number | undefined
}

/** A class, since of its methods alone the compiler knows that a spread leaves them behind: `next({ ...ctx })` is no context. */
declare abstract class ContextMethods {
  /** Calls `fn` once, after the last byte or the abort; at once if that was before. `arg` spares a closure. */
  abstract onClose(fn: (end: Outcome) => void): void
  abstract onClose<T>(fn: (end: Outcome, arg: T) => void, arg: T): void
  /**
   * Sends an informational response (1xx) to the client, where the connection can carry one now. Of attempts that run beside
   * each other only that one's go out which was first to send any: a client would take those of another for the same answer's.
   */
  abstract inform(status: number, headers: HeaderList): void
  /**
   * A further attempt of this exchange: own added keys, own `out`, own `signal` and `onClose`, which fires when the
   * attempt's body has ended. A detached one is bound to no client: it goes on when the client leaves. With `inform` the client
   * that has asked still gets its informational responses, as long as it waits.
   */
  abstract fork(options?: { detach?: boolean; inform?: boolean }): this
  /**
   * Gives this attempt up: its fork closes as failed, and its transport hears at once. Other attempts and the exchange go on. On
   * the exchange itself, which is no fork, it does nothing: that one ends with what the client gets. The first end counts.
   * @param error what has failed, which counts against the target if that is its source. Default `client_left`: nobody waits for
   * it any more, and it counts for nothing
   */
  abstract cancel(error?: ProxyError): void
}

/** One exchange, or one attempt of it, on its way through the chain. Layers add their own keys to it. */
export interface Context extends ContextMethods {
  /** As it came in. Never edited. */
  readonly req: IncomingMessage | Http2ServerRequest
  /** What this server was spoken to in. */
  readonly scheme: 'http' | 'https'
  /** Host and port that the client asked for: `Host`, `:authority`, or those of an absolute request-target. */
  readonly authority: string
  /** The protocol asked for on an upgrade mount, for instance `websocket`. */
  readonly upgrade?: string
  /** What the socket says of the other end. */
  readonly peer: { readonly address: string; readonly port: number }
  readonly out: Outbound
  /**
   * A layer has let this request in for who has made it, and may have taken off what says so. Caches further in treat it as one with
   * `Authorization`: others get an answer to it only where that says so (RFC 9111 section 3.5).
   */
  authorized?: boolean
  /** Aborts when the exchange (of a fork: the attempt) ends in any other way than well. Made on first read. */
  readonly signal: AbortSignal
}
