import {
  type Balancer,
  byCount,
  cookieValues,
  first,
  leastRequests,
  maglev,
  partsOf,
  peakEwma,
  powerOfTwo,
  random,
  rendezvous,
  ring,
  roundRobin,
  type StickyOptions,
  sticky,
  weightedRandom,
  weightedRoundRobin,
} from '@sluice/balance'
import type { Client, Context } from '@sluice/core'
import { get } from '@sluice/headers'
import { oneOf, that, v } from '@sluice/options'
import { type WrapperOptions, wrapped } from './wrapper-options.js'

const policies = {
  'round-robin': roundRobin,
  'weighted-round-robin': weightedRoundRobin,
  random,
  'weighted-random': weightedRandom,
  first,
  'least-requests': leastRequests,
  'power-of-two': powerOfTwo,
  'peak-ewma': peakEwma,
} as const

const keyedPolicies = { rendezvous, ring, maglev } as const

/** A policy's name. */
export type PolicyName = keyof typeof policies

/** What requests that go to the same target have in common: the client's address, the path without its query, a field, a cookie. */
export type PolicyKey = 'client' | 'path' | `header:${string}` | `cookie:${string}`

/** A policy that sends equal keys to the same target. A request without the key goes to any. */
export interface KeyedPolicyOption {
  policy: keyof typeof keyedPolicies
  key: PolicyKey
}

/** A balancing policy by name, one by key, or a function of one's own. */
export type PolicyOption = PolicyName | KeyedPolicyOption | Balancer<Context & Client>

const names = Object.keys(policies)
const isFunction = (value: unknown): boolean => typeof value === 'function'
const isKey = (value: unknown): boolean =>
  typeof value === 'string' && /^(client|path|(header|cookie):[\w!#$%&'*+.^`|~-]+)$/.test(value)

const keyedPolicy = v.strictObject({
  policy: oneOf('rendezvous', 'ring', 'maglev'),
  key: that<PolicyKey>(isKey, "'client', 'path', 'header:name' or 'cookie:name'"),
})
const policy = that(
  (value) => isFunction(value) || names.includes(value as never),
  `${names.map((name) => `'${name}'`).join(', ')}, { policy: 'ring', key: 'client' }, or a function`,
)

/** Schema of {@link PolicyOption}. */
export const policyOption: v.GenericSchema = v.lazy((value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? keyedPolicy : policy,
)

/** What of an upstream's options is for its policy. */
export interface PolicySettings extends WrapperOptions {
  balance?: PolicyOption
  sticky?: StickyOptions
}

/**
 * A fresh policy for one upstream; `undefined` leaves the choice to `balance`.
 * @param name the upstream's: its cookie is its own, whoever else is at the same host
 * @param ramp how long targets that come back warm up where nothing else is said, in ms; 0: not at all
 */
export function policyOf(
  settings: PolicySettings,
  name: string,
  ramp: number,
): Balancer<Context & Client> | undefined {
  const { balance, sticky: affinity } = settings
  const plain = picked(balance)
  // One's own policy may warm targets up by itself: twice would be its square.
  const own = wrapped(plain, settings, warms(plain) ? 0 : ramp)
  if (affinity === undefined) return own
  return sticky(own ?? byCount(), { name: cookieName(name), ...affinity })
}

/** Whether a policy has a slow start of its own. */
export function warms(policy: unknown): boolean {
  return isFunction(policy) && partsOf(policy as Balancer<never>).warms === true
}

function picked(option: PolicyOption | undefined): Balancer<Context & Client> | undefined {
  if (option === undefined || typeof option === 'function') return option
  if (typeof option === 'string') return policies[option]()
  return keyedPolicies[option.policy](keyOf(option.key))
}

function keyOf(key: PolicyKey): (ctx: Context & Client) => string | undefined {
  if (key === 'client') return ({ client }) => client.address
  if (key === 'path') return ({ out }) => out.path.split('?', 1)[0]
  const name = key.slice('header:'.length)
  if (key.startsWith('cookie:')) return ({ out }) => cookieValues(out.headers, name)[0]
  const lower = name.toLowerCase()
  return ({ out }) => get(out.headers, lower)
}

/** Names of the cookies by which upstreams keep clients on their targets. */
export function stickyCookies(upstreams: Readonly<Record<string, PolicySettings>>): string[] {
  return Object.entries(upstreams).flatMap(([upstream, { sticky: affinity }]) =>
    affinity === undefined ? [] : [affinity.name ?? cookieName(upstream)],
  )
}

/** A name may hold what a cookie's can't: that is written as its codes. */
function cookieName(upstream: string): string {
  return `sluice_${upstream.replaceAll(/[^\w-]/g, (char) => `.${char.charCodeAt(0).toString(16)}`)}`
}
