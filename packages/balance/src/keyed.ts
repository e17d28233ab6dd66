import { ProxyError } from '@sluice/core'
import { fault, quote } from '@sluice/options'
import type { Target } from '@sluice/upstream'
import { type Balancer, withParts } from './balancer.js'
import { hash } from './hash.js'
import { weightedRandom } from './weighted-random.js'

/** What requests that belong together have in common. Nothing or an empty text: the request belongs to nobody. */
export type Key<C> = (ctx: C) => string | undefined

/**
 * A policy that sends equal keys to the same target. A request without a key goes to any, by weight. A key function that throws,
 * or gives what is no text, is the app's fault: `proxy_internal_error` (500), of which no target hears.
 * @param name of the policy, for errors
 * @param chance for requests without a key
 * @param byHash the target for a key's hash; `undefined` where it has looked long enough among those left out
 */
export function keyed<C>(
  name: string,
  key: Key<C>,
  chance: () => number,
  byHash: (
    available: readonly Target[],
    hash: number,
    not: ((target: Target) => boolean) | undefined,
  ) => Target | undefined,
): Balancer<C> {
  if (typeof key !== 'function')
    throw new TypeError(fault(`${name}.key`, quote(key), 'a function that gives a text'))
  const any = weightedRandom({ random: chance })
  return withParts(
    (available, ctx, not) => {
      const text = ask(name, key, ctx)
      if (text === '') return any(available, ctx, not)
      const hashed = hash(text)
      return byHash(available, hashed, not) ?? spare(available, hashed, not)
    },
    { weighted: true },
  )
}

function ask<C>(name: string, key: Key<C>, ctx: C): string {
  let given: unknown
  try {
    given = key(ctx)
  } catch (error) {
    if (error instanceof ProxyError) throw error
    throw new ProxyError('proxy_internal_error', {
      message: `the key function of ${name} threw`,
      cause: error,
    })
  }
  if (typeof given === 'string') return given
  if (given === undefined || given === null) return ''
  if (typeof given === 'number' || typeof given === 'bigint') return String(given)
  // An async function fits no type, but code without types has one: its rejection must not end the process.
  if (given instanceof Promise) given.catch(() => {})
  const what = given instanceof Promise ? 'a promise' : `what is no text (${typeof given})`
  throw new ProxyError('proxy_internal_error', { message: `the key function of ${name} gave ${what}` })
}

/** Any of those that aren't left out, the same for the same key. */
function spare(
  available: readonly Target[],
  hashed: number,
  not: ((target: Target) => boolean) | undefined,
): Target | undefined {
  const { length } = available
  for (let i = 0; i < length; i++) {
    const target = available[(hashed + i) % length] as Target
    if (not?.(target) !== true) return target
  }
  return undefined
}
