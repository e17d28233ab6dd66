/** Between one turn and the next, in ms. */
const step = 5
/** In this time each has its turn, in ms. */
const round = 500
/** Fewer than so many are read as they come: all of them at once take a millisecond. */
const manyFrom = 64

/** One whose client sends less of a body than it should. */
export interface SlowSender {
  /** Nothing more is to be read of it for now. */
  pause(): void
  resume(): void
}

/**
 * Clients that send their bodies in drips. Those of an attacker send theirs at the same moment, and all others would wait for the heap: 1,000
 * of them are 20 to 50 ms of work. So where there are many each is read for one step of every round, and what it sends meanwhile
 * waits in the system.
 */
export class SlowSenders {
  /** Whose turn is next comes first. */
  readonly #senders = new Set<SlowSender>()
  #reading: SlowSender[] = []
  #stop: (() => void) | undefined

  /** @param every calls again and again, without keeping the process, until what it gives is called */
  constructor(private readonly every: (ms: number, fn: () => void) => () => void) {}

  add(sender: SlowSender): void {
    if (this.#senders.has(sender)) return
    this.#senders.add(sender)
    if (this.#stop !== undefined) return sender.pause()
    if (this.#senders.size < manyFrom) return
    for (const each of this.#senders) each.pause()
    this.#stop = this.every(step, this.#turn)
  }

  /** From now on it is read as it comes. */
  delete(sender: SlowSender): void {
    if (!this.#senders.delete(sender)) return
    if (this.#stop === undefined) return
    sender.resume()
    if (this.#senders.size < manyFrom / 2) this.#rest()
  }

  /** All are read as they come. */
  clear(): void {
    this.#rest()
    this.#senders.clear()
  }

  readonly #turn = (): void => {
    for (const each of this.#reading) if (this.#senders.has(each)) each.pause()
    this.#reading = []
    let left = Math.ceil((this.#senders.size * step) / round)
    for (const each of this.#senders) {
      if (left-- === 0) break
      this.#senders.delete(each)
      this.#senders.add(each)
      this.#reading.push(each)
      each.resume()
    }
  }

  #rest(): void {
    if (this.#stop === undefined) return
    this.#stop()
    this.#stop = undefined
    this.#reading = []
    for (const each of this.#senders) each.resume()
  }
}
