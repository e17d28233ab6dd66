const told = new WeakSet<object>()

/**
 * Warns once of a `retry` whose further tries can't choose a target of their own (`SLUICE_RETRY_INSIDE`).
 * @param settings of that layer
 * @param path what messages call it
 */
export function warnInside(settings: object, path: string): void {
  if (told.has(settings)) return
  told.add(settings)
  process.emitWarning(
    `${path}: it stands inside of balance(), so each further try goes to the target that has failed; put it outside: .use(retry()).use(balance(upstream))`,
    { type: 'SluiceWarning', code: 'SLUICE_RETRY_INSIDE' },
  )
}
