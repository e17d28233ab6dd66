import type { Duplex } from 'node:stream'
import type { InboundResponse } from '@sluice/core'

const marker = Symbol('sluice.http-proxy.call')
type Marked = { [marker]?: LazyCall }

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

/* oxlint-disable unicorn/no-thenable -- a promise that is made when somebody waits; `await` comes through its `then` */

/** Makes its promise when somebody asks for it: most callers don't, and so there is no rejection either that nobody handles. */
class LazyCall implements Call {
  private promise: Promise<void> | undefined = undefined
  private settle: (() => void) | undefined = undefined
  private refuse: ((error: Error) => void) | undefined = undefined
  private ended = false

  constructor(private readonly res: InboundResponse | Duplex) {}

  /** Somebody waits. */
  get wanted(): boolean {
    return this.promise !== undefined
  }

  // biome-ignore lint/suspicious/noThenProperty: as above
  then<T = void, U = never>(
    done?: ((value: void) => T | PromiseLike<T>) | null,
    failed?: ((error: unknown) => U | PromiseLike<U>) | null,
  ): Promise<T | U> {
    return this.made().then(done, failed)
  }

  catch<T = never>(failed?: ((error: unknown) => T | PromiseLike<T>) | null): Promise<T | void> {
    return this.made().catch(failed)
  }

  finally(fn?: (() => void) | null): Promise<void> {
    return this.made().finally(fn)
  }

  over(): void {
    this.ended = true
    this.settle?.()
  }

  fail(error: Error): void {
    this.refuse?.(error)
  }

  private made(): Promise<void> {
    this.promise ??= new Promise((settle, refuse) => {
      this.settle = settle
      this.refuse = refuse
      const { res } = this
      if (this.ended || hasClosed(res)) settle()
      else res.on('close', settle)
    })
    return this.promise
  }
}

// Express 5 warns of promises that aren't instances of this.
Object.setPrototypeOf(LazyCall.prototype, Promise.prototype)

/** A call that answers `res`. */
export function startCall(res: InboundResponse | Duplex): Call {
  const call = new LazyCall(res)
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
