import type { Coding } from './coding.js'
import { onceAtMost } from './encode-once.js'
import { mostSteps, type Pressure } from './pressure.js'

/** The least and the most that a level may be. gzip's 0 would only wrap the bytes. zstd's 20 and above take half a gigabyte. */
export const levelRanges: Readonly<Record<Coding, readonly [least: number, most: number]>> = {
  zstd: [1, 19],
  br: [0, 11],
  gzip: [1, 9],
  deflate: [1, 9],
}

/** Levels at step 0, 1, and 2. */
type Ladder = readonly [number, number, number]

/** A body up to so long, in bytes, gets the higher levels. */
const short = 128 * 1024

const ofZlib: { readonly short: Ladder; readonly long: Ladder } = { short: [6, 4, 1], long: [4, 2, 1] }

const ladders: Readonly<Record<Coding, { readonly short: Ladder; readonly long: Ladder }>> = {
  zstd: { short: [5, 3, 1], long: [3, 2, 1] },
  br: { short: [5, 3, 1], long: [4, 2, 1] },
  gzip: ofZlib,
  deflate: ofZlib,
}

/**
 * The level of each body that is coded. One that is given is kept to, whatever the load; `'auto'`, and codings of which none is given, go by
 *
 *   step     up to 128 KB            longer, or nobody knows     pressure
 *    0       zstd 5  br 5  gzip 6    zstd 3  br 4  gzip 4        none
 *    1       zstd 3  br 3  gzip 4    zstd 2  br 2  gzip 2        the pool was behind
 *    2       zstd 1  br 1  gzip 1    zstd 1  br 1  gzip 1        ... and at step 1
 *    3       as 2 up to 16 KB, the rest is sent plain            ... and at step 2
 *
 * deflate as gzip. The last step is for a pool that is behind with the lowest levels too: lookups of names and files wait there as well, so
 * the proxy would stand still for all. What is coded at once in this thread needs no pool and stays coded. Figures: docs/decisions/034.
 */
export class Levels {
  constructor(
    private readonly level: 'auto' | Readonly<Partial<Record<Coding, number>>>,
    private readonly pressure: Pressure,
  ) {}

  /**
   * The level for one body that is about to be coded.
   * @param size its bytes, where known
   * @returns `undefined`: better sent plain
   */
  of(coding: Coding, size: number | undefined): number | undefined {
    const given = this.level === 'auto' ? undefined : this.level[coding]
    if (given !== undefined) return given
    const { step } = this.pressure
    if (step === mostSteps && (size === undefined || size > onceAtMost)) return undefined
    const ladder = ladders[coding]
    return (size !== undefined && size <= short ? ladder.short : ladder.long)[Math.min(step, 2)]
  }
}
