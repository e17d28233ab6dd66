/** A verdict of probes. */
export type Verdict = 'unknown' | 'healthy' | 'unhealthy'

/**
 * What the probes of one target add up to.
 *
 * unknown ──pass──▶ healthy        the first probe decides, for nothing is known before it
 * unknown ──fail──▶ unhealthy
 * healthy ──`fall` fails in a row──▶ unhealthy ──`rise` passes in a row──▶ healthy
 */
export class HealthState {
  verdict: Verdict = 'unknown'
  private streak = 0

  constructor(
    private readonly rise: number,
    private readonly fall: number,
  ) {}

  /** Takes the result of a probe; true if it changed the verdict. */
  take(passed: boolean): boolean {
    const to: Verdict = passed ? 'healthy' : 'unhealthy'
    if (this.verdict === to) {
      this.streak = 0
      return false
    }
    this.streak++
    const needed = this.verdict === 'unknown' ? 1 : passed ? this.rise : this.fall
    if (this.streak < needed) return false
    this.streak = 0
    this.verdict = to
    return true
  }
}
