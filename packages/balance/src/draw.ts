import type { Target } from '@sluice/upstream'

/** Draws before all are looked at: with a half of the targets left out, eight in a row miss once in 256 picks. */
const draws = 8

/**
 * Any target that isn't left out, each as likely; another than `except`. Makes no list: it draws again, and where most are left out it
 * goes through all once (reservoir sampling).
 */
export function draw(
  list: readonly Target[],
  chance: () => number,
  not: ((target: Target) => boolean) | undefined,
  except?: Target,
): Target | undefined {
  const { length } = list
  for (let i = 0; i < draws && length > 0; i++) {
    const target = list[Math.floor(chance() * length)]
    if (target !== undefined && target !== except && not?.(target) !== true) return target
  }
  let drawn: Target | undefined
  let seen = 0
  for (const target of list) {
    if (target === except || not?.(target) === true) continue
    seen++
    if (chance() * seen < 1) drawn = target
  }
  return drawn
}
