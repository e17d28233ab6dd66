/**
 * Calls a function of the user's from where nobody could catch what it throws: in a handshake, or a timer. That, and what its promise rejects with, becomes a warning
 * of the process, which would end otherwise.
 * @param what whose function it is, in words
 */
export function callOut<T extends readonly unknown[]>(
  what: string,
  fn: ((...args: T) => unknown) | undefined,
  ...args: T
): void {
  const failed = (error: unknown): void => {
    const text = error instanceof Error ? error.message : String(error)
    process.emitWarning(`${what} threw: ${text}`, 'SluiceWarning')
  }
  try {
    const given = fn?.(...args)
    if (given instanceof Promise) given.catch(failed)
  } catch (error) {
    failed(error)
  }
}
