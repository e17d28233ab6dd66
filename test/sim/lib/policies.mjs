// What is compared: each policy as it is made for one proxy of one run.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as balance from '@sluice/balance'
import { UsageError } from './usage-error.mjs'

const keyOf = ({ key }) => key

/**
 * By name: `({ random, clock }) => Balancer`. All chance and all time is the run's, so a policy that asked the machine's would be
 * another one each time.
 */
export const policies = {
  'round-robin': () => balance.roundRobin(),
  'weighted-round-robin': () => balance.weightedRoundRobin(),
  random: ({ random }) => balance.random({ random }),
  'weighted-random': ({ random }) => balance.weightedRandom({ random }),
  first: () => balance.first(),
  'least-requests': ({ random }) => balance.leastRequests({ random }),
  'power-of-two': ({ random }) => balance.powerOfTwo({ random }),
  'peak-ewma': ({ random, clock }) => balance.peakEwma({ random, clock }),
  rendezvous: ({ random }) => balance.rendezvous(keyOf, { random }),
  ring: ({ random }) => balance.ring(keyOf, { random }),
  maglev: ({ random }) => balance.maglev(keyOf, { random }),
  'bounded-ring': ({ random }) => balance.boundedLoad(balance.ring(keyOf, { random }), 1.25),
  'bounded-maglev': ({ random }) => balance.boundedLoad(balance.maglev(keyOf, { random }), 1.25),
}

/** Those that go by a key: of the others none stays anywhere. */
export const byKey = new Set(['rendezvous', 'ring', 'maglev', 'bounded-ring', 'bounded-maglev'])

/** Names of modules: all others are names of policies. */
const isFile = (name) => /\.[cm]?js$/.test(name)

/**
 * The policies of these names, or of modules: `./mine.mjs`, whose default export is such a function, and whose `byKey` says
 * whether it goes by a key.
 * @throws UsageError
 */
export async function readPolicies(names) {
  const found = {}
  for (const name of names) found[name] = Object.hasOwn(policies, name) ? policies[name] : await own(name)
  return found
}

async function own(name) {
  const takes = `${Object.keys(policies).join(', ')}, or the path of a module such as ./mine.mjs`
  if (!isFile(name)) throw new UsageError(`--policy: got '${name}', takes ${takes}`)
  const file = resolve(name)
  if (!existsSync(file)) throw new UsageError(`--policy: there is no file ${file}`)
  const { default: policy, byKey: keyed } = await import(pathToFileURL(file).href)
  if (keyed === true) byKey.add(name)
  if (typeof policy === 'function') return policy
  throw new UsageError(
    `--policy: ${name} has ${typeof policy} as its default export, takes a function ({ random, clock }) => policy`,
  )
}
