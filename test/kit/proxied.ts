import { createServer } from 'node:http'
import { balance } from '@sluice/balance'
import { chain, clientAddress, type ProxyError, toListener } from '@sluice/core'
import { forward, type HostPolicy, type Transport } from '@sluice/forward'
import { createUpstream, type TargetInit, type TargetTls, type Upstream } from '@sluice/upstream'
import { listen, type Mounted } from './listen.js'

/** A chain made by hand in front of one target. */
export interface Proxied extends Mounted {
  readonly upstream: Upstream
  readonly errors: ProxyError[]
}

/** Makes one; `tls` is the upstream's. */
export async function proxiedTo(
  transport: Transport,
  target: TargetInit,
  more: { host?: HostPolicy; tls?: TargetTls } = {},
): Promise<Proxied> {
  const errors: ProxyError[] = []
  const { host = 'target', tls } = more
  const upstream = createUpstream({ name: 'tls', targets: [target], ...(tls === undefined ? {} : { tls }) })
  const handler = chain()
    .use(clientAddress())
    .use((next) => async (ctx) => {
      try {
        return await next(ctx)
      } catch (error) {
        errors.push(error as ProxyError)
        throw error
      }
    })
    .use(balance(upstream))
    // In a list: what it can't carry must not go by another one.
    .handle(forward({ transport: [transport], host }))
  const mounted = await listen(createServer(toListener(handler)))
  const { close } = mounted
  return Object.assign(mounted, {
    upstream,
    errors,
    close: async () => {
      await close()
      await transport.close(true)
      await upstream.close()
    },
  })
}
