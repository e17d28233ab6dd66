import debug from 'debug'

const log = debug('sluice:guard')

/** Ranks of priorities: the higher, the longer it is let in. */
export const ranks = { low: 0, normal: 1, high: 2, critical: 3 } as const

/** A rank of {@link ranks}. */
export type Rank = (typeof ranks)[keyof typeof ranks]

/** Why a request is refused. */
export type ShedReason = 'event-loop-delay' | 'in-flight'

/** What a {@link Shedder} goes by. */
export interface ShedderSettings {
  /** Milliseconds; 0: not looked at. */
  readonly delay: number
  /** 0: no limit. */
  readonly inFlight: number
}

/** Milliseconds that a window takes, at least. */
const span = 100
/** Samples of a window, at least: a single one is late by whatever has held the loop once, such as a garbage collection. */
const leastSamples = 3
/** The part of a window for which the loop may have had nothing to do, at most: where it has had more, it is somebody else who is late. */
const mostIdle = 0.1
const growth = 1.05
const mildest = 0.9
const harshest = 0.5
/** Requests a ms that are let in whatever happens: where something else holds the loop, it is no use to refuse all. */
const leastRate = 0.01
/** Milliseconds of the rate that may come at once: several turns, or what ranks lowest would find some left at the begin of each. */
const burst = 100
/** Requests that may wait for each other: where each takes long, one or two in line are no overload. */
const inLine = 5
/** That allowance in delays, at most. */
const mostDelays = 5
/** Room for the shares of three ranks. */
const leastBurst = 6
/** Windows without a refusal after which the rate is given up. */
const toCalm = 10
/** Turns in a row in which that much came that no window is waited for. */
const fullTurns = 2
/** How many delays one turn may work on requests of a rank: while calm, and while shedding. */
const calmTurns = [2, 4, 8]
const busyTurns = [0.1, 0.5, 2]
/** Parts of the limit of those in flight. */
const flightShares = [0.75, 0.9, 1]

/**
 * Whether there is room for one more request, by how late the event loop is and by how many are under way. It knows no timers: somebody tells
 * it how late one was (`tick`), every 5 ms while requests come.
 *
 *            late                                  late: rate = let in * 0.5…0.9
 *   calm ───────────────────────▶ shedding ──┐     early: rate * 1.05
 *        ◀───────────────────────       ▲────┘     in between: as it is
 *          10 windows, none refused
 *
 * - A window is 100 ms, and three samples, at least; `least` is the least lateness in it. As in CoDel (RFC 8289) the least one shows a
 *   queue that stands: a pause delays one sample, work that comes in bursts leaves others on time.
 * - late: `least` is over `bound`, and the loop was idle for less than a tenth of the window. Where it was idle and yet late, other processes had the
 *   processor; to refuse requests would not help. early: `least` is under half of it, or the loop was idle.
 * - `bound` is the delay of the settings or, if that is more, 5 times what one request takes of a loop that does nothing else (the window by those let in), up
 *   to 5 delays: where each takes 10 ms, three in line are no overload.
 * - `rate` is what may be let in a ms, no less than 0.01. It fills a bucket of 100 ms. Ranks draw on it down to different levels: `low` has the upper third, `normal`
 *   two thirds, `high` all of it. So what ranks higher leaves to what ranks lower just what it has no use for. `critical` takes without asking.
 * - Before the first window says so a flood could make one turn of the loop last for seconds. So in each turn there is room for as many requests as
 *   take 2 bounds (`low`), 4 (`normal`) or 8 (`high`); while shedding a tenth, a half or 2. A gap between two requests of a turn counts for
 *   half a bound at most, and the one before the first for a quarter: what holds the loop for once is not the work of all that come after it. Of two turns
 *   in a row that were full so the second one is the window: who waits longer for a flood to be seen lets more of it in.
 * - Of `inFlight` `low` gets three quarters, `normal` nine tenths, `high` all, and `critical` goes beyond it.
 */
export class Shedder {
  private readonly delay: number
  private readonly most: readonly number[] | undefined
  private flying = 0
  /** Let in a ms; endless while calm. */
  private rate = Number.POSITIVE_INFINITY
  private tokens = 0
  /** Ms that timers may be late. */
  private bound: number
  private ticked = 0
  /** Of this turn: ms of work on requests, and when the last one came. */
  private worked = 0
  private seen = 0
  private isFull = false
  /** Turns in a row, while calm, that had no room for all. */
  private full = 0
  /** Of this window. */
  private begun = 0
  private idle = 0
  private samples = 0
  private least = Number.POSITIVE_INFINITY
  private admitted = 0
  private refused = 0
  /** Windows in a row in which none was refused. */
  private quiet = 0

  constructor({ delay, inFlight }: ShedderSettings) {
    this.delay = delay
    this.bound = delay
    this.most =
      inFlight === 0 ? undefined : flightShares.map((part) => Math.max(1, Math.floor(inFlight * part)))
  }

  /** Requests under way that count. */
  get inFlight(): number {
    return this.flying
  }

  /** Whether it refuses what is more than the loop can take. */
  get isShedding(): boolean {
    return this.rate !== Number.POSITIVE_INFINITY
  }

  /**
   * Begins anew at `now`, calm: nobody has asked for a while.
   * @param idle as `tick` takes it
   */
  begin(now: number, idle: number): void {
    this.rate = Number.POSITIVE_INFINITY
    this.bound = this.delay
    this.quiet = 0
    this.full = 0
    this.turn(now)
    this.open(now, idle)
  }

  /**
   * Takes a sample; a turn of the loop begins.
   * @param now in ms
   * @param late ms by which the timer was late
   * @param idle ms that the loop has had nothing to do, since whenever
   */
  tick(now: number, late: number, idle: number): void {
    const passed = Math.max(0, now - this.ticked)
    if (this.isShedding) this.tokens = Math.min(this.room, this.tokens + passed * this.rate)
    if (!this.isFull || this.isShedding) this.full = 0
    else if (++this.full === 1) this.open(now, idle)
    this.turn(now)
    this.samples++
    if (late < this.least) this.least = late
    const isOver = now - this.begun >= span && this.samples >= leastSamples
    if (isOver || this.full >= fullTurns) this.close(now, idle)
    // A clock that has gone back.
    else if (now < this.begun) this.open(now, idle)
  }

  /**
   * Whether a request may come in; if so, and it counts as being under way, `done` is to be called at its end.
   * @returns why not
   */
  admit(rank: Rank, now: number, counts: boolean): ShedReason | undefined {
    const reason = rank === ranks.critical ? undefined : this.whyNot(rank, now)
    if (reason !== undefined) {
      if (reason === 'event-loop-delay') this.refused++
      return reason
    }
    this.admitted++
    // What is critical may take more than there is, but others don't pay for it for long.
    if (this.tokens > -this.room) this.tokens--
    if (counts) this.flying++
    return undefined
  }

  /** A request that counted is over. */
  done(): void {
    this.flying--
  }

  private whyNot(rank: number, now: number): ShedReason | undefined {
    const { delay, most } = this
    if (most !== undefined && this.flying >= (most[rank] as number)) return 'in-flight'
    if (delay === 0) return undefined
    const gap = now - this.seen
    this.seen = now
    if (gap > 0) this.worked += Math.min(gap, this.bound / (this.worked === 0 ? 4 : 2))
    const turns = this.isShedding ? busyTurns : calmTurns
    if (this.worked > this.bound * (turns[rank] as number)) {
      this.isFull = true
      return 'event-loop-delay'
    }
    if (this.isShedding && this.tokens < 1 + (this.room * (2 - rank)) / 3) return 'event-loop-delay'
    return undefined
  }

  /** What the bucket holds at most. */
  private get room(): number {
    return Math.max(leastBurst, this.rate * burst)
  }

  private turn(now: number): void {
    this.ticked = now
    this.worked = 0
    this.isFull = false
    this.seen = now
  }

  private open(now: number, idle: number): void {
    this.idle = idle
    this.begun = now
    this.samples = 0
    this.least = Number.POSITIVE_INFINITY
    this.admitted = 0
    this.refused = 0
  }

  private close(now: number, idle: number): void {
    const passed = now - this.begun
    const isBusy = idle - this.idle < passed * mostIdle
    const { delay, least, rate, refused } = this
    const perRequest = passed / Math.max(this.admitted, 1)
    const bound = Math.max(delay, Math.min(inLine * perRequest, mostDelays * delay))
    this.open(now, idle)
    if (least > bound && isBusy) {
      this.bound = bound
      const part = Math.max(harshest, Math.min(mildest, bound / least))
      this.rate = Math.max(leastRate, Math.min(rate, 1 / perRequest) * part)
      this.quiet = 0
      if (rate === Number.POSITIVE_INFINITY) this.shed(least)
      else this.tokens = Math.min(this.tokens, this.room)
      return
    }
    if (rate === Number.POSITIVE_INFINITY) return
    this.quiet = refused === 0 ? this.quiet + 1 : 0
    if (this.quiet >= toCalm) this.calm()
    else if (least < bound / 2 || !isBusy) this.rate = rate * growth
  }

  private shed(least: number): void {
    this.tokens = 0
    if (log.enabled)
      log(
        'sheds load: timers are %d ms late, %d requests a second are let in',
        Math.round(least),
        Math.round(this.rate * 1_000),
      )
  }

  private calm(): void {
    this.rate = Number.POSITIVE_INFINITY
    this.bound = this.delay
    if (log.enabled) log('sheds no more load')
  }
}
