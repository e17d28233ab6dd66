/** Tells each listener of a change. One that throws harms nobody: it is a warning of the process, as of `who`. */
export function tellAll<T>(listeners: Iterable<(change: T) => void>, change: T, who: string): void {
  for (const fn of listeners) {
    try {
      fn(change)
    } catch (error) {
      process.emitWarning(
        `${who}: ${error instanceof Error ? error.message : String(error)}`,
        'SluiceWarning',
      )
    }
  }
}
