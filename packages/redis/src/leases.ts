import { randomUUID } from 'node:crypto'
import type { Link } from './link.js'
import { release } from './scripts.js'

/** Between two looks whether a lease still stands, in ms, for a message that was lost and a holder that died. */
const lookEvery = 250

type Answer = (() => void) | undefined

/** Those in this process who wait for the lease of a key to end. */
interface Waiters {
  readonly all: Set<(answer: Answer) => void>
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
    const ended = this.wait(key, wait)
    try {
      const args = ['SET', `${this.prefix}l:${key}`, token, 'NX', 'PX', String(this.time)]
      if ((await this.link.send(args)) !== null) {
        ended.leave(nothing)
        let held = true
        return () => {
          if (held) this.release(key, token)
          held = false
        }
      }
    } catch {
      // Redis may have granted it all the same, and then nobody would have it.
      this.release(key, token)
      ended.leave(nothing)
      return nothing
    }
    return ended.answer
  }

  /** The lease of a key has ended somewhere. */
  released(key: string): void {
    const waiters = this.waiting.get(key)
    if (waiters !== undefined) for (const answer of [...waiters.all]) answer(undefined)
  }

  /** Nobody waits any longer. */
  close(): void {
    for (const { all } of [...this.waiting.values()]) for (const answer of [...all]) answer(nothing)
  }

  private release(key: string, token: string): void {
    // One that can't be released ends by its time.
    this.link.run(release, [this.prefix, key, token], undefined, true).catch(() => {})
  }

  /** Begins before the lease is asked for: its end may be told before the answer comes. */
  private wait(key: string, ms: number): { answer: Promise<Answer>; leave(answer: Answer): void } {
    let resolve!: (answer: Answer) => void
    const answer = new Promise<Answer>((done) => {
      resolve = done
    })
    let waiters = this.waiting.get(key)
    if (waiters === undefined) {
      waiters = { all: new Set(), timer: setInterval(() => void this.look(key), lookEvery).unref() }
      this.waiting.set(key, waiters)
    }
    const { all, timer } = waiters
    const leave = (with_: Answer): void => {
      if (!all.delete(leave)) return
      clearTimeout(late)
      if (all.size === 0) {
        clearInterval(timer)
        this.waiting.delete(key)
      }
      resolve(with_)
    }
    const late = ms === 0 ? undefined : setTimeout(leave, ms, nothing)
    late?.unref()
    all.add(leave)
    return { answer, leave }
  }

  private async look(key: string): Promise<void> {
    const waiters = this.waiting.get(key)
    if (waiters === undefined) return
    const asked = [...waiters.all]
    try {
      if ((await this.link.send(['EXISTS', `${this.prefix}l:${key}`])) !== 0) return
      for (const leave of asked) leave(undefined)
    } catch {
      for (const leave of asked) leave(nothing)
    }
  }
}
