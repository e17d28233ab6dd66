import safeRegex from 'safe-regex2'
import * as v from 'valibot'

/**
 * Schema of a regular expression that meets what strangers send. Refuses one that may backtrack without end: a repetition
 * inside a repetition such as `(a+)+`, more than 25 repetitions, and what `safe-regex2` can't read, such as a lookbehind.
 *
 * This is a heuristic. It refuses some that are harmless (`(?:[a-z]+\.)+`), and misses alternatives that overlap
 * (`(a|aa)+$`, exponential) and repetitions in a row (`\d+\d+$`, polynomial: half a minute on 4096 digits and an `x`, where
 * `^\d+\d+$` takes a hundredth of a second). Bound the text that is matched, begin with `^`, and write such expressions with care. Flags `g` and `y` pass; who matches begins at 0 each time, on a copy of its own.
 */
export function regexp(): v.GenericSchema<RegExp> {
  return v.pipe(
    v.custom<RegExp>((value) => value instanceof RegExp, 'a regular expression'),
    v.check(
      (value) => !(value instanceof RegExp) || safeRegex(value),
      'one that can not backtrack without end: no repetition inside a repetition, no lookbehind, at most 25 repetitions',
    ),
  )
}
