/** What unties a try from its caller when nobody has its value any more. */
const used = new FinalizationRegistry<() => void>((untie) => untie())

/**
 * Ties a try that has given its value to its caller's signal, since a value may flow on: the body of a `Response`. The signal may live
 * as long as the process, so it is let go of when the value, or its body, has been collected.
 */
export function tieWhileUsed(value: unknown, signal: AbortSignal | undefined, own: AbortController): void {
  if (signal === undefined || typeof value !== 'object' || value === null) return
  // Nothing here may lead to the value, or it would never be collected.
  const left = (): void => own.abort(signal.reason)
  signal.addEventListener('abort', left, { once: true })
  const { body } = value as { body?: unknown }
  used.register(typeof body === 'object' && body !== null ? body : value, () =>
    signal.removeEventListener('abort', left),
  )
}
