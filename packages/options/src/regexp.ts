import * as v from 'valibot'
import { backtracking } from './backtracking.js'

/**
 * Schema of a regular expression that meets what strangers send. Refuses one that backtracks so much that a text of
 * `longestMatched` characters can cost much more than some tens of milliseconds: exponentially, as the third power of the text's length, or in
 * many ways besides. It may refuse one that is harmless; who matches looks at no text that is longer. Flags `g` and `y` pass;
 * who matches begins at 0 each time, on a copy of its own.
 */
export function regexp(): v.GenericSchema<RegExp> {
  return v.pipe(
    v.custom<RegExp>((value) => value instanceof RegExp, 'a regular expression'),
    v.check(
      (value) => !(value instanceof RegExp) || backtracking(value) === undefined,
      ({ input }) => `one that doesn't backtrack without end: ${backtracking(input)}`,
    ),
  )
}
