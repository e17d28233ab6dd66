// What stands around a policy: the packages' own probes, ejection, breakers, limits and slow start, with options of their own.
import { balance, slowStart } from '@sluice/balance'
import { ejection, monitor } from '@sluice/health'
import { parse, v } from '@sluice/options'
import { breakers, concurrencyOf, hedge, resolveRetry, retry, retryBudget } from '@sluice/resilience'
import { createUpstream } from '@sluice/upstream'
import { UsageError } from './usage-error.mjs'

/**
 * By name: `(proxy, options) => Disposable | undefined`. `proxy` is `{ upstream, servers, clock, random, policy, layers, hedge }`, of which
 * a part may replace the policy, add a layer outside of `balance`, and set the one outside of these.
 */
const parts = {
  probes: ({ upstream, servers, random }, options) =>
    monitor(
      upstream,
      async ({ url }) => {
        const status = await servers.get(url).probe()
        if (status !== 200) throw new Error(`answered ${status}`)
      },
      { interval: '1s', ...options },
      { random },
    ),
  ejection: ({ upstream }, options) => ejection(upstream, options),
  breaker: ({ upstream, random }, options) => breakers(upstream, options, { random }),
  'slow-start': (proxy, { window = '5s', ...options }) => {
    const { clock, random } = proxy
    proxy.policy = slowStart(proxy.policy, window, { clock, random, ...options })
  },
  limit: limiter(16),
  adaptive: limiter('adaptive'),
  hedge: (proxy, options) => {
    const { clock } = proxy
    proxy.hedge = hedge(budgeted(options, 'hedge', clock), { clock })
  },
}

function limiter(limit) {
  return ({ upstream, layers }, options) => {
    const limits = concurrencyOf(upstream, { limit, ...options })
    layers.push(limits.middleware)
    return limits
  }
}

/** A budget by the run's clock: the packages' own one is the event loop's, which stands still here. */
function budgeted({ budget, ...options }, path, clock) {
  if (budget === undefined || budget === false) return budget === undefined ? options : { ...options, budget }
  // As an option of retry it is checked by its path.
  resolveRetry({ budget }, path)
  return { ...options, budget: retryBudget({ ...budget, clock }) }
}

/** Names of parts, of which a setting is made, joined by `+`. */
export const partNames = Object.keys(parts)

/** What is always there, and has options too: `panic` of the upstream, `overflow` of balance, `hears` of the servers. */
export const always = ['retry', 'balance', 'upstream', 'servers']

/**
 * A setting: `none`, or parts such as `ejection+breaker`.
 * @param options of parts by their names, as the packages take them, and of what is {@link always} there
 * @throws UsageError
 */
export function readSetting(name, options = {}) {
  const names = name === 'none' ? [] : name.split('+')
  for (const each of names) {
    if (Object.hasOwn(parts, each)) continue
    throw new UsageError(
      `--setting: got '${each}', takes none, ${partNames.join(', ')}, or several of them joined by +`,
    )
  }
  const setting = {
    name,
    parts: names.map((each) => [each, options[each] ?? {}]),
    ...Object.fromEntries(always.map((each) => [each, options[each] ?? {}])),
  }
  check(setting)
  return setting
}

/** Whether servers hear that nobody waits for an answer any more, whatever the scenario says of it. */
const serverOptions = v.strictObject({ hears: v.optional(v.boolean()) })

/** Options that a part doesn't take are told of before anything runs: it is put once around nobody. */
function check(setting) {
  try {
    const upstream = createUpstream(
      { ...setting.upstream, name: 'upstream', targets: ['http://10.0.0.1'] },
      'upstream',
    )
    balance(upstream, undefined, setting.balance)
    parse(serverOptions, setting.servers, 'servers')
    const proxy = { upstream, servers: new Map(), policy: ([first]) => first, layers: [] }
    for (const part of around(proxy, setting)) part[Symbol.dispose]()
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(`--options: ${error.message}`) : error
  }
}

/**
 * Puts the parts of a setting around a proxy, and retry() outside of all.
 * @returns what is to be disposed of when the run is over
 */
export function around(proxy, { parts: chosen, retry: { budget = {}, ...options } }) {
  const made = chosen.map(([name, own]) => parts[name](proxy, own))
  if (proxy.hedge !== undefined) proxy.layers.push(proxy.hedge)
  proxy.layers.push(retry(budgeted({ ...options, budget }, 'retry', proxy.clock)))
  return made.filter((each) => each !== undefined)
}
