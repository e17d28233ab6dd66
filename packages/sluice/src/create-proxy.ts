import { parse } from '@sluice/options'
import type { TargetInit } from '@sluice/upstream'
import { assemble } from './assemble.js'
import { proxyOptions } from './options-schema.js'
import { AssembledProxy, type Proxy } from './proxy.js'
import type { ProxyOptions, UpstreamOptions } from './proxy-options.js'

/**
 * A reverse proxy from one target, a list of targets (one upstream named `default`), or options. It opens no connection
 * before the first request, and holds no process open.
 *
 * By default it balances over the targets, tries a safe request that failed on a second one, limits each phase in time,
 * writes the forwarding fields anew, and removes what belongs to one hop.
 * @throws TypeError for wrong options: every fault, with the option's path, what it got and what it takes
 */
export function createProxy(options: string | string[] | ProxyOptions): Proxy {
  if (typeof options === 'string' || Array.isArray(options)) {
    const targets: TargetInit[] = typeof options === 'string' ? [options] : options
    return new AssembledProxy(assemble({ upstreams: {} }, { default: { targets } }, () => 'createProxy'))
  }
  parse(proxyOptions, options, '')
  const upstreams: Record<string, UpstreamOptions> = {}
  for (const [name, given] of Object.entries(options.upstreams)) {
    upstreams[name] =
      typeof given === 'string' ? { targets: [given] } : Array.isArray(given) ? { targets: given } : given
  }
  checkRoutes(options, Object.keys(upstreams))
  return new AssembledProxy(assemble(options, upstreams, (name) => `upstreams.${name}`))
}

/** @throws TypeError if it isn't clear which request goes to which upstream */
function checkRoutes(options: ProxyOptions, names: readonly string[]): void {
  const { routes } = options
  const known = names.map((name) => JSON.stringify(name)).join(', ')
  if (names.length === 0) throw new TypeError('upstreams: got none, takes at least one group of targets')
  if (routes === undefined) {
    if (names.length === 1) return
    throw new TypeError(
      `routes: got none with several upstreams (${known}), takes rules that say which request goes where`,
    )
  }
  const faults = routes.flatMap(({ upstream }, i) =>
    names.includes(upstream)
      ? []
      : [`routes[${i}].upstream: got ${JSON.stringify(upstream)}, takes a name of upstreams: ${known}`],
  )
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
}
