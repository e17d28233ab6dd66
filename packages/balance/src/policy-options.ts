import { turnTime } from '@sluice/core'
import { parse, quote, that, v } from '@sluice/options'
import type { Balancer, RandomOptions } from './balancer.js'

const isFunction = (value: unknown): boolean => typeof value === 'function'

/** Entry of a schema: where chance comes from. */
export const randomEntry = {
  random: v.optional(that<() => number>(isFunction, 'a function that gives a number'), () => Math.random),
}

/** Entry of a schema: where time comes from. */
export const clockEntry = {
  clock: v.optional(that<() => number>(isFunction, 'a function that gives milliseconds'), () => turnTime),
}

const schema = v.strictObject(randomEntry)

/**
 * The chance of a policy that has no other options.
 * @param name the policy's, for errors
 * @throws TypeError for a wrong option
 */
export function chanceOf(options: RandomOptions, name: string): () => number {
  return parse(schema, options, name).random
}

/**
 * The policy that a wrapper is around.
 * @param where whose argument it is, for the error
 * @throws TypeError for what is none: a name of `createProxy`'s, say
 */
export function needPolicy(given: unknown, where: string): asserts given is Balancer<never> {
  if (typeof given !== 'function')
    throw new TypeError(`${where}: got ${quote(given)} as its policy, takes a function such as roundRobin()`)
}
