import { type AccessLayers, type AccessOptions, accessLayers } from '@sluice/access'
import type { Middleware } from '@sluice/core'

/** Who may pass on a route. Ids of requests are made before routes are known. */
export type RouteAccessOptions = Omit<AccessOptions, 'requestId'>

/**
 * The layers of a route's `access`.
 * @throws TypeError that names the option
 */
export function routeAccess(options: RouteAccessOptions, index: number): AccessLayers {
  return accessLayers(options, `routes[${index}].access`)
}

/** Those layers, outermost first. */
export function inOrder(layers: AccessLayers): readonly Middleware[] {
  const { securityHeaders, maintenance, cors, credentials } = layers
  return [securityHeaders, maintenance, cors, ...credentials].filter((layer) => layer !== undefined)
}
