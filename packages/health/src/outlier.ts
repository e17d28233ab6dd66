import type { Target } from '@sluice/upstream'

/** What a target has done within an interval. */
export interface Sample {
  readonly target: Target
  /** Answers below 500; of connects, those that were made. */
  readonly good: number
  /** Other answers, and exchanges that it broke; of connects, those that were lost. */
  readonly bad: number
}

/** A target that stands out, and how. */
export interface Outlier {
  readonly target: Target
  readonly reason: string
}

/** Those with enough answers to be judged; none where they are too few to be compared. */
export function comparable<S extends Sample>(
  samples: readonly S[],
  { minHosts, minVolume }: { readonly minHosts: number; readonly minVolume: number },
): readonly S[] {
  const enough = samples.filter(({ good, bad }) => good + bad >= minVolume)
  return enough.length < minHosts ? [] : enough
}

/** A number in a reason: short. */
export function shown(value: number): string {
  return String(Math.round(value * 10) / 10)
}
