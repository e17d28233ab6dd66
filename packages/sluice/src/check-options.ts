import { cidrSet, parse } from '@sluice/options'
import { createUpstream } from '@sluice/upstream'
import { proxyOptions } from './options-schema.js'

/**
 * Checks all that can be checked of the options before anything is built, so that a person hears of every fault at once.
 * @throws TypeError with a line for each fault
 */
export function checkOptions(options: unknown): void {
  const faults = new Set<string>()
  const collect = (check: () => unknown): void => {
    try {
      check()
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      for (const line of error.message.split('\n')) faults.add(line)
    }
  }
  collect(() => parse(proxyOptions, options, ''))
  if (isRecord(options) && isRecord(options['upstreams'])) {
    const { upstreams, routes, trust } = options
    for (const [name, given] of Object.entries(upstreams)) {
      const targets = typeof given === 'string' ? [given] : isRecord(given) ? given['targets'] : given
      if (Array.isArray(targets))
        collect(() => createUpstream({ name, targets }, `upstreams.${name}`).close())
    }
    collect(() => checkRoutes(routes, Object.keys(upstreams)))
    if (Array.isArray(trust)) collect(() => cidrSet(trust, 'trust'))
  }
  if (faults.size > 0) throw new TypeError([...faults].join('\n'))
}

/** @throws TypeError if it isn't clear which request goes to which upstream */
function checkRoutes(routes: unknown, names: readonly string[]): void {
  const known = names.map((name) => JSON.stringify(name)).join(', ')
  if (names.length === 0) throw new TypeError('upstreams: got none, takes at least one group of targets')
  if (routes === undefined && names.length > 1)
    throw new TypeError(
      `routes: got none with several upstreams (${known}), takes rules that say which request goes where`,
    )
  if (!Array.isArray(routes)) return
  const faults = routes.flatMap((route: unknown, i) => {
    const upstream = isRecord(route) ? route['upstream'] : undefined
    return typeof upstream !== 'string' || names.includes(upstream)
      ? []
      : [`routes[${i}].upstream: got ${JSON.stringify(upstream)}, takes a name of upstreams: ${known}`]
  })
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
