import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { type Reader, ReadTurns, readTurns } from './read-turns.js'

/** An event loop whose time goes by as its readers work. */
class Loop {
  time = 0
  private readonly later: (() => void)[] = []
  readonly turns = new ReadTurns({
    now: () => this.time,
    nextTurn: (fn, arg) => void this.later.push(() => fn(arg)),
    afterwards: (fn, arg) => void this.after.push(() => fn(arg)),
  })
  private readonly after: (() => void)[] = []

  get idle(): boolean {
    return this.later.length === 0
  }

  /** What the system does with one read: `ms` to handle and write it. */
  read(reader: Reader, ms: number): boolean {
    const began = this.time
    const more = this.turns.mayReadOn(reader, began)
    this.time += ms
    for (const fn of this.after.splice(0)) fn()
    return more
  }

  turn(): void {
    for (const fn of this.later.splice(0)) fn()
  }
}

/** One that has so many reads to do, each of which takes `ms`. */
class Download implements Reader {
  private ready = true
  done = 0

  constructor(
    private readonly loop: Loop,
    private left: number,
    private readonly ms: number,
  ) {}

  get over(): boolean {
    return this.left === 0
  }

  readOn(): void {
    this.ready = true
  }

  /** The system has told of more bytes: it reads until it is stopped. */
  poll(): void {
    while (this.ready && this.left > 0) {
      this.left--
      this.done++
      this.ready = this.loop.read(this, this.ms)
    }
  }
}

/** Runs turns until all have come, and tells how long each took. */
function run(loop: Loop, all: readonly Download[]): number[] {
  const took: number[] = []
  while (all.some((each) => !each.over)) {
    const began = loop.time
    for (const each of all) each.poll()
    took.push(loop.time - began)
    loop.turn()
    expect(took.length).toBeLessThan(10_000)
  }
  return took
}

const downloads = (loop: Loop, count: number, reads: number, ms: number): Download[] =>
  Array.from({ length: count }, () => new Download(loop, reads, ms))

describe('ReadTurns', () => {
  it('lets one reader have two milliseconds of a turn, and then wait for the next', () => {
    const loop = new Loop()
    // In eighths, which are exact.
    const took = run(loop, downloads(loop, 1, 50, 0.125))
    // The read that it is stopped at is done all the same.
    expect(took).toEqual([2.125, 2.125, 2])
  })

  it('shares a turn among many, however long a read takes', () => {
    for (const ms of [0.0625, 0.5, 4]) {
      const loop = new Loop()
      const took = run(loop, downloads(loop, 300, 3, ms))
      // In the first turn nobody had waited yet: each that the system told of has had a read.
      const longest = Math.max(...took.slice(1))
      expect(longest).toBeLessThanOrEqual(Math.max(2, ms) + ms)
      expect(loop.time).toBeCloseTo(900 * ms)
    }
  })

  it('learns what a read takes: slow at first, and fast again', () => {
    const loop = new Loop()
    run(loop, downloads(loop, 100, 2, 8))
    const took = run(loop, downloads(loop, 100, 20, 0.125))
    expect(Math.max(...took.slice(-20))).toBeGreaterThan(1)
  })

  it('lets few read in a turn where their time is not seen, since all is written later', () => {
    const loop = new Loop()
    const all = downloads(loop, 300, 3, 0)
    const done = (): number => all.reduce((sum, each) => sum + each.done, 0)
    const reads: number[] = []
    while (all.some((each) => !each.over)) {
      const before = done()
      for (const each of all) each.poll()
      // Of those that nobody has stopped yet, each has one read.
      reads.push(done() - before)
      loop.turn()
    }
    expect(Math.max(...reads.slice(1))).toBeLessThanOrEqual(16)
    const one = new Loop()
    const alone = new Download(one, 1_000, 0)
    alone.poll()
    expect(alone.done).toBeLessThanOrEqual(41)
  })

  it('gives nobody a second turn before all have had one', () => {
    const loop = new Loop()
    const all = downloads(loop, 200, 10, 0.25)
    for (const each of all) each.poll()
    const first = all.map(({ done }) => done)
    const most = Math.max(...first.slice(8))
    // All but those that had the rest of the first turn have had one read.
    expect(most).toBe(1)
    for (let i = 0; i < 12; i++) {
      loop.turn()
      for (const each of all) each.poll()
    }
    const since = all.map(({ done }, i) => done - (first[i] as number))
    expect(Math.max(...since) - Math.min(...since)).toBeLessThanOrEqual(1)
  })

  it('asks for no turn beyond the last', () => {
    const loop = new Loop()
    const all = downloads(loop, 1, 1, 0.125)
    run(loop, all)
    loop.turn()
    expect(loop.idle).toBe(true)
  })

  it('is told by the process’s own clock and turns', async () => {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    let told = 0
    const reader: Reader = { readOn: () => told++ }
    // It began long ago, as far as it knows: the turn is used up with it.
    readTurns.mayReadOn(reader, readTurns.now() - 1_000)
    await Promise.resolve()
    await turn()
    // A turn of its own each time: what another test has used up is over.
    expect(readTurns.mayReadOn(reader, readTurns.now() - 1_000)).toBe(true)
    await new Promise(process.nextTick)
    expect(readTurns.mayReadOn(reader, readTurns.now())).toBe(false)
    await turn()
    await turn()
    expect(told).toBe(1)
  })

  it('reads on in the context of no request', async () => {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    await turn()
    const storage = new AsyncLocalStorage<string>()
    const contexts: unknown[] = []
    const wait = (readOn: () => void): void => {
      readTurns.mayReadOn({ readOn() {} }, readTurns.now() - 1_000)
      process.nextTick(() => readTurns.mayReadOn({ readOn }, readTurns.now()))
    }
    storage.run('the first', wait, () => contexts.push(storage.getStore()))
    await turn()
    await turn()
    expect(contexts).toEqual([undefined])
  })
})
