import type { Target } from '@sluice/upstream'

/** Targets for policies, named '0', '1'…, all alike but for what is told of each. What is told may be changed later. */
export function fakeTargets(...told: Partial<Target>[]): { -readonly [K in keyof Target]: Target[K] }[] {
  return told.map((each, i) => ({
    id: String(i),
    url: `http://${i}`,
    weight: 1,
    priority: 0,
    inFlight: 0,
    answering: 0,
    leased: 0,
    ewma: 0,
    degraded: false,
    since: Number.NEGATIVE_INFINITY,
    state: 'healthy',
    ...each,
  }))
}

/** So many targets alike, frozen as those of an upstream. */
export function sameTargets(count: number): readonly Target[] {
  return Object.freeze(fakeTargets(...Array.from({ length: count }, () => ({}))))
}

/** How often each target is picked, by its id. */
export function countPicks(
  times: number,
  pick: (turn: number) => Target | undefined,
): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < times; i++) {
    const id = pick(i)?.id ?? 'nobody'
    counts[id] = (counts[id] ?? 0) + 1
  }
  return counts
}
