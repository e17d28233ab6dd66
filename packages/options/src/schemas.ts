import { inspect } from 'node:util'
import * as v from 'valibot'
import { type Duration, durationTakes, readDuration } from './duration.js'
import { readSize, type Size, sizeTakes } from './size.js'
import { takesOf } from './takes.js'

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

/** Schema of a duration where 0 would turn off what can't be off: gives milliseconds, more than 0. */
export function positiveDuration(): v.GenericSchema<Duration, number> {
  return v.pipe(
    duration(),
    v.check((ms) => ms > 0, 'more than 0'),
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

/**
 * Schema of options that have a short form: what is an object goes by `options`, anything else by `short`.
 * @param takes what the short form may be, for the error of what is neither
 */
export function shortOr<S extends v.GenericSchema, T extends v.GenericSchema>(
  short: S,
  takes: string,
  options: T,
): v.GenericSchema<v.InferInput<S> | v.InferInput<T>, v.InferOutput<S> | v.InferOutput<T>> {
  const neither = that(() => false, `${takes}, or ${takesOf(options, 0)}`)
  return v.lazy((value) => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return options
    return v.is(short, value) ? short : neither
  }) as v.GenericSchema
}

/** Schema of a secret that `is` accepts: an error says what kind of thing it got, and never shows it. */
export function secret<T>(is: (value: unknown) => boolean, takes: string): v.GenericSchema<T> {
  return v.pipe(
    v.unknown(),
    v.transform((value) => (is(value) ? value : new Unshown(value))),
    // What stands for it is an object, which `is` may take.
    that<T>((value) => !(value instanceof Unshown), takes),
  ) as v.GenericSchema<T>
}

/** Stands for a value in an error's text. */
class Unshown {
  readonly #kind: string

  constructor(value: unknown) {
    if (value === undefined) this.#kind = 'nothing'
    else if (value === null || value === '') this.#kind = value === null ? 'null' : 'an empty text'
    else if (typeof value === 'string') this.#kind = 'a text'
    else this.#kind = typeof value === 'object' ? 'an object' : `a ${typeof value}`
  }

  [inspect.custom](): string {
    return this.#kind
  }
}
