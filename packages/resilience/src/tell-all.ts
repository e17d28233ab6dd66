/** Tells each listener of a change. One that throws, or rejects, harms nobody: it is a warning of the process, as of `who`. */
export function tellAll<T>(listeners: Iterable<(change: T) => unknown>, change: T, who: string): void {
  const warn = (error: unknown): void =>
    process.emitWarning(`${who}: ${error instanceof Error ? error.message : String(error)}`, 'SluiceWarning')
  for (const fn of listeners) {
    try {
      const given = fn(change)
      // A listener may be an async function, whose rejection would end the process.
      if (given instanceof Promise) given.catch(warn)
    } catch (error) {
      warn(error)
    }
  }
}
