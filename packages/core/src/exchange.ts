import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Socket } from 'node:net'
import { cleanAddress, type HeaderList } from '@sluice/headers'
import type { Context, Outbound, Outcome } from './context.js'
import { type InformedResponse, inform } from './inform.js'
import { asProxyError, ProxyError } from './proxy-error.js'
import type { Reply } from './reply.js'
import { report } from './report.js'
import { isWaitedBehind } from './watch-queued.js'

/** One who hears of the end, and the next one. A class, since it leads to all of an exchange: see docs/decisions/059. */
class Closer {
  next: Closer | undefined = undefined

  constructor(
    readonly fn: (end: Outcome, arg: never) => void,
    readonly arg: unknown,
  ) {}
}

interface Peer {
  readonly address: string
  readonly port: number
}

/**
 * On a socket: who is at its other end, read once for all its requests. Over HTTP/2 each request has a socket object of its own, and what is set on
 * that stands on the connection's; in a `WeakMap` each would have a place of its own, which collections of garbage go through.
 */
const peerKey = Symbol('peer')

function peerOf(socket: Socket & { [peerKey]?: Peer }): Peer {
  let peer = socket[peerKey]
  if (peer === undefined) {
    const { remoteAddress, remotePort = 0 } = socket
    // A Unix socket has no address; an IPv4 client of a dual-stack server is that IPv4 address.
    const address = remoteAddress === undefined ? '' : (cleanAddress(remoteAddress) ?? '')
    peer = { address, port: remotePort }
    socket[peerKey] = peer
  }
  return peer
}

/**
 * The context that mounts make. open ──close(outcome)──▶ closed: listeners hear once, and the signal aborts unless all
 * went well. `end` closes an exchange with every attempt of it.
 */
export class Exchange implements Context {
  readonly req: IncomingMessage | Http2ServerRequest
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly peer: Peer
  declare readonly upgrade?: string
  /** What a mount answers for `unhandled` where nobody else follows. Set by a layer that has a page for it. */
  declare unhandledPage?: () => Promise<Reply>
  /** What layers make of that answer. */
  declare unhandledEdits?: ((reply: Reply) => Reply)[]
  /** Asked as the head of the answer goes out: whether its connection is to end. */
  endsConnection: (() => boolean) | undefined = undefined
  readonly out: Outbound
  #res: InformedResponse | undefined
  #controller: AbortController | undefined = undefined
  #closers: Closer | undefined = undefined
  #lastCloser: Closer | undefined = undefined
  #forks: Exchange[] | undefined = undefined
  #outcome: Outcome | undefined = undefined
  #failure: ProxyError | undefined = undefined
  #untied = false
  /** It is a further attempt, and not the exchange itself. */
  #further = false
  /** What this attempt lives and dies with: the first exchange, or the detached attempt that it comes from. */
  #scope: Exchange = this
  #gone: Outcome | undefined = undefined
  /** Which of the further attempts sends informational responses. */
  #informs: Exchange | undefined = undefined

  constructor(
    req: IncomingMessage | Http2ServerRequest,
    scheme: 'http' | 'https',
    authority: string,
    out: Outbound,
    res?: InformedResponse,
  ) {
    this.req = req
    this.scheme = scheme
    this.authority = authority
    // A socket that has closed no longer says who it was, and logs ask at the end.
    this.peer = peerOf(req.socket)
    this.out = out
    this.#res = res
  }

  /** The connection is to end with this answer: nobody waits behind it, of a client that pipelines, whose answer would be lost. */
  get isLast(): boolean {
    return this.endsConnection?.() === true && !isWaitedBehind(this.#res, this.req.socket)
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#outcome !== undefined && this.#outcome.kind !== 'done') this.#abort(this.#outcome)
    }
    return this.#controller.signal
  }

  /** Whether this is a further attempt whose end is nobody's to tell yet. */
  get isUntied(): boolean {
    return this.#untied
  }

  /** Somebody will tell the end of this attempt. */
  tie(): void {
    this.#untied = false
  }

  /** How it ended, once it has. */
  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  /** What went wrong, if something did though the exchange is not over: an error page may still be on its way. */
  get failure(): ProxyError | undefined {
    return this.#failure
  }

  /** Notes what went wrong. The first counts. */
  failed(error: ProxyError): void {
    this.#failure ??= error
  }

  onClose<T>(fn: (end: Outcome, arg: T) => void, arg?: T): void {
    if (this.#outcome !== undefined) return fn(this.#outcome, arg as T)
    const closer = new Closer(fn, arg)
    if (this.#lastCloser === undefined) this.#closers = closer
    else this.#lastCloser.next = closer
    this.#lastCloser = closer
  }

  inform(status: number, headers: HeaderList): void {
    if (this.#outcome !== undefined || this.#res === undefined) return
    if (this.#further) {
      const scope = this.#scope
      const other = scope.#informs
      if (other !== undefined && other !== this && other.#outcome === undefined) return
      scope.#informs = this
    }
    inform(this.#res, status, headers)
  }

  cancel(error?: ProxyError): void {
    if (!this.#further) return
    const left = error === undefined || error.code === 'client_left'
    this.close(left ? abandoned(error) : { kind: 'error', error, bytes: 0 })
  }

  fork(options?: { detach?: boolean; inform?: boolean }): this {
    const detached = options?.detach === true
    const out = { ...this.out, headers: this.out.headers.slice() }
    const fork = new Exchange(
      this.req,
      this.scheme,
      this.authority,
      out,
      detached && !options.inform ? undefined : this.#res,
    )
    Object.assign(fork, this, { out })
    fork.#untied = true
    fork.#further = true
    if (!detached) {
      // An attempt that failed has closed, but others may follow it as long as the exchange itself lives.
      const scope = this.#scope
      fork.#scope = scope
      if (scope.#gone !== undefined) fork.close(scope.#gone)
      else if (scope.#forks === undefined) scope.#forks = [fork]
      else scope.#forks.push(fork)
    }
    return fork as this
  }

  /** The exchange is over: it closes with all its attempts. The first call counts. */
  end(outcome: Outcome): void {
    if (this.#gone !== undefined) return
    this.#gone = outcome
    this.close(outcome)
    const forks = this.#forks
    if (forks === undefined) return
    this.#forks = undefined
    // An attempt that goes on when all is done has lost a race: its target must hear that nobody waits. Most have ended, and an error costs
    // more than all else here.
    let left: Outcome | undefined
    for (const fork of forks) {
      if (fork.#outcome !== undefined) continue
      left ??= outcome.kind === 'done' ? abandoned() : outcome
      fork.close(left)
    }
  }

  /** It has failed by this. That its client is gone may be heard of the request first, and then the answer fails by that (HTTP/2). */
  endBy(error: ProxyError, bytes: number, status: number | undefined): void {
    this.end({ kind: error.code === 'client_left' ? 'client-left' : 'error', error, bytes, status })
  }

  /** This attempt is over; others of the exchange may follow. The first call counts. */
  close(outcome: Outcome): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    let closer = this.#closers
    this.#closers = undefined
    this.#lastCloser = undefined
    for (; closer !== undefined; closer = closer.next) this.#tell(closer, outcome)
    if (outcome.kind !== 'done' && this.#controller !== undefined) this.#abort(outcome)
  }

  /** A listener that throws must neither keep the others from hearing, whose leases would stay, nor end the process. */
  #tell({ fn, arg }: Closer, outcome: Outcome): void {
    try {
      fn(outcome, arg as never)
    } catch (error) {
      report(asProxyError(error), this)
    }
  }

  #abort(outcome: Outcome): void {
    this.#controller?.abort(outcome.error ?? new ProxyError('client_left'))
  }
}

function abandoned(
  error = new ProxyError('client_left', { message: 'nobody waits for this attempt any more' }),
): Outcome {
  return { kind: 'client-left', error, bytes: 0 }
}
