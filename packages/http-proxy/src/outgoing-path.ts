import { joinPath, parseRequestTarget } from '@sluice/headers'
import type { ParsedTarget, ServerOptions } from './server-options.js'

/**
 * The path that a request goes to. Base and path meet in one slash; no other byte is touched, where http-proxy merges slashes
 * and loses what stands for a name.
 */
export function outgoingPath(url: string, target: ParsedTarget, options: ServerOptions): string {
  const base = options.prependPath === false ? '' : target.path
  if (options.ignorePath) return base === '' ? '/' : base.startsWith('/') ? base : `/${base}`
  const bare = url === '' || url.startsWith('?')
  const path = options.toProxy || bare ? url : withoutFragment(parseRequestTarget(url).path)
  if (base === '' || base === '/') return bare ? `/${path}` : path
  const rooted = base.startsWith('/') ? base : `/${base}`
  // An app has taken the whole path off: the base itself is meant.
  if (bare) return rooted + path
  return path.startsWith('/')
    ? joinPath(rooted, path)
    : path === '*'
      ? path
      : `${rooted.replace(/\/$/, '')}/${path}`
}

/** A request-target has none (RFC 9112 section 3.2); Node's parser lets it through, and http-proxy drops it. */
function withoutFragment(path: string): string {
  const at = path.indexOf('#')
  return at === -1 ? path : path.slice(0, at)
}
