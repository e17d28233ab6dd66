import { AsyncResource } from 'node:async_hooks'

/**
 * Milliseconds of each turn of the event loop that go to answers larger than a buffer before what is left of them waits for the next turn. A request for
 * something small takes two or three turns.
 */
const perTurn = 2
/**
 * What a read of 64 KB and the writing of it takes at first thought, and at least, in ms. It is often not written yet when it is measured: Node writes to HTTP/2 at
 * the end of the turn, and a layer may hand it on later still.
 */
const readAtFirst = 0.05
const readAtLeast = 0.05
/** Reads in one turn where more wait, at most, for the same reason: a megabyte to clients of HTTP/2 takes some 7 ms, of which we see 0.2. */
const ofMany = 16
/** The last so many reads make what one is taken to cost. */
const remembered = 8

/** A connection that has more to read. */
export interface Reader {
  /** Its turn has come. */
  readOn(): void
}

/** What tells it of time. */
export interface TurnClock {
  /** Milliseconds. */
  now(): number
  /** Calls back in the next turn of the event loop. */
  nextTurn<T>(fn: (arg: T) => void, arg: T): void
  /** Calls back when all has been written that the code which runs now has to write. */
  afterwards<T>(fn: (arg: T) => void, arg: T): void
}

/**
 * Shares out each turn of the event loop among the answers that are larger than a buffer. The system gives what it has, 2 MB of a connection
 * in one turn: with hundreds of them, whose clients may not even take it, everybody else's requests would wait for it. It is counted in time and not in bytes, since a write of 64 KB
 * takes 0.03 ms, and fifty times as long where the system has no memory at hand for it (docs/decisions/055).
 */
export class ReadTurns {
  private left = perTurn
  private isDue = false
  private cost = readAtFirst
  private began = 0
  private waiting: Reader[] = []

  constructor(private readonly clock: TurnClock) {}

  /** Its time: for when a read begins to be handled. */
  now(): number {
    return this.clock.now()
  }

  /**
   * A read that filled its buffer has been handled.
   * @param began when that began, by `now`
   * @returns whether it may read on at once. If not, it is told
   */
  mayReadOn(reader: Reader, began: number): boolean {
    this.began = began
    this.clock.afterwards(written, this)
    this.ask()
    if (this.left > 0) return true
    this.waiting.push(reader)
    return false
  }

  /** What came in the last read has been written. */
  written(): void {
    const took = this.clock.now() - this.began
    this.left -= Math.max(took, readAtLeast)
    this.cost += (took - this.cost) / remembered
  }

  turn(): void {
    this.isDue = false
    this.left = perTurn
    const { waiting } = this
    if (waiting.length === 0) return
    this.ask()
    const fit = Math.min(ofMany, Math.max(1, Math.floor(perTurn / this.cost)))
    // Where more wait than there is time for, each has one read.
    if (waiting.length >= fit) this.left = 0
    this.waiting = waiting.slice(fit)
    for (let i = 0; i < fit && i < waiting.length; i++) (waiting[i] as Reader).readOn()
  }

  private ask(): void {
    if (this.isDue) return
    this.isDue = true
    this.clock.nextTurn(turn, this)
  }
}

function written(turns: ReadTurns): void {
  turns.written()
}

function turn(turns: ReadTurns): void {
  turns.turn()
}

/** The real ones: fake timers in an app's tests stop its clock, and not its proxy's reads. */
const now = performance.now.bind(performance)
const immediately = setImmediate
const { nextTick } = process
/** Nobody's: each turn asks for the next, and all would be that request's which has asked first, and its `AsyncLocalStorage` held for as long as there is load. */
const outside = new AsyncResource('sluice:read-turns')

/** Those of this process. */
export const readTurns = new ReadTurns({
  now,
  nextTurn: (fn, arg) => void outside.runInAsyncScope(immediately, undefined, fn, arg),
  afterwards: (fn, arg) => nextTick(fn, arg),
})
