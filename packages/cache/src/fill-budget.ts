/**
 * Bytes that all bodies which are being stored or shared may keep together: else each of many clients that read slowly would hold a
 * body of its own in memory.
 */
export class FillBudget {
  /** Bytes that are kept now. */
  used = 0

  /** @param limit bytes: a body that would go beyond isn't stored nor joined, and flows at its readers' pace */
  constructor(readonly limit: number) {}
}
