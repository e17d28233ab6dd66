import type { Target } from '@sluice/upstream'

/** In use, as far as probes, people and ejections say. */
export function isFit({ state }: Target): boolean {
  return state === 'healthy' || state === 'unknown'
}
