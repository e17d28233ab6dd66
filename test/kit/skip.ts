/**
 * For `describe.skipIf` and `it.skipIf`: whether to skip what needs `condition`. Says so in a line when it does.
 * @throws when there is something to skip and SLUICE_NO_SKIP is 1: there a skip is a failure.
 */
export function skipUnless(condition: unknown, why: string): boolean {
  if (condition) return false
  if (process.env.SLUICE_NO_SKIP === '1') throw new Error(`must not be skipped: ${why}`)
  console.log(`skipped: ${why}`)
  return true
}
