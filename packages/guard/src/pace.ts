/**
 * How far one end of a connection is behind a rate, in ms: time makes it more, bytes make it less, down to nothing. So who has been fast
 * has nothing saved up, and who pauses has `grace`.
 */
export class Pace {
  #behind = 0
  #bytes: number

  /**
   * @param rate bytes in a second; 0: any byte makes up for all
   * @param grace how far behind is too far, in ms
   */
  constructor(
    private readonly rate: number,
    private readonly grace: number,
    bytes: number,
  ) {
    this.#bytes = bytes
  }

  /** How far, in ms. */
  get behind(): number {
    return this.#behind
  }

  /** It has moved less than it should have. */
  get isBehind(): boolean {
    return this.#behind > 0
  }

  /**
   * So much time has passed in which it was its turn.
   * @param bytes that it has moved since ever
   * @returns whether it is too far behind
   */
  isLate(bytes: number, elapsed: number): boolean {
    const moved = bytes - this.#bytes
    this.#bytes = bytes
    const { rate } = this
    if (rate === 0) this.#behind = moved > 0 ? 0 : this.#behind + elapsed
    else this.#behind = Math.max(0, this.#behind + elapsed - (moved / rate) * 1_000)
    return this.#behind >= this.grace
  }
}
