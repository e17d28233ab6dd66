import * as v from 'valibot'
import { type Duration, durationTakes, readDuration } from './duration.js'
import { readSize, type Size, sizeTakes } from './size.js'

/** What a timer of Node's can hold; it treats more as 1 ms, so a long limit would end everything at once. */
const longestTimer = 2 ** 31 - 1

/** Schema of a duration that a timer keeps: gives milliseconds, under 25 days. */
export function duration(): v.GenericSchema<Duration, number> {
  return v.pipe(
    v.custom<Duration>((value) => readDuration(value) !== undefined, durationTakes),
    v.check((value) => (readDuration(value) as number) <= longestTimer, 'at most 596h; 0 turns a limit off'),
    v.transform((value) => readDuration(value) as number),
  )
}

/** Schema of a size: gives bytes. */
export function size(): v.GenericSchema<Size, number> {
  return v.pipe(
    v.custom<Size>((value) => readSize(value) !== undefined, sizeTakes),
    v.transform((value) => readSize(value) as number),
  )
}

/** Schema of a whole number in a range. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): v.GenericSchema<number> {
  const range = max === Number.MAX_SAFE_INTEGER ? `, ${min} or more` : ` from ${min} to ${max}`
  return v.custom<number>(
    (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
    `a whole number${range}`,
  )
}

/** Schema of a number in a range. */
export function ranged(min: number, max: number): v.GenericSchema<number> {
  return v.custom<number>(
    (value) => typeof value === 'number' && value >= min && value <= max,
    `a number from ${min} to ${max}`,
  )
}

/** Schema of one of some texts. */
export function oneOf<const T extends string>(...values: readonly T[]): v.GenericSchema<T> {
  return v.custom<T>((value) => values.includes(value as T), values.map((value) => `'${value}'`).join(', '))
}

/** Schema of anything that `is` accepts; `takes` says in an error what that is. */
export function that<T>(is: (value: unknown) => boolean, takes: string): v.GenericSchema<T> {
  return v.custom<T>(is, takes)
}
