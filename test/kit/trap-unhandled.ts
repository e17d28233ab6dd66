import { afterEach, beforeEach } from 'vitest'

/**
 * Fails the test in which an unhandled rejection or an uncaught exception occurs, or in which listeners pile up on an
 * emitter. Called once in a test file, before `owner`, so that what happens while a test's servers close is that test's
 * too.
 */
export function trapUnhandled(): void {
  let faults: unknown[] = []
  const note = (fault: unknown): void => {
    faults.push(fault)
  }
  const noteLeak = (warning: Error): void => {
    if (warning.name === 'MaxListenersExceededWarning') faults.push(warning)
  }
  beforeEach(() => {
    faults = []
    process.on('unhandledRejection', note)
    process.on('uncaughtException', note)
    process.on('warning', noteLeak)
  })
  afterEach(async () => {
    // Rejections are reported after the microtasks of the turn in which they arose.
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    process.off('uncaughtException', note)
    process.off('warning', noteLeak)
    if (faults.length > 0) throw new AggregateError(faults, `unhandled: ${faults.map(String).join('; ')}`)
  })
}
