import { joinPath, parseRequestTarget } from '@sluice/headers'
import type { ParsedTarget, ServerOptions } from './server-options.js'

/**
 * The path that a request goes to. Base and path meet in one slash, and the target's query goes ahead of the request's; no other byte is
 * touched, where http-proxy merges slashes and loses what stands for a name.
 */
export function outgoingPath(url: string, target: ParsedTarget, options: ServerOptions): string {
  if (options.prependPath === false) return options.ignorePath ? '/' : joined(url, '', options)
  const { pathname, search, path } = target
  if (options.ignorePath) return path === '' ? '/' : path.startsWith('/') ? path : `/${path}`
  return search === '' ? joined(url, pathname, options) : withQuery(joined(url, pathname, options), search)
}

function joined(url: string, base: string, options: ServerOptions): string {
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

/** @param search of the target, with its question mark */
function withQuery(path: string, search: string): string {
  const at = path.indexOf('?')
  if (path === '*') return path
  if (at === -1) return path + search
  return `${path.slice(0, at)}${search}${at === path.length - 1 ? '' : `&${path.slice(at + 1)}`}`
}

/** A request-target has none (RFC 9112 section 3.2); Node's parser lets it through, and http-proxy drops it. */
function withoutFragment(path: string): string {
  const at = path.indexOf('#')
  return at === -1 ? path : path.slice(0, at)
}
