import type { Context, Outbound, Outcome, Reply } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { hasOther, type Target, type Tried } from '@sluice/upstream'
import { type ClientEnds, clientEnds } from './client-ends.js'
import type { ConnectHook } from './connect-hook.js'
import type { AnswerEdit, TargetName } from './rewrite.js'
import type { Timeouts } from './timeouts.js'

/** One try at sending a request to one target: what a transport is given. */
export interface Attempt {
  readonly target: Target
  /** What goes on the wire: the fields are final, but for those that the transport places itself. */
  readonly out: Outbound
  /** Aborts when nobody waits for the answer any more. Made on first read: `onClose` spares it. */
  readonly signal?: AbortSignal
  /** The protocol to upgrade to. */
  readonly upgrade?: string
  readonly timeouts: Timeouts
  /**
   * Whether it would go to another target now if it failed before anybody has seen it. Asked of one that waits for a connection: without it, it
   * waits on.
   */
  readonly movable?: boolean
  /** For whom it is sent, for transports that tell the target; nobody if it is left out (a probe). Made on read. */
  readonly client?: ClientEnds | undefined
  /** Passes an informational response (1xx) on. */
  inform(status: number, headers: HeaderList): void
  /** Calls `fn` once when the attempt is over, for whatever reason. A transport that uses it need not read `signal`. */
  onClose?<T>(fn: (end: Outcome, arg: T) => void, arg: T): void
}

/** A way to speak to targets. */
export interface Transport {
  readonly name: string
  /** What its connections go by. The transport that `forward` puts behind this one goes by it too. */
  readonly connect?: ConnectHook | undefined
  /** Whether it can carry this request. */
  accepts(out: Outbound, target: Target): boolean
  /** Sends one attempt; the reply's body flows as it comes. Rejects with ProxyError only. */
  send(attempt: Attempt): Promise<Reply>
  /** Ends connections: idle ones at once, others when their exchange ends, or at once with `force`. It sends nothing more. */
  close(force?: boolean): Promise<void>
}

/** Whether an option is a transport, and not the function that makes one. */
export function isTransport(value: unknown): value is Transport {
  if (typeof value !== 'object' || value === null) return false
  const { accepts, send, close } = value as Partial<Transport>
  return [accepts, send, close].every((each) => typeof each === 'function')
}

/** An attempt whose answer is edited before anybody has it. */
export interface EditingAttempt extends Attempt {
  /** Edits the answer's fields. It throws what a rule of the app's own throws. */
  edit(reply: Reply): void
}

/** An {@link Attempt} that stands on a context: nothing of it is made before a transport asks. */
export class ContextAttempt implements EditingAttempt {
  declare readonly upgrade?: string

  constructor(
    private readonly ctx: Context,
    readonly target: Target,
    readonly out: Outbound,
    readonly timeouts: Timeouts,
    private readonly informed: AnswerEdit | undefined,
    private readonly answered: AnswerEdit | undefined,
    private readonly name: TargetName,
  ) {
    if (ctx.upgrade !== undefined) this.upgrade = ctx.upgrade
  }

  get signal(): AbortSignal {
    return this.ctx.signal
  }

  get movable(): boolean {
    const { movable, spare, tried } = this.ctx as Tried
    return movable === true && spare !== true && hasOther(this.target, tried)
  }

  get client(): ClientEnds {
    return clientEnds(this.ctx)
  }

  inform(status: number, headers: HeaderList): void {
    this.informed?.(headers, this.ctx, this.name)
    this.ctx.inform(status, headers)
  }

  edit({ headers, version }: Reply): void {
    this.answered?.(headers, this.ctx, this.name, version)
  }

  onClose<T>(fn: (end: Outcome, arg: T) => void, arg: T): void {
    this.ctx.onClose(fn, arg)
  }
}
