import { randomUUID } from 'node:crypto'
import type { Link } from './link.js'
import { acquire, release } from './scripts.js'

/** Between two looks whether a lease still stands, in ms, for a message that was lost and a holder that died. */
const lookEvery = 250

type Answer = (() => void) | undefined

/** One who waits for a lease to end. */
interface Waiter {
  /** Whose it is. `undefined`: Redis hasn't said so yet. */
  holder: string | undefined
  leave(answer: Answer): void
}

/** Those in this process who wait for the lease of a key to end. */
interface Waiters {
  readonly all: Set<Waiter>
  /** Whose has ended meanwhile: that may be told before whose it is. A message of one before may come late, and is none of this one's end. */
  readonly ended: Set<string>
  readonly timer: NodeJS.Timeout
}

const nothing = (): void => {}

/** One fetch for a key among all that share a Redis. */
export class Leases {
  private readonly link: Link
  private readonly prefix: string
  /** How long one stands at most, in ms. */
  private readonly time: number
  private readonly waiting = new Map<string, Waiters>()

  constructor(link: Link, prefix: string, time: number) {
    this.link = link
    this.prefix = prefix
    this.time = time
  }

  /**
   * Takes the lease of a key: gives what ends it. Where another has it: `undefined` when that one's has ended, what does nothing
   * after `wait` ms (0: however long it takes) or where Redis can't tell.
   */
  async take(key: string, wait: number): Promise<Answer> {
    const token = randomUUID()
    const { answer, waiter, ended } = this.wait(key, wait)
    try {
      const holder = String(await this.link.run(acquire, [this.prefix, key, token, String(this.time)]))
      if (holder === token) {
        waiter.leave(nothing)
        let held = true
        return () => {
          if (held) this.release(key, token)
          held = false
        }
      }
      waiter.holder = holder
      if (ended.has(holder)) waiter.leave(undefined)
    } catch {
      // Redis may have granted it all the same, and then nobody would have it.
      this.release(key, token)
      waiter.leave(nothing)
      return nothing
    }
    return answer
  }

  /** The lease that somebody had of a key has ended. */
  released(key: string, token: string): void {
    const waiters = this.waiting.get(key)
    if (waiters === undefined) return
    waiters.ended.add(token)
    for (const waiter of [...waiters.all]) if (waiter.holder === token) waiter.leave(undefined)
  }

  /** Nobody waits any longer. */
  close(): void {
    for (const { all } of [...this.waiting.values()]) for (const waiter of [...all]) waiter.leave(nothing)
  }

  private release(key: string, token: string): void {
    // One that can't be released ends by its time.
    this.link.run(release, [this.prefix, key, token], undefined, true).catch(() => {})
  }

  /** Begins before the lease is asked for: its end may be told before the answer comes. */
  private wait(
    key: string,
    ms: number,
  ): { answer: Promise<Answer>; waiter: Waiter; ended: ReadonlySet<string> } {
    let resolve!: (answer: Answer) => void
    const answer = new Promise<Answer>((done) => {
      resolve = done
    })
    let waiters = this.waiting.get(key)
    if (waiters === undefined) {
      const timer = setInterval(() => void this.look(key), lookEvery).unref()
      waiters = { all: new Set(), ended: new Set(), timer }
      this.waiting.set(key, waiters)
    }
    const { all, ended, timer } = waiters
    const waiter: Waiter = {
      holder: undefined,
      leave: (with_) => {
        if (!all.delete(waiter)) return
        clearTimeout(late)
        if (all.size === 0) {
          clearInterval(timer)
          this.waiting.delete(key)
        }
        resolve(with_)
      },
    }
    const late = ms === 0 ? undefined : setTimeout(waiter.leave, ms, nothing)
    late?.unref()
    all.add(waiter)
    return { answer, waiter, ended }
  }

  private async look(key: string): Promise<void> {
    const waiters = this.waiting.get(key)
    if (waiters === undefined) return
    const asked = [...waiters.all].filter(({ holder }) => holder !== undefined)
    try {
      const found = await this.link.send(['GET', `${this.prefix}l:${key}`])
      const now = found === null ? undefined : String(found)
      for (const waiter of asked) if (waiter.holder !== now) waiter.leave(undefined)
    } catch {
      for (const waiter of asked) waiter.leave(nothing)
    }
  }
}
