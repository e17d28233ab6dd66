import type { Target } from '@sluice/upstream'

/** Requests at a target that wait for the head of their answer. */
export function awaited({ inFlight, answering }: Target): number {
  return inFlight - answering
}
