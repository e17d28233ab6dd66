/** What the cause of such an error is known by. */
export const lineCode = 'ERR_SLUICE_LINE'

/**
 * The cause of an error that says: the request has waited for a connection to a target, and leaves the line for another one. Nobody has seen it. For
 * transports.
 */
export const leftLine: Error = Object.assign(
  new Error('every connection that may be had to the target is in use'),
  { code: lineCode },
)

/** Whether an error has {@link leftLine} as its cause: it says nothing of the target, and to wait elsewhere is no further try. */
export function hasLeftLine(error: unknown): boolean {
  return error instanceof Error && (error.cause as { code?: unknown } | undefined)?.code === lineCode
}
