/**
 * Bytes that all bodies which are being stored or shared may keep together: else each of many clients that read slowly would hold a
 * body of its own in memory.
 */
export class FillBudget {
  /** Bytes that are kept now. */
  used = 0

  /** @param limit bytes: a body that would go beyond isn't stored nor joined, and flows at its readers' pace */
  constructor(readonly limit: number) {}

  /** Counts bytes that are to be held beside a body: `false` where there is no room for them. */
  take(bytes: number): boolean {
    if (this.used + bytes > this.limit) return false
    this.used += bytes
    return true
  }

  /** They are held no more. */
  giveBack(bytes: number): void {
    this.used -= bytes
  }
}
