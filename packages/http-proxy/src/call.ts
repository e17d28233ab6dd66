import type { Duplex } from 'node:stream'
import type { InboundResponse } from '@sluice/core'

const marker = Symbol('sluice.http-proxy.call')
type Marked = { [marker]?: AwaitedCall }

/**
 * What `web` and `ws` give back. It can be left alone, as http-proxy's callers do; awaited, it is over when the response or the socket has closed, and
 * rejects with an error that neither a callback nor a listener hears: who awaits has to answer then.
 */
export interface Call extends PromiseLike<void> {
  /** As a promise's. */
  catch<T = never>(fn?: ((error: unknown) => T | PromiseLike<T>) | null): Promise<T | void>
  /** As a promise's. */
  finally(fn?: (() => void) | null): Promise<void>
}

/* oxlint-disable unicorn/no-thenable -- it is a promise; `await` comes through its `then` */

/** A promise that knows whether somebody waits, and never becomes a rejection that nobody handles. */
class AwaitedCall extends Promise<void> {
  wanted = false
  private settle: () => void = ignore
  private refuse: (error: Error) => void = ignore

  constructor(private readonly res: InboundResponse | Duplex) {
    let settle = ignore
    let refuse: (error: Error) => void = ignore
    super((done, failed) => {
      settle = done
      refuse = failed
    })
    this.settle = settle
    this.refuse = refuse
  }

  /** What `then` gives is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise; `await` comes through here
  override then<T = void, U = never>(
    done?: ((value: void) => T | PromiseLike<T>) | null,
    failed?: ((error: unknown) => U | PromiseLike<U>) | null,
  ): Promise<T | U> {
    if (!this.wanted) {
      this.wanted = true
      const { res } = this
      if (hasClosed(res)) this.settle()
      else res.on('close', this.settle)
    }
    return super.then(done, failed)
  }

  over(): void {
    this.settle()
  }

  fail(error: Error): void {
    this.refuse(error)
  }
}

/** A call that answers `res`. */
export function startCall(res: InboundResponse | Duplex): Call {
  const call = new AwaitedCall(res)
  ;(res as Marked)[marker] = call
  return call
}

/** A step has ended the call, or somebody has heard of its error: there is nothing more to wait for. */
export function endCall(res: InboundResponse | Duplex): void {
  ;(res as Marked)[marker]?.over()
}

/** Gives an error to whoever awaits the call; false if nobody does. */
export async function isTaken(res: InboundResponse | Duplex, error: Error): Promise<boolean> {
  const call = (res as Marked)[marker]
  if (call === undefined) return false
  // `await` asks for the promise when the call has returned, which may be after this.
  if (!call.wanted) await new Promise((turn) => setImmediate(turn))
  if (!call.wanted) return false
  call.fail(error)
  return true
}

function hasClosed(res: InboundResponse | Duplex): boolean {
  // A response of HTTP/2 says nothing of it; its stream does.
  return 'stream' in res ? (res.stream as Duplex | undefined)?.destroyed !== false : res.destroyed === true
}

function ignore(): void {}
