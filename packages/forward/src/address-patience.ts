import { getDefaultAutoSelectFamilyAttemptTimeout, type Socket } from 'node:net'
import type { Target } from '@sluice/upstream'

/** As long as any address may have unless the app itself says more, in ms: half of what a connection has by default. */
const most = 1_000

/**
 * How long each address of a target's name but the last may take to connect, learned for each target from how its connections end. Node gives up an
 * address that takes longer for good, where RFC 8305 section 5 only begins with the next one beside it: behind a long line, a lost packet or a
 * moment in which this process did something else, one that works is given up for one that doesn't.
 *
 *     Node's own time --- none stood, one was given up ---> twice as long, up to the limit
 *     longer than that -- at the limit none stood, or there were addresses left to try ---> Node's own time: it didn't help
 *     longer than that -- one stood behind one that was given up ---> the first of those times that is enough for it
 *
 *     limit = max(Node's own time, min(1 s, half of the time for the whole connection))
 */
export class AddressPatience {
  /** What is longer than Node's own time, in ms. Gone with its target. */
  private readonly learned = new WeakMap<Target, number>()

  /**
   * @param now monotonic milliseconds
   * @param own Node's own time in ms, which the app may change
   */
  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly own: () => number = getDefaultAutoSelectFamilyAttemptTimeout,
  ) {}

  /**
   * A connection to a target begins.
   * @param deadline ms for the whole of it; 0: no limit
   */
  begin(target: Target, deadline: number): AddressAttempts {
    const half = deadline === 0 ? most : Math.floor(deadline / 2)
    const limit = Math.max(this.own(), Math.min(half, most))
    return new AddressAttempts(this, target, Math.min(this.of(target), limit), limit, this.now)
  }

  /** One stood within `took` ms of its own after another was given up: more time than it needs would go to the dead one, each time. */
  stood(target: Target, took: number): void {
    const own = this.own()
    let enough = own
    while (enough <= took) enough *= 2
    if (enough < this.of(target)) this.set(target, enough)
  }

  /**
   * None stood, and one was given up.
   * @param had what each had
   * @param limit as long as each might have had
   * @param all whether the last one was tried, too
   */
  failed(target: Target, had: number, limit: number, all: boolean): void {
    // What another has learned meanwhile stands: connections that fail together double the time once. And one that was allowed less tells nothing of it.
    if (had !== this.of(target)) return
    const hadMore = had > this.own()
    if (had < limit && (all || !hadMore)) this.set(target, Math.min(2 * had, limit))
    else if (hadMore) this.learned.delete(target)
  }

  private of(target: Target): number {
    return Math.max(this.own(), this.learned.get(target) ?? 0)
  }

  private set(target: Target, time: number): void {
    if (time > this.own()) this.learned.set(target, time)
    else this.learned.delete(target)
  }
}

/** The addresses that one connection tries, one after the other. */
export class AddressAttempts {
  /** Node tries each once. */
  private readonly found = new Set<string>()
  private tried = 0
  private began = 0
  private hasGivenUp = false

  /** @param timeout ms for each but the last: Node's `autoSelectFamilyAttemptTimeout` */
  constructor(
    private readonly patience: AddressPatience,
    private readonly target: Target,
    readonly timeout: number,
    private readonly limit: number,
    private readonly now: () => number,
  ) {}

  /** Listens to the socket of the connection until that stands or fails. */
  watch(socket: Socket): void {
    const listeners: Record<string, (...args: unknown[]) => void> = {
      // For each address that its name has.
      lookup: (_error, address) => void this.found.add(String(address)),
      connectionAttempt: () => {
        this.tried++
        this.began = this.now()
      },
      connectionAttemptTimeout: () => {
        this.hasGivenUp = true
      },
      connect: () => {
        leave()
        if (this.hasGivenUp) this.patience.stood(this.target, this.now() - this.began)
      },
      close: () => {
        leave()
        if (!this.hasGivenUp) return
        this.patience.failed(this.target, this.timeout, this.limit, this.tried >= this.found.size)
      },
    }
    const leave = (): void => {
      for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener)
    }
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener)
  }
}

/** What is known of the targets of this process, whoever connects to them. */
export const addressPatience = new AddressPatience()
