// createProxy() with all that keeps requests from being lost: probes and a breaker beside ejection and retry, which are on anyway.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

await proxied({ upstreams: { default: { targets: [origin], health: { type: 'tcp' }, breaker: {} } } })
