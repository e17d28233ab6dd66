/** How often something may happen within a span of time, whatever came before: as many times are held as it may happen. */
export class SlidingCount {
  private readonly times: number[] = []

  /**
   * @param most times in each span
   * @param span in ms
   * @param elapsed monotonic ms: clocks that are set change nothing
   */
  constructor(
    private readonly most: number,
    private readonly span: number,
    private readonly elapsed: () => number,
  ) {}

  /** How long until it may happen again, in ms. */
  get wait(): number {
    const [first] = this.times
    if (first === undefined || this.times.length < this.most) return 0
    return Math.max(0, first + this.span - this.elapsed())
  }

  /** It happens, if it may. */
  take(): boolean {
    if (this.wait > 0) return false
    this.note()
    return true
  }

  /** It happens. */
  note(): void {
    this.times.push(this.elapsed())
    if (this.times.length > this.most) this.times.shift()
  }
}
