import { joinPath, parseRequestTarget } from '@sluice/headers'
import type { ParsedTarget, ServerOptions } from './server-options.js'

/**
 * The path that a request goes to. Base and path meet in one slash; no other byte is touched, where http-proxy merges slashes
 * and loses what stands for a name.
 */
export function outgoingPath(url: string, target: ParsedTarget, options: ServerOptions): string {
  const base = options.prependPath === false ? '' : target.path
  if (options.ignorePath) return base === '' ? '/' : base.startsWith('/') ? base : `/${base}`
  const path = options.toProxy ? url : parseRequestTarget(url).path
  if (base === '' || base === '/') return path
  const rooted = base.startsWith('/') ? base : `/${base}`
  return path.startsWith('/')
    ? joinPath(rooted, path)
    : path === '*'
      ? path
      : `${rooted.replace(/\/$/, '')}/${path}`
}
