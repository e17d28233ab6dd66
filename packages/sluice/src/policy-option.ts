import { type Balancer, first, leastRequests, powerOfTwo, random, roundRobin } from '@sluice/balance'

const policies = {
  'round-robin': roundRobin,
  random,
  first,
  'least-requests': leastRequests,
  'power-of-two': powerOfTwo,
} as const

/** A policy's name. */
export type PolicyName = keyof typeof policies

/** A balancing policy by name, or a function of one's own. */
export type PolicyOption = PolicyName | Balancer

/** Every policy that has a name. */
export const policyNames = Object.keys(policies) as PolicyName[]

/** A fresh policy for one upstream; `undefined` leaves the choice to `balance`. */
export function policyOf(option: PolicyOption | undefined): Balancer | undefined {
  return typeof option === 'string' ? policies[option]() : option
}
