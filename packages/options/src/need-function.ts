import { fault, quote } from './fault.js'

/**
 * A function that a user gives: a TypeError now, in place of one for each call. Of an object it tells only the kind: it may hold keys.
 * @throws TypeError that names `where`
 */
export function needFunction(given: unknown, where: string, takes = 'a function'): void {
  if (typeof given === 'function') return
  const isObject = typeof given === 'object' && given !== null
  throw new TypeError(fault(where, isObject ? 'an object' : quote(given), takes))
}
