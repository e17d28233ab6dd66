import type { TargetInit } from '@sluice/upstream'
import { assemble } from './assemble.js'
import { checkOptions } from './check-options.js'
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
export function createProxy(options: string | readonly string[] | ProxyOptions): Proxy
export function createProxy(options: string | readonly string[] | ProxyOptions, more?: unknown): Proxy {
  // A rule of access that stands there would be none. What `urls.map(createProxy)` hands over is a number.
  if (more !== undefined && more !== null && typeof more !== 'number')
    throw new TypeError(
      'createProxy: got a second argument, takes one: a URL, a list of URLs, or { upstreams: { site: targets }, ...options }',
    )
  if (isShort(options)) {
    const targets: readonly TargetInit[] = typeof options === 'string' ? [options] : options
    return new AssembledProxy(assemble({ upstreams: {} }, { default: { targets } }, () => 'createProxy'))
  }
  checkOptions(options)
  const upstreams: Record<string, UpstreamOptions> = {}
  for (const [name, given] of Object.entries(options.upstreams)) {
    upstreams[name] = isShort(given) ? { targets: typeof given === 'string' ? [given] : given } : given
  }
  if (isAnonymous(options))
    for (const [name, each] of Object.entries(upstreams)) upstreams[name] = encrypted(each)
  return new AssembledProxy(assemble(options, upstreams, (name) => `upstreams.${name}`))
}

/** `Array.isArray` tells the compiler nothing of a readonly list. */
function isShort(given: unknown): given is string | readonly string[] {
  return typeof given === 'string' || Array.isArray(given)
}

function isAnonymous({ guard }: ProxyOptions): boolean {
  return guard !== undefined && guard !== false && Boolean(guard.anonymity)
}

/** Signed affinity cookies show no target, but two clients can see whether they are on the same one. */
function encrypted(upstream: UpstreamOptions): UpstreamOptions {
  const { sticky } = upstream
  return sticky === undefined ? upstream : { ...upstream, sticky: { ...sticky, encrypt: true } }
}
