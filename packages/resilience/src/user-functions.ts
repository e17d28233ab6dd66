import { quote } from '@sluice/options'

/**
 * What a user's function has decided. A promise would be no decision, and end the process if it rejects.
 * @param what the function is called
 * @throws TypeError for what is none of true, false and nothing
 */
export function decision(given: unknown, what: string): boolean | undefined {
  if (typeof given === 'boolean') return given
  if (given === undefined || given === null) return undefined
  if (given instanceof Promise) given.catch(() => {})
  const gave = given instanceof Promise ? 'a promise' : quote(given)
  throw new TypeError(`${what} gave ${gave}, takes true, false or nothing, at once`)
}
