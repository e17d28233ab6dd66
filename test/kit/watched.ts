import type { Discovery, TargetInit } from '@sluice/upstream'
import { until } from './until.js'

/** What a source delivers to one that watches it. */
export interface Watched {
  /** Every delivery. */
  readonly sets: readonly TargetInit[][]
  /** Waits for that many deliveries, and gives the last of them. */
  set(count: number): Promise<TargetInit[]>
  /** The URLs of a delivery, with what else is not as usual. */
  urls(count: number): Promise<string[]>
  close(): void
}

/** Watches a source. */
export function watched(source: Discovery): Watched {
  const sets: TargetInit[][] = []
  const watch = source.watch((targets) => sets.push(targets))
  const set = (count: number) => until(() => sets[count - 1], `delivery ${count} of targets`)
  return {
    sets,
    set,
    urls: async (count) =>
      (await set(count)).map((target) => (typeof target === 'string' ? target : target.url)),
    close: () => watch[Symbol.dispose](),
  }
}
