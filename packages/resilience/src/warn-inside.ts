const told = new WeakSet<object>()

/** What comes of a layer that stands inside of `balance`, which has chosen a target before it. */
const comesOf = {
  retry: 'each further try goes to the target that has failed',
  hedge: 'no second try is ever made',
}

/**
 * Warns once of a layer whose further tries can't choose a target of their own (`SLUICE_RETRY_INSIDE`, `SLUICE_HEDGE_INSIDE`).
 * @param settings of that layer
 * @param path what messages call it
 */
export function warnInside(layer: keyof typeof comesOf, settings: object, path: string): void {
  if (told.has(settings)) return
  told.add(settings)
  process.emitWarning(
    `${path}: it stands inside of balance(), so ${comesOf[layer]}; put it outside: .use(${layer}()).use(balance(upstream))`,
    { type: 'SluiceWarning', code: `SLUICE_${layer.toUpperCase()}_INSIDE` },
  )
}
