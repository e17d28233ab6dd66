import type { Selected, Target, Tried } from '@sluice/upstream'

/** Targets that this exchange was sent to, this try's included: `balance` leaves its pick in the context. */
export function triedSoFar({ tried = [], target }: Tried & Partial<Selected>): readonly Target[] {
  return target === undefined || tried.includes(target) ? tried : [...tried, target]
}
