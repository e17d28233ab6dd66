import { type Client, type Context, type Middleware, ProxyError } from '@sluice/core'
import { cidrSet, Faults, parse } from '@sluice/options'
import { type MaintenanceOptions, maintenanceOptions } from './maintenance-options.js'
import { saidAtOnce } from './said-at-once.js'

/**
 * Closes the site, but for some: everybody else gets 503, and hears when to come again. Requests that are under way finish. Clients are known by
 * `ctx.client.address` where `clientAddress` stands before it, else by their connection.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function maintenance(options: MaintenanceOptions, path = 'maintenance'): Middleware {
  const faults = new Faults()
  const allowed = faults.collect(() => cidrSet(options?.allow ?? [], `${path}.allow`))
  const settings = faults.collect(() => parse(maintenanceOptions, options, path))
  faults.throwAny()
  const { on, retryAfter } = settings as NonNullable<typeof settings>
  if (on === false) return (next) => next
  return (next) => (ctx) => {
    if (on !== true && !saidAtOnce(on(), `${path}.on`)) return next(ctx)
    const { client } = ctx as Context & Partial<Client>
    if (allowed?.has(client?.address ?? ctx.peer.address)) return next(ctx)
    throw new ProxyError('proxy_maintenance', {
      reason: 'maintenance',
      ...(retryAfter === 0 ? {} : { retryAfter }),
    })
  }
}
