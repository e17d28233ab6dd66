import { turnTime } from '@sluice/core'
import debug from 'debug'

const log = debug('sluice:compress')

/** Calls back once with how far what does the work is behind: the milliseconds that a job had to wait which does nothing itself. */
export type Probe = (told: (waited: number) => void) => void

/** What {@link Pressure} takes from outside, to be replaced in tests. */
export interface PressureSeams {
  /** Monotonic milliseconds. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
}

/** Steps down from full levels: the last one sends plain what would have to wait. */
export const mostSteps = 3

/** Milliseconds between two looks. */
const pace = 100
/** A job that waits so long, in ms: behind. Less than a client would notice, and far more than a pool takes that has threads to spare. */
const behind = 20
/** A job that waits no longer, in ms: calm. */
const calm = 5
/** Readings in a row that make a step down: one alone may be the garbage collector's. */
const toStepDown = 2
const leastRest = 1000
const mostRest = 64_000
/** Milliseconds without a reading after which the last one says nothing of now. */
const forgotten = 10_000

/**
 * How many steps levels are to be below full ones: 0 to {@link mostSteps}. It is for one thing that does the work, the thread pool of the
 * process for instance, and shared by all that use it.
 *
 *            behind twice in a row              behind twice in a row
 *   step 0 ─────────────────────────▶ step 1 ─────────────────────────▶ … step 3
 *          ◀─────────────────────────        ◀─────────────────────────
 *                calm for `rest`                   calm for `rest`
 *
 * - A reading is what a probe has waited; of one that is still out, how long it has been out. There is one in 100 ms at most, and only
 *   when somebody asks for `step`: where nothing is coded, nothing runs.
 * - Behind: 20 ms or more. Calm: 5 ms or less. What lies between changes nothing, and both rows begin anew.
 * - `rest` is 1 s. Where a step up is undone by the next step, coding at that level is what is too much: `rest` doubles, to 64 s at
 *   most, so that under a steady load there is ever less to and fro. A further `rest` that passes in calm after it halves it again.
 * - Nobody has asked for 10 s: all is as at first.
 */
export class Pressure {
  private steps = 0
  private readonly clock: () => number
  private lookedAt = Number.NEGATIVE_INFINITY
  private askedAt = 0
  /** When the last reading came. */
  private readAt = 0
  private isOut = false
  /** Readings in a row that were behind. */
  private row = 0
  /** Since when all readings were calm. */
  private calmSince: number | undefined = undefined
  private rest = leastRest
  /** What came before: a step up that nothing has borne out yet. */
  private wasUp = false

  /** @param probe asked how far behind it is, by one call at a time */
  constructor(
    private readonly probe: Probe,
    seams: PressureSeams = {},
  ) {
    this.clock = seams.clock ?? turnTime
  }

  /** Steps to be below full levels now. To ask is what keeps it going: ask where something is about to be coded, and nowhere else. */
  get step(): number {
    const now = this.clock()
    if (now - this.lookedAt >= pace) this.look(now)
    return this.steps
  }

  private look(now: number): void {
    this.lookedAt = now
    if (now - this.readAt >= forgotten) this.forget()
    if (this.isOut) return this.read(now - this.askedAt, now)
    this.askedAt = now
    this.isOut = true
    this.probe(this.told)
  }

  private readonly told = (waited: number): void => {
    this.isOut = false
    this.read(waited, this.clock())
  }

  private read(waited: number, now: number): void {
    this.readAt = now
    if (waited >= behind) {
      this.calmSince = undefined
      if (++this.row >= toStepDown) this.down(waited)
    } else if (waited > calm) {
      this.row = 0
      this.calmSince = undefined
    } else {
      this.row = 0
      this.calmSince ??= now
      if (now - this.calmSince >= this.rest) this.up(now)
    }
  }

  private down(waited: number): void {
    this.row = 0
    if (this.steps === mostSteps) return
    if (this.wasUp) this.rest = Math.min(mostRest, this.rest * 2)
    this.wasUp = false
    this.steps++
    if (log.enabled) log('levels go down to step %d: a job waited %d ms', this.steps, Math.round(waited))
  }

  private up(now: number): void {
    this.calmSince = now
    const borneOut = this.wasUp || this.steps === 0
    if (borneOut) this.rest = Math.max(leastRest, this.rest / 2)
    this.wasUp = this.steps > 0
    if (this.steps === 0) return
    this.steps--
    if (log.enabled) log('levels go up to step %d', this.steps)
  }

  private forget(): void {
    this.steps = 0
    this.row = 0
    this.calmSince = undefined
    this.rest = leastRest
    this.wasUp = false
  }
}
