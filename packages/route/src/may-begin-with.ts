import { readPath } from './path-pattern.js'

/**
 * Whether a path that a route takes may begin with what `rewrite.strip` would take off: where none may, nothing is ever stripped.
 * @param path of the route, such as `/x`, `=/x` or `/users/:id`
 * @param strip a path such as `/api`; slashes at its end don't count
 */
export function mayBeginWith(path: string, strip: string): boolean {
  const { exact, segments } = readPath(path)
  const taken = readPath(strip.replace(/\/+$/, '')).segments
  if (exact && taken.length > segments.length) return false
  return taken.every((part, i) => i >= segments.length || segments[i] === undefined || segments[i] === part)
}
