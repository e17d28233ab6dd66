import type { Client, Context, Layer } from '@sluice/core'
import { clientCertificate } from '@sluice/tls'
import type { ProxyOptions, RouteOptions } from './proxy-options.js'

type Site = Context & Client

/**
 * Says who clients have proved to be: where TLS asks for their certificates, where something else says how, and where a route requires one.
 * @throws TypeError that names the option
 */
export function siteClientCertificate({
  clientCertificate: given,
  routes = [],
  tls,
}: ProxyOptions): Layer<Site>[] {
  const asks = tls?.client !== undefined && tls.client !== 'none'
  if (given === undefined && !asks && !routes.some((route) => route.clientCertificate !== undefined))
    return []
  return [clientCertificate(given ?? {}, 'clientCertificate') as Layer<Site>]
}

/** Refuses those of a route's clients that have proved nothing. */
export function routeClientCertificate(wanted: RouteOptions['clientCertificate']): Layer<Site>[] {
  return wanted === undefined ? [] : [clientCertificate({ required: true }) as Layer<Site>]
}
