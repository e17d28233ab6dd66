import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { resetSocket } from '@sluice/core'
import { Pace } from './pace.js'
import type { PacedWork } from './paced-work.js'
import type { Refusals } from './refusals.js'
import { refuseSocket, wasRefused } from './refuse-socket.js'
import type { ServerGuardSettings } from './server-guard-options.js'
import type { SlowSettings } from './slow-options.js'
import type { SlowSender, SlowSenders } from './slow-senders.js'

/** What Node keeps of a connection beyond what it tells of. */
export type Connection = Socket & {
  /** The response that it carries now. */
  _httpMessage?: (ServerResponse & { readonly req: IncomingMessage }) | null
  /** What reads the next head of HTTP/1.1: none once the connection is handed over for something else. */
  readonly parser?: object | null
  /** Answers wait in it: Node reads no further request until they have left. */
  readonly _paused?: boolean
  /** What TLS is spoken over. */
  _parent?: Connection | null
  readonly _handle?: { readonly bytesWritten: number; readonly writeQueueSize?: number } | null
}

/** How a connection is doing, by looks from time to time: nothing is done for a request. */
export class WatchedConnection implements SlowSender {
  /** What speaks HTTP over it: itself, or TLS once its handshake is over. */
  #app: Connection | undefined
  /** Since when it is in its handshake, or has no request. */
  #since: number
  /** Bytes that had gone either way as its last answer had; -1: it carries one. */
  #written = 0
  #read = 0
  /** A head is on its way: the first one from the beginning of its connection. */
  #hasBegun = true
  /** How far its client is behind with a body that we want to read. */
  #sends: Pace | undefined
  /** How far its client is behind in taking what has been written. */
  #takes: Pace | undefined
  /** It is to be ended as soon as it is its turn. */
  #isDue = false

  /** @param secure TLS is to be spoken first */
  constructor(
    private readonly socket: Connection,
    secure: boolean,
    now: number,
    private readonly refusals: Refusals,
    private readonly work: PacedWork,
    private readonly slowSenders: SlowSenders,
  ) {
    this.#since = now
    this.#app = secure ? undefined : socket
  }

  /** Its handshake is over. */
  secured(app: Connection, now: number): void {
    this.#app = app
    this.#since = now
  }

  /** Those of HTTP/2 are looked at by their session. */
  get streams(): number {
    return 0
  }

  /** Ends it where its client is too slow. */
  look(
    now: number,
    elapsed: number,
    { handshake, head }: ServerGuardSettings,
    slow: SlowSettings | undefined,
  ): void {
    const { socket } = this
    const app = this.#app
    if (socket.destroyed || this.#isDue) return
    if (app === undefined) {
      if (now - this.#since >= handshake)
        this.#end(() => this.#app === undefined && this.#cut('handshake-timeout'))
      return
    }
    // Node does so as well, but looks more seldom, and not at those that come to a server of HTTP/2.
    if (this.#isHeadLate(app, now, head))
      return this.#end(() => waitsForHead(app, this.#written) && this.#refuse(app, 'request-timeout'))
    if (slow === undefined) return
    if (this.#takesTooLittle(elapsed, slow))
      return this.#end(() => isFull(socket) && this.#cut('reader-too-slow'))
    if (this.#sendsTooLittle(app, elapsed, slow))
      this.#end(() => owesBody(app._httpMessage) && this.#refuse(app, 'body-too-slow'))
    else if (this.#sends?.isBehind === true) this.slowSenders.add(this)
    else this.slowSenders.delete(this)
  }

  /** Its client sends in drips: they wait in the system. */
  pause(): void {
    const app = this.#app
    // Whatever else comes is read as it comes.
    if (app !== undefined && owesBody(app._httpMessage)) app.pause()
  }

  resume(): void {
    const app = this.#app
    if (app === undefined || app.destroyed || app._paused === true || isHeld(app._httpMessage)) return
    // Its next request may have made a tunnel of it: what flowed before somebody reads that would be lost.
    if (app.parser !== null && app.parser !== undefined) app.resume()
  }

  /** It has closed. */
  closed(): void {
    this.slowSenders.delete(this)
  }

  /** When it is its turn, which may be a moment later: `how` looks once more. */
  #end(how: () => void): void {
    this.#isDue = true
    this.work.add(() => {
      this.#isDue = false
      if (this.socket.destroyed) return
      this.slowSenders.delete(this)
      how()
    })
  }

  #refuse(app: Connection, reason: string): void {
    if (wasRefused(app)) return
    // Browsers open connections that they then don't need: nobody waits for an answer.
    if (app.bytesRead === 0) return void app.destroy()
    this.refusals.tell(reason, 408, this.socket.remoteAddress)
    refuseSocket(app, 408)
  }

  #isHeadLate(app: Connection, now: number, head: number): boolean {
    const { bytesRead, bytesWritten } = app
    if (!waitsForHead(app, this.#written)) {
      // There may have been some requests since the last look.
      this.#written = hasRequest(app) ? -1 : bytesWritten
      this.#read = bytesRead
      this.#hasBegun = false
      return false
    }
    if (!this.#hasBegun && bytesRead !== this.#read) {
      this.#hasBegun = true
      this.#since = now
    }
    return this.#hasBegun && head > 0 && now - this.#since >= head
  }

  /** Where the system takes nothing more off us, the client doesn't take what it has. */
  #takesTooLittle(elapsed: number, { minRate, readGrace }: SlowSettings): boolean {
    const handle = this.socket._handle
    const waiting = handle?.writeQueueSize ?? 0
    if (handle === undefined || handle === null || waiting === 0) {
      this.#takes = undefined
      return false
    }
    const taken = handle.bytesWritten - waiting
    // It may have begun only now.
    if (this.#takes === undefined) {
      this.#takes = new Pace(minRate, readGrace, taken)
      return false
    }
    return this.#takes.isLate(taken, elapsed)
  }

  #sendsTooLittle(app: Connection, elapsed: number, { grace, minRate }: SlowSettings): boolean {
    if (!owesBody(app._httpMessage)) {
      this.#sends = undefined
      return false
    }
    const { bytesRead } = this.socket
    if (this.#sends === undefined) {
      this.#sends = new Pace(minRate, grace, bytesRead)
      return false
    }
    return this.#sends.isLate(bytesRead, elapsed)
  }

  /** Reset, so that the system doesn't keep either what was written for it. */
  #cut(reason: string): void {
    const { socket } = this
    this.refusals.tell(reason, 0, socket.remoteAddress)
    if (!resetSocket(socket)) socket.destroy()
    this.#app?.destroy()
  }
}

/** Whether the system takes nothing more. */
function isFull({ _handle }: Connection): boolean {
  return (_handle?.writeQueueSize ?? 0) > 0
}

/** Whether a connection of HTTP/1.1 has no request, and had none since `written` bytes had gone. HTTP/2 begins with a word of ours. */
function waitsForHead(app: Connection, written: number): boolean {
  const { bytesWritten, parser } = app
  return bytesWritten === written && !hasRequest(app) && parser !== null && parser !== undefined
}

function hasRequest({ _httpMessage: res }: Connection): boolean {
  return res !== null && res !== undefined
}

/** Whether what has come of a body waits for whoever reads it: Node goes on by itself when they have had it. */
function isHeld(res: Connection['_httpMessage']): boolean {
  return res !== undefined && res !== null && !res.req.complete && res.req.readableLength > 0
}

/**
 * Whether a client has to send more of a body: we read, and nothing has come that we haven't read yet. Once an answer has begun it is a
 * conversation, in which either may have nothing to say.
 */
function owesBody(res: Connection['_httpMessage']): boolean {
  if (res === undefined || res === null || res.headersSent) return false
  const { req } = res
  return !req.complete && req.readableFlowing === true && req.readableLength === 0
}
