import { type After, later } from './after.js'

/** Milliseconds from one sample to the next. */
const pace = 5
/** Samples without a request after which there are no more. */
const toRest = 200

/** Hears of the event loop's delay. */
export interface DelaySink {
  /** Samples begin. */
  begin(now: number, idle: number): void
  /**
   * @param late ms by which a timer was late
   * @param idle ms that the loop has had nothing to do, since whenever
   */
  tick(now: number, late: number, idle: number): void
}

/**
 * Measures how late timers are, for as long as requests come: at the begin of each turn of the event loop, or every 5 ms where turns are shorter. One timer, which
 * holds no process open; a second after the last request there is none.
 */
export class LoopSampler {
  private due = 0
  private left = 0

  /**
   * @param clock monotonic milliseconds
   * @param idle milliseconds that the event loop has had nothing to do, since whenever
   */
  constructor(
    private readonly sink: DelaySink,
    private readonly clock = (): number => performance.now(),
    private readonly after: After = later,
    private readonly idle = (): number => performance.eventLoopUtilization().idle,
  ) {}

  /** A request has come. */
  wake(now: number): void {
    if (this.left === 0) {
      this.sink.begin(now, this.idle())
      this.arm(now)
    }
    this.left = toRest
  }

  private arm(now: number): void {
    this.due = now + pace
    this.after(pace, this.sample)
  }

  private readonly sample = (): void => {
    const now = this.clock()
    this.sink.tick(now, Math.max(0, now - this.due), this.idle())
    if (--this.left > 0) this.arm(now)
  }
}
